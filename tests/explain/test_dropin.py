"""An attribution method in one file of a user's: on the command line and the page, with its options; wrong ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext
from mtkd_app.main import build
from mtkd_app.server.session_files import Pictures
from mtkd_app.state import Look

from mtkd import plugins
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.explain import explain
from mtkd.explain.options import options_of, read_options
from mtkd.explain.question import Window
from mtkd.explore import compare
from mtkd.images import write_image

LR = np.ascontiguousarray(EXAMPLES[0].read()[60:84, 80:100])
"""24 rows, 20 columns."""
METHOD = """from dataclasses import dataclass, field
from typing import Literal

import torch

from mtkd.explain import Attributions
from mtkd.plugins import attribution


@dataclass(frozen=True)
class GreyOptions:
    level: float = field(default=0.5, metadata={"label": "Grey level", "help": "of 1", "minimum": 0, "maximum": 1})
    times: int = 1
    sign: Literal["plus", "minus"] = "plus"
    steps: int = field(default=2, metadata={"minimum": 1})


@attribution("grey", options=GreyOptions, title="Difference from grey")
def grey(question, options, progress):
    baselines = [torch.full_like(image, options.level) for image in question.images]
    for step in range(options.steps):
        progress(step + 1, options.steps)
    factor = options.times * (1 if options.sign == "plus" else -1)
    return Attributions([factor * (i - b) for i, b in zip(question.images, baselines)], baselines, {"factor": factor})
