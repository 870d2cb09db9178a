"""Which models can be chosen to compare: their titles, groups, presets, and what a comparison opens with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtkd import zoo
from mtkd.explore import compare, default_models
from mtkd.explore.comparison.choices import model_choices, presets, title
from mtkd.zoo.catalogue import BUNDLED
from tests.training.conftest import write_model

TEACHERS = ["edsr_mini", "rcan_mini", "swinir_mini"]
STORY = ["rcan_tiny-scratch", "rcan_tiny-mtkd", "aggregator_mini"]
BEST = "span_tiny-shipped"


def names(scale: int, group: str) -> list[str]:
    return [name for _, name in model_choices(scale)[group]]


def test_choices_are_all_models_once_with_titles_of_their_own() -> None:
    groups = model_choices(4)
    assert list(groups) == ["Baselines", "Teachers", "Combined teacher", "Students"]
    chosen = [choice for group in groups.values() for choice in group]
    assert {name for _, name in chosen} == {"bicubic", *(model.name for model in zoo.models(4))}
    assert len({text for text, _ in chosen}) == len(chosen)
    assert groups["Baselines"] == [("Bicubic", "bicubic")] and names(4, "Teachers") == TEACHERS
    assert groups["Combined teacher"][0] == ("Combined teacher (MT)", "aggregator_mini")
    students = names(4, "Students")
    assert students[:2] == ["rcan_tiny-scratch", "rcan_tiny-kd"]  # as the first table has them
    assert students.index("rcan_tiny-v7") < students.index("edsr_tiny-scratch")


def test_presets_hold_what_is_here() -> None:
    for scale in (2, 3, 4):
        here = {name for group in model_choices(scale).values() for _, name in group}
        assert all(set(chosen) <= here and chosen for chosen in presets(scale).values())
    found = presets(4)
    assert list(found) == ["Story", "All methods", "Ablations", "Everything"] and found["Story"] == [BEST, *STORY]
    methods = ("scratch", "kd", "at", "fakd", "dukd", "crosskd", "mtkd")
    assert found["All methods"] == ["bicubic", *(f"rcan_tiny-{method}" for method in methods), "aggregator_mini"]
    assert {f"rcan_tiny-v{number}" for number in range(1, 8)} < set(found["Ablations"])
    assert "Ablations" not in presets(2) and presets(2)["Story"][0] == "edsr_tiny-scratch"


def test_default_is_the_story_of_a_student_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled, own = tmp_path / "bundled", tmp_path / "own"
    for name in TEACHERS:
        write_model(bundled, name, name, 1, scale=4)
    write_model(bundled, "aggregator_mini-v3", "aggregator_mini_v3", 1, 4, tuple(TEACHERS))
    write_model(bundled, "aggregator_mini", "aggregator_mini", 1, 4, tuple(TEACHERS))
    for network in ("edsr_tiny", "rcan_tiny"):
        for method in ("kd", "mtkd", "scratch", "v5"):
            write_model(bundled, f"{network}-{method}", network, 1, scale=4)
    write_model(own, "mine", "edsr_tiny", 0, scale=4)
    monkeypatch.setattr(zoo.catalogue, "BUNDLED", bundled)
    monkeypatch.setenv("MTKD_ZOO", str(own))
    assert default_models(4) == STORY
    assert names(4, "Students")[-1] == "mine"  # after those of the plan
    (bundled / "rcan_tiny-mtkd_x4.safetensors").unlink()
    assert default_models(4) == ["edsr_tiny-scratch", "edsr_tiny-mtkd", "aggregator_mini"]


def test_default_where_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo.catalogue, "BUNDLED", tmp_path)
    assert default_models(4) == ["bicubic"] and tmp_path != BUNDLED


def test_a_comparison_has_titles_and_tells_equal_ones_apart(tmp_path: Path) -> None:
    write_model(tmp_path, "mine", "edsr_tiny", 0, scale=4)
    tmp_path.joinpath("titles.json").write_text('{"mine": "EDSR student, alone"}')
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    found = compare(image, ["bicubic", "mine", "edsr_tiny-scratch"], 4, sources=[tmp_path])
    assert found.titles() == {
        "LR": "LR input",
        "bicubic": "Bicubic",
        "mine": "EDSR student, alone [mine]",
        "edsr_tiny-scratch": "EDSR student, alone [edsr_tiny-scratch]",
        "ground truth": "Ground truth",
    }
    panes = found.panes(lambda name, image: name)
    assert [pane["name"] for pane in panes] == ["ground truth", "bicubic", "mine", "edsr_tiny-scratch", "LR"]
    assert {pane["name"]: pane["title"] for pane in panes} == found.titles()
    heads, _, first = (line.strip("| ").split(" | ") for line in found.markdown().splitlines()[:3])
    row = dict(zip(heads, first, strict=True))
    assert (row["model"], row["id"], row["role"]) == ("Bicubic", "bicubic", "interpolation")
    assert found.csv().splitlines()[1].startswith("Bicubic,bicubic,")
    assert compare(image, ["mine"], 4, False, sources=[tmp_path])["mine"].title == "EDSR student, alone"


def test_snapshots_have_their_step() -> None:
    assert title("rcan_tiny-mtkd@1700", 4) == "RCAN student, with MTKD, after 1,700 steps"
