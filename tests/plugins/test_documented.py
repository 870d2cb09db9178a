"""The examples of docs/plugins.md: they load, are short, and a student is trained with all of them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd import plugins
from mtkd.images import read_image
from tests.conftest import Run

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
RECIPE = """name: mine
stage: distill
network: my_net
scale: 2
data: {{train: {photos}, holdout: 1}}
method: {method}
teachers: [edsr_mini]
lr_patch: 12
batch: 2
iterations: 3
log_every: 1
"""


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MTKD_PLUGINS", "")
    path = tmp_path / "examples.py"
    path.write_text("\n".join(BLOCK.findall(PAGE.read_text(encoding="utf-8"))))
    before = {plugin.name for plugin in plugins.loaded()}
    yield path
    plugins.unload([plugin.name for plugin in plugins.loaded() if plugin.name not in before])


@pytest.mark.parametrize(
    ("method", "terms"),
    [
        ("{name: my_method, options: {weight: 0.5}}", {"gt", "kd"}),
        ("{name: mtkd, options: {loss: my_loss}}", {"alpha L_stu", "L_dis"}),
    ],
)
def test_the_examples_train(run: Run, examples: Path, photos: Path, tmp_path: Path, method: str, terms) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE.format(photos=photos, method=method), encoding="utf-8")
    done = run("--plugin", examples, "train", recipe, "--out", out)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert terms <= set(rows[0])
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    (plugin,) = card["plugins"]
    assert plugin["file"] == "examples.py" and "network my_net" in plugin["declares"]


def test_the_metric_is_a_column(run: Run, examples: Path, photos: Path) -> None:
    done = run("--plugin", examples, "score", photos, photos, "--metrics", "psnr,my_metric", "--json")
    assert done.code == 0, done.err
    images = json.loads(done.out)["per_image"]
    assert {image["my_metric"] for image in images} == {0.0} and set(images[0]) >= {"image", "psnr", "my_metric"}


def test_the_attribution_method_explains(run: Run, examples: Path, photos: Path, tmp_path: Path) -> None:
    """F of a bicubic image is homogeneous, F(t x) = t F(x): gradient times input adds up to F (Euler)."""
    options = (
        "--model",
        "bicubic",
        "--scale",
        2,
        "--at",
        "60,60",
        "--method",
        "my_attribution",
        "-o",
        tmp_path / "out",
    )
    done = run("--plugin", examples, "explain", photos / "coffee.png", *options, "--json")
    assert done.code == 0, done.err
    row = json.loads(done.out)
    assert (row["method"], row["level"]) == ("my_attribution", 0.0)
    assert float(np.load(tmp_path / "out" / "LR.npy").sum()) == pytest.approx(row["after"], rel=1e-3)
    moved = run("--plugin", examples, "explain", photos / "coffee.png", *options, "--option", "level=0.5", "--json")
    assert json.loads(moved.out)["level"] == 0.5
    help_text = run("--plugin", examples, "explain", "--help").out
    assert "--method my_attribution, Gradient times input" in help_text


def test_a_recipe_names_its_plugins(run: Run, examples: Path, photos: Path, tmp_path: Path) -> None:
    """The file lies beside the recipe; the run is identified by what is trained."""
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    text = RECIPE.format(photos=photos, method="{name: kd}")
    recipe.write_text(f"plugins: [examples.py]\n{text}", encoding="utf-8")
    assert run("train", recipe, "--out", out).code == 0
    assert json.loads((out / "card.json").read_text(encoding="utf-8"))["plugins"][0]["file"] == "examples.py"
    assert "plugins" not in (out / "recipe.yaml").read_text(encoding="utf-8")


def test_what_is_no_list_of_plugins_is_refused(run: Run, photos: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("plugins: examples.py\n" + RECIPE.format(photos=photos, method="{name: kd}"), encoding="utf-8")
    outcome = run("train", recipe, "--out", tmp_path / "run")
    assert outcome.code == 2 and "plugins: give a list of files or modules" in outcome.err


def test_an_example_a_kind_of_30_lines_at_most(examples: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    one_kind = [block for block in blocks if block.count("\n@") - block.count("\n@cache") - block.count("@data") == 1]
    assert {re.search(r"\n@(?!cache|data)(\w+)\(", block)[1] for block in one_kind} == {
        "network", "loss", "method", "metric", "attribution",
    }  # fmt: skip
    assert max(block.count("\n") for block in one_kind) <= 30
    plugins.load([str(examples)])
    assert "examples.py" in [Path(plugin.name).name for plugin in plugins.loaded()]


class StandIn:
    """The interface of LPIPS and DISTS: two batches in [0, 1] -> a tensor. The distance: the mean absolute one."""

    def __init__(self, **options: object) -> None:
        self.options = options

    def __call__(self, first: torch.Tensor, second: torch.Tensor, **options: object) -> torch.Tensor:
        for batch in (first, second):
            assert batch.shape[:2] == (1, 3) and batch.dtype == torch.float32
            assert batch.min() >= 0 and batch.max() <= 1 and batch.max() > 0.5
        assert options == ({"normalize": True} if self.options else {})  # LPIPS alone takes -1..1 without it
        return (first - second).abs().mean()[None, None, None, None]


@pytest.mark.parametrize("channels", ["rgb", "y"])
def test_programs_of_others_as_metrics(
    run: Run, examples: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: str
) -> None:
    """By stand-ins: torchvision, which LPIPS and DISTS need, cannot be imported here."""
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=StandIn))
    monkeypatch.setitem(sys.modules, "DISTS_pytorch", SimpleNamespace(DISTS=StandIn))
    for folder, lift in (("sr", 5), ("hr", 0)):
        (tmp_path / folder).mkdir()
        for path in photos.iterdir():
            Image.fromarray(read_image(path) // 2 + 100 + lift).save(tmp_path / folder / path.name)
    options = ("--metrics", "lpips,dists", "--channels", channels, "--json")
    done = run("--plugin", examples, "score", tmp_path / "sr", tmp_path / "hr", *options)
    assert done.code == 0, done.err
    expected = 5 / 255 * (1 if channels == "rgb" else 219 / 255)
    for image in json.loads(done.out)["per_image"]:
        assert image["lpips"] == image["dists"] == pytest.approx(expected, rel=1e-3)
    shown = run("--plugin", examples, "score", tmp_path / "sr", tmp_path / "hr", *options[:-1]).out
    assert "LPIPS" in shown and "DISTS" in shown


def test_a_program_that_is_not_installed(run: Run, examples: Path, photos: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    done = run("--plugin", examples, "score", photos, photos, "--metrics", "lpips")
    assert done.code == 2 and done.err.count("\n") == 1 and "metric lpips" in done.err and "examples.py" in done.err