"""


@pytest.fixture
def load(tmp_path: Path):
    """Loads a plugin of this text; nothing of it stays."""
    before = {plugin.name for plugin in plugins.loaded()}

    def write(text: str) -> Path:
        path = tmp_path / "grey.py"
        path.write_text(text, encoding="utf-8")
        plugins.load([path])
        return path

    yield write
    plugins.unload([plugin.name for plugin in plugins.loaded() if plugin.name not in before])


def edges(image: np.ndarray, window: Window) -> float:
    """F by its definition, of an SR image (3, H, W): sqrt(dx^2 + dy^2), added up over channels and window."""
    rows, columns = slice(window.top, window.top + window.size + 1), slice(window.left, window.left + window.size + 1)
    part = image[:, rows, columns].astype(np.float64)
    return float(np.hypot(np.diff(part, axis=1)[:, :, :-1], np.diff(part, axis=2)[:, :-1]).sum())


def test_a_method_is_used_from_the_command_line(tmp_path: Path) -> None:
    """Bicubic keeps a grey image flat: F of the baseline is 0, and F of the image that of its bicubic enlargement."""
    from mtkd import zoo
    from mtkd.images import to_tensor

    (tmp_path / "grey.py").write_text(METHOD, encoding="utf-8")
    write_image(tmp_path / "lr.png", LR)
    command = [sys.executable, "-m", "mtkd.cli", "--plugin", "grey.py", "explain", "lr.png", "--model", "bicubic"]
    command += ["--scale", "2", "--at", "20,20", "--window", "8", "--method", "grey", "--option", "level=0.25"]
    command += ["--option", "times=3", "--option", "sign=minus", "--steps", "4", "-o", "out", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    expected = -3 * (LR.transpose(2, 0, 1) / 255 - 0.25)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "LR.npy"), expected, atol=1e-6)
    assert row["method"] == "grey" and row["factor"] == -3
    assert {name: row[name] for name in ("level", "times", "sign", "steps")} == {
        "level": 0.25, "times": 3, "sign": "minus", "steps": 4
    }  # fmt: skip
    sr = zoo.load("bicubic", 2)(to_tensor(LR))[0].numpy()
    detail = edges(sr, Window(16, 16, 8))
    assert row["before"] == pytest.approx(0, abs=1e-4) and row["after"] == pytest.approx(detail, rel=1e-4)
    assert row["completeness_error"] == pytest.approx(expected.sum() - detail, rel=1e-3)
    (one,) = row["inputs"]
    assert one["share"] == 1 and one["signed_share"] == pytest.approx(expected.sum() / detail, rel=1e-3)


def test_the_page_offers_it_with_its_options(load, tmp_path: Path) -> None:
    load(METHOD)
    comparison = compare(EXAMPLES[0].read()[40:104, 60:148], ["bicubic", "edsr_tiny-mtkd"], 4)
    LocalContext.request.set(SimpleNamespace(session_hash="a"))
    with Pictures() as pictures:
        page = build(pictures)
        blocks = [block for block in page.blocks.values() if isinstance(block, gr.components.Component)]
        by_id = {block.elem_id: block for block in blocks if block.elem_id}
        assert ("Difference from grey", "grey") in by_id["lam-method"].choices
        level, times, sign = (by_id[f"grey-{name}"] for name in ("level", "times", "sign"))
        assert (level.label, level.value) == ("Grey level", 0.5)
        assert isinstance(times, gr.Number) and times.precision == 0
        assert [value for _, value in sign.choices] == ["plus", "minus"] and not level.visible
        event = next(one for one in page.fns.values() if one.api_name == "explain")
        seen = next(one.fn for one in page.fns.values() if getattr(one.fn, "__name__", "") == "choose_method")("grey")
        assert seen[level]["visible"] and not seen[by_id["lam-sigma"]]["visible"]
        names = dict(zip(event.inputs, event.input_parameter_names, strict=True))
        options = {names[level]: 0.25, names[by_id["grey-steps"]]: 7, names[by_id["lam-steps"]]: 5}
        asked = (comparison, "edsr_tiny-mtkd", {}, Look(), 16, "96,120", "grey")
        *_, shown = event.fn(*asked, **options)
        text = shown[by_id["lam-made"]]
        with pytest.raises(gr.Error, match="level 2: give a number from 0 to 1"):
            list(event.fn(*asked, **(options | {names[level]: 2})))
    assert "Difference from grey: level 0.25, times 1, sign plus, steps 7, factor 1." in text
    assert "Completeness error" in text


BODY = METHOD[METHOD.index("    baselines = [") :]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return [image[..., :-1] for image in question.images]",
            r"line 18.*shape \(1, 3, 24, 19\); return \(1,",
        ),
        ("return [image / 0 * 0 for image in question.images]", "line 18.*NaN or infinity"),
        ("return [image.numpy() for image in question.images]", "line 18.*of LR: ndarray; return a tensor of floats"),
        ("return [image.long() for image in question.images]", "line 18.*torch.int64; return a tensor of floats"),
        ("return 'maps'", "line 18.*returned str as attributions; return one tensor an input"),
        ("return None", "line 18.*returned NoneType"),
        ("return list(question.images) * 2", r"line 18.*returned 2 attributions for 1 inputs \(LR\)"),
        ("return Attributions(question.images, [torch.zeros(1)])", "line 18.*baselines of LR have the shape"),
        ("return Attributions(question.images, None, {'a': torch.zeros(1)})", "line 18.*no plain data"),
        ("return Attributions(question.images, None, {'model': 'x'})", "line 18.*names of answers: model"),
        ("return question.nothing", "line 20.*AttributeError"),
    ],
)
def test_what_is_no_attribution_is_one_line_with_file_and_line(load, body: str, message: str) -> None:
    path = load(METHOD.replace(BODY, f"    {body}\n"))
    with pytest.raises(UserError, match=message) as refused:
        explain("bicubic", LR, 2, Window.around(20, 20, 8), method="grey")
    assert str(refused.value).startswith(str(path)) and "attribution method grey" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("times: int = 1", "times: int"), "times|default"),
        (("times: int = 1", "times: list = field(default_factory=list)"), "option 'times': use bool, int"),
        (("times: int = 1", "times: int = 1.5"), "times 1.5: give a whole number"),
        (("times: int = 1", "times: int = field(default=1, metadata={'usual': (1,)})"), "usual is a pair of numbers"),
        (("times: int = 1", "model: int = 1"), "option 'model', a name that answers use"),
        (("@dataclass(frozen=True)\n", ""), "no dataclass"),
        (('"grey"', '"lam"'), "already built in"),
    ],
)
def test_options_that_cannot_be_are_refused_where_they_are_declared(load, change, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        load(METHOD.replace(*change))
    assert "grey.py, line" in str(refused.value)
    assert "grey" not in plugins.ATTRIBUTIONS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "2"}, "level 2: give a number from 0 to 1"),
        ({"level": "nan"}, "level nan: give a number from 0 to 1"),
        ({"times": "1.5"}, "times 1.5: give a whole number"),
        ({"times": True}, "times True: give a whole number"),
        ({"sign": "plsu"}, "unknown sign 'plsu'; did you mean 'plus'"),
        ({"lvel": "1"}, "unknown option of grey 'lvel'; did you mean 'level'"),
    ],
)
def test_wrong_values_are_refused(load, options, message: str) -> None:
    load(METHOD)
    with pytest.raises(UserError, match=message):
        read_options("grey", options)


def test_texts_and_numbers_of_the_page_are_read(load) -> None:
    load(METHOD)
    read = read_options("grey", {"level": 1, "times": 3.0, "sign": "minus", "steps": "12"})
    assert (read.level, read.times, read.sign, read.steps) == (1.0, 3, "minus", 12)
    assert [type(value) for value in (read.level, read.times, read.steps)] == [float, int, int]
    compat = {option.name: option for option in options_of("lam")}["compat"]
    assert [compat.read(value) for value in (None, "none", "", "official")] == [None, None, None, "official"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--option", "steps"), "--option steps: write key=value"),
        (("--option", "steps=2", "--steps", "3"), "steps is given twice"),
        (("--method", "saliency", "--sigma", "1"), "unknown option of saliency 'sigma'"),
        (("--method", "lamm"), "unknown attribution method 'lamm'; did you mean 'lam'"),
    ],
)
def test_mistakes_of_the_command_line(refused, tmp_path: Path, arguments, message: str) -> None:
    write_image(tmp_path / "lr.png", LR)
    common = ("--model", "bicubic", "--scale", "2", "--at", "20,20")
    assert message in refused("explain", tmp_path / "lr.png", *common, *arguments)


def test_saliency_has_no_baseline(run, tmp_path: Path) -> None:
    """The slope of F at the image; it is no part of F, so that nothing is said of completeness."""
    write_image(tmp_path / "lr.png", LR)
    common = ("explain", tmp_path / "lr.png", "--model", "bicubic", "--scale", "2", "--at", "20,20", "--method")
    row = json.loads(run(*common, "saliency", "--json").out)
    assert row["method"] == "saliency" and row["before"] is None and row["completeness_error"] is None
    assert row["inputs"][0]["share"] == 1 and row["inputs"][0]["signed_share"] is None
    assert "completeness" not in run(*common, "saliency").out
