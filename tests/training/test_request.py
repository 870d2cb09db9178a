"""What is asked for: a recipe in fewer steps, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtkd.errors import UserError
from mtkd.experiments.plan import load_recipe
from mtkd.training.request import check, shortened
from tests.training.conftest import DISTILL, small_recipe, write_images


def test_fewer_steps_shorten_everything_in_proportion() -> None:
    """A tenth and a fiftieth of 10,000 steps, by hand."""
    recipe = load_recipe("mini/edsr_tiny-mtkd")
    assert (recipe.iterations, recipe.schedule.warmup, recipe.ema) == (10_000, 500, 0.999)
    tenth, fiftieth = shortened(recipe, 1000), shortened(recipe, 200)
    assert (tenth.schedule.warmup, tenth.log_every, tenth.validate_every, tenth.checkpoint_every) == (50, 5, 200, 50)
    assert tenth.ema == pytest.approx(0.99) and fiftieth.ema == pytest.approx(0.95)
    assert (fiftieth.schedule.warmup, fiftieth.log_every, fiftieth.validate_every) == (10, 1, 40)
    assert tenth.snapshots == (15, 28, 50, 90, 170, 300, 550, 1000)
    for at in (20, 60, 190):
        assert fiftieth.schedule.factor(at, 200) == pytest.approx(recipe.schedule.factor(50 * at, 10_000), rel=0.1)


def test_a_very_short_run_is_not_all_validation() -> None:
    short = shortened(load_recipe("paper/edsr_baseline-mtkd"), 100)
    assert (short.validate_every, short.checkpoint_every, short.log_every) == (5, 5, 1)


def test_more_steps_change_nothing_else() -> None:
    recipe = load_recipe("mini/edsr_tiny-mtkd")
    assert shortened(recipe, 20_000) == recipe.model_copy(update={"iterations": 20_000})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "edsr_tiny-mtkd", "scale": 4}, "bundled model for scale 4; choose another name"),
        ({**DISTILL, "teachers": ["nobody"]}, "teacher nobody is missing"),
        ({**DISTILL, "method": {"name": "mtkd", "options": {"alhpa": 1}}}, "did you mean 'alpha'"),
        ({**DISTILL, "method": {"name": "fakd"}, "teachers": ["merged"]}, "declares none"),
        ({"lr_patch": 32}, "its shorter side is"),
    ],
)
def test_refused_before_it_starts(changes: dict[str, Any], message: str, small_images: Path, in_zoo: Path) -> None:
    recipe = small_recipe(small_images, **changes)
    with pytest.raises(UserError, match=message.replace("(", "\\(")):
        check(recipe)


@pytest.mark.parametrize("holdout", [6, 20])
def test_too_few_images(holdout: int, small_images: Path) -> None:
    with pytest.raises(UserError, match=f"6 images, too few to hold {holdout} out"):
        check(small_recipe(small_images, data={"train": str(small_images), "holdout": holdout}))


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    images = write_images(tmp_path)
    (images / "c.png").write_text("no image")
    with pytest.raises(UserError, match="c.png: not an image"):
        check(small_recipe(images))


def test_what_can_be_trained_passes(small_images: Path, in_zoo: Path) -> None:
    for changes in ({}, DISTILL, {"method": {"name": "fakd"}, "stage": "distill", "teachers": ["ada"]}):
        check(small_recipe(small_images, **changes))
