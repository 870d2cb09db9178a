"""The examples of docs/contributing.md: they load, and a student is trained with all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mtkd import plugins
from tests.conftest import Run

PAGE = Path(__file__).parents[2] / "docs" / "contributing.md"
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
    path.write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)))
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
    assert {image["my_metric"] for image in images} == {0.0} and set(images[0]) == {"image", "psnr", "my_metric"}


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
