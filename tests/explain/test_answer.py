"""Explanations of models of the zoo, and ``mtkd explain``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd import zoo
from mtkd.data.examples import EXAMPLES
from mtkd.explain import explain
from mtkd.explain.blur import BlurPath
from mtkd.explain.question import Detail, Window
from mtkd.images import read_image, write_image
from mtkd.zoo.checkpoints import weights_hash
from tests.conftest import Run
from tests.training.conftest import write_model

LR = np.ascontiguousarray(EXAMPLES[0].read()[60:92, 80:120])
"""32 rows, 40 columns."""
STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def _zoo(tmp_path_factory: pytest.TempPathFactory):
    """Teachers ``ada`` and ``bob``, aggregators of both and of one, x2."""
    folder = tmp_path_factory.mktemp("zoo")
    write_model(folder, "ada", "edsr_tiny", 1)
    write_model(folder, "bob", "edsr_tiny", 2)
    write_model(folder, "merged", "aggregator_mini", 3, teachers=("ada", "bob"))
    write_model(folder, "alone", "aggregator_mini", 4, teachers=("bob",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTKD_ZOO", str(folder))
        yield


def test_of_a_network() -> None:
    found = explain("ada", LR, 2, Window.around(30, 40, 8), steps=STEPS)
    told = found.row()
    assert found.attributions[0].shape == (3, 32, 40)
    (one,) = told["inputs"]
    assert (one["input"], one["size"], one["share"], one["shapley"]) == ("LR", [32, 40], 1.0, None)
    assert (told["sigma"], told["radius"], told["window"]) == (1.2, 4, {"top": 26, "left": 36, "size": 8})
    assert told["path"] == "blur" and told["weights"] == weights_hash(zoo.load("ada", 2))
    assert told["after"] - told["before"] == pytest.approx(
        float(found.attributions[0].sum()) - told["completeness_error"], abs=1e-6
    )
    assert abs(told["completeness_error_relative"]) < 0.05
    assert float(found.maps[0].max()) == 1 and 0 < one["di"] < 100


def test_of_an_aggregator() -> None:
    """One map a teacher, at the size of their images; what all of them did is all that was done."""
    found = explain("merged", LR, 2, Window.around(30, 40, 8), steps=STEPS)
    told = found.row()
    assert [one["input"] for one in told["inputs"]] == ["ada", "bob"]
    assert [tuple(a.shape) for a in found.attributions] == [(3, 64, 80)] * 2
    assert (told["sigma"], told["radius"]) == (2.4, 8)
    assert sum(one["share"] for one in told["inputs"]) == pytest.approx(1)
    assert sum(one["shapley"] for one in told["inputs"]) == pytest.approx(1, abs=1e-4)
    signed = sum(one["signed_share"] for one in told["inputs"])
    assert signed == pytest.approx(1 + told["completeness_error_relative"], abs=1e-4)
    assert max(float(one.max()) for one in found.maps) == 1


def test_shapley_by_its_definition() -> None:
    """Two teachers: half of what each adds alone and of what it adds to the other."""
    found = explain("merged", LR, 2, Window.around(30, 40, 8), steps=1)
    network = zoo.load("merged", 2)
    lr = torch.from_numpy(LR).permute(2, 0, 1)[None].float() / 255
    images = [teacher(lr) for teacher in network.teachers]
    starts = [BlurPath.for_hr(2).start(image) for image in images]
    objective = Detail(network.aggregator, found.window)
    none, first, second, both = (
        float(objective(*pair)) for pair in (starts, (images[0], starts[1]), (starts[0], images[1]), images)
    )
    expected = ((first - none + both - second) / 2 / (both - none), (second - none + both - first) / 2 / (both - none))
    assert found.shapley == pytest.approx(expected, abs=1e-4)


def test_of_an_aggregator_of_one() -> None:
    found = explain("alone", LR, 2, Window.around(30, 40, 8), steps=STEPS)
    assert found.inputs == ("bob",) and found.row()["inputs"][0]["share"] == 1 and found.shapley is None


def test_nothing_is_relative_to_a_flat_window() -> None:
    """Bicubic keeps a flat picture flat, but for rounding: nothing is divided by what is left."""
    told = explain("bicubic", np.full((20, 20, 3), 90, np.uint8), 2, Window.around(20, 20, 8), steps=2).row()
    assert told["inputs"][0]["signed_share"] is None
    assert told["completeness_error_relative"] is None and told["after"] == pytest.approx(0, abs=1e-4)


# --- mtkd explain


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "lr.png", LR)
    return tmp_path / "lr.png"


def test_the_command_says_and_saves_what_the_library_finds(run: Run, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    options = ("--model", "merged", "--scale", 2, "--at", "30,40", "--window", 8, "--steps", STEPS)
    outcome = run("explain", photo, *options, "--json", "-o", out)
    assert outcome.code == 0
    found = explain("merged", LR, 2, Window.around(30, 40, 8), steps=STEPS, curves=True)
    told = json.loads(outcome.out)
    assert told.pop("device") == "cpu" and told == found.row() == json.loads((out / "explanation.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == ["ada.npy", "ada.png", "bob.npy", "bob.png", "explanation.json"]
    assert np.array_equal(np.load(out / "bob.npy"), found.attributions[1].numpy())
    assert np.array_equal(read_image(out / "ada.png")[..., 0], (found.maps[0] * 255).round().numpy())
    with Image.open(out / "ada.png") as picture:
        assert json.loads(picture.text["Description"]) == found.row()
    said = run("explain", photo, *options).out
    assert "completeness error" in said and [line.split()[0] for line in said.splitlines()[2:4]] == ["ada", "bob"]


def test_another_path_begins_and_ends_at_the_same_images(run: Run, photo: Path) -> None:
    options = ("--model", "ada", "--scale", 2, "--at", "30,40", "--window", 8, "--steps", 30, "--json")
    blur, straight = (json.loads(run("explain", photo, *options, "--path", path).out) for path in ("blur", "straight"))
    assert (blur["path"], straight["path"]) == ("blur", "straight")
    assert [straight[key] for key in ("before", "after")] == [blur[key] for key in ("before", "after")]
    assert abs(straight["completeness_error_relative"]) < 0.02
    assert straight["inputs"] != blur["inputs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--at", "30"), "--at 30: not a row and a column"),
        (("--at", "30,40,5"), "not a row and a column"),
        (("--at", "3,40"), "window of 8 x 8 at -1, 36 leaves the SR image of 64 rows x 80 columns"),
        (("--at", "30,77"), "leaves the SR image"),
        (("--at", "30,40", "--window", 0), "leaves the SR image"),
        (("--at", "30,40", "--steps", 0), "steps 0: give a whole number of 1 or more"),
        (("--at", "30,40", "--rule", "trapezoid"), "unknown rule 'trapezoid'. Known: gauss-legendre, midpoint"),
        (("--at", "30,40", "--path", "strait"), "unknown path 'strait'; did you mean 'straight'?"),
        (("--at", "30,40", "--sigma", 0), "sigma 0: give more than 0"),
        (("--at", "30,40", "--model", "adda"), "unknown model 'adda'; did you mean 'ada'?"),
        (("--at", "30,40", "--scale", 9), "--scale 9: give 2, 3 or 4"),
    ],
)
def test_a_mistake_is_one_line(options: tuple, message: str, run: Run, photo: Path) -> None:
    said = run("explain", photo, "--model", "ada", "--scale", 2, "--window", 8, *options)
    assert said.code == 2 and message in said.err and said.err.count("\n") == 1


def test_not_an_image(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no")
    said = run("explain", tmp_path / "no.png", "--model", "ada", "--scale", 2, "--at", "30,40")
    assert said.code == 2 and "no.png" in said.err and said.err.count("\n") == 1


def test_a_tiny_image(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (3, 9)).save(tmp_path / "tiny.png")
    said = run("explain", tmp_path / "tiny.png", "--model", "ada", "--scale", 2, "--at", "3,3", "--window", 2)
    assert said.code == 0 and "completeness error" in said.out


def test_models_side_by_side_share_one_scale(run: Run, photo: Path, tmp_path: Path) -> None:
    """The numbers are those of each model alone; the map that holds the largest value reaches 1."""
    out = tmp_path / "maps"
    options = ("--scale", 2, "--at", "30,40", "--window", 8, "--option", "patch=4", "--method", "causal")
    outcome = run("explain", photo, "--model", "ada,bob", *options, "--json", "-o", out)
    assert outcome.code == 0
    told = json.loads(outcome.out)
    found = [
        explain(name, LR, 2, Window.around(30, 40, 8), method="causal", patch=4, curves=True) for name in ("ada", "bob")
    ]
    assert [{k: v for k, v in one.items() if k != "difference"} for one in told["models"]] == [f.row() for f in found]
    sums = [one.attributions[0].sum(0) for one in found]
    assert told["largest"] == pytest.approx(max(float(one.abs().max()) for one in sums))
    apart = float((sums[1] - sums[0]).abs().sum() / sum(one.abs().sum() for one in sums))
    assert [one["difference"] for one in told["models"]] == [0, pytest.approx(apart, rel=1e-4)]
    assert sorted(p.name for p in out.iterdir()) == ["ada", "bob", "maps.json", "maps.png"]
    with Image.open(out / "maps.png") as picture:
        assert json.loads(picture.text["Description"]) == json.loads((out / "maps.json").read_text())
    said = run("explain", photo, "--model", "ada,bob", *options).out.splitlines()
    assert [line.split()[0] for line in said[2:4]] == ["ada", "bob"] and "deletion area" in said[0]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("ada,ada", "model ada is given twice"),
        ("ada,bob,alone,merged,bicubic", "5 models side by side: give 2 to 4"),
        ("ada,merged", "merged has a map for each of ada, bob: show it alone"),
    ],
)
def test_models_that_cannot_stand_side_by_side(models: str, message: str, run: Run, photo: Path) -> None:
    said = run("explain", photo, "--model", models, "--scale", 2, "--at", "30,40", "--window", 8, "--steps", 1)
    assert said.code == 2 and message in said.err and said.err.count("\n") == 1
