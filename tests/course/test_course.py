"""What the lessons compute beside the library: every number worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from IPython.display import Markdown
from PIL import Image

from mtkd.course.lessons import Controls, lesson
from mtkd.course.oracle import oracle_gain
from mtkd.course.wavelets import equal_errors
from mtkd.errors import UserError
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.evidence.charts import bars, lines


def test_an_oracle_gains_what_the_better_pixels_give() -> None:
    first = np.array([[1.0, 2.0], [1.0, 2.0]])
    residuals = np.stack([first, -first[:, ::-1]])  # each image alone: mean square 2.5; the better of both: 1
    assert oracle_gain(residuals) == pytest.approx(10 * math.log10(2.5))
    assert oracle_gain(residuals, block=2) == pytest.approx(0)
    assert oracle_gain(residuals, over=np.full((2, 2), 3.0)) == pytest.approx(10 * math.log10(9))
    with pytest.raises(ValueError, match="a block of 3 pixels"):
        oracle_gain(residuals, block=3)


def test_the_four_errors_have_one_size_and_their_kinds() -> None:
    image = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(1))
    errors = equal_errors(image, 0.02)
    assert set(errors) == {"blur", "shift", "ringing", "offset"}
    for error in errors.values():
        assert error.shape == image.shape
        assert float(error.square().mean().sqrt()) == pytest.approx(0.02, rel=1e-4)
    assert float(errors["offset"].std()) == pytest.approx(0, abs=1e-7)
    towards = image[..., :-1] - image[..., 1:]  # of the image moved by one pixel, up to the size
    ratio = errors["shift"][..., 1:] / towards
    assert float(ratio.std() / ratio.mean()) < 1e-2
    smooth = torch.linspace(0, 1, 48).expand(3, 32, 48)
    inner = equal_errors(smooth, 0.02)["blur"][..., 8:-8, 8:-8]
    assert float(inner.abs().max()) < 1e-3  # a blur leaves a slope as it is


def test_controls_show_what_the_function_returns_for_their_values() -> None:
    def show(side: int, text: bool):
        return Markdown(f"**{side}**") if text else Image.new("RGB", (side, side), (255, 0, 0))

    controls = Controls(show, side=(1, 5), text=False)
    assert controls.result.size == (3, 3) and controls.children[-1].value.startswith('<img src="data:image/png;base64,')
    side, text = controls.kwargs_widgets
    side.value = 5
    assert controls.result.size == (5, 5)
    text.value = True
    assert "<strong>5</strong>" in controls.children[-1].value


def test_a_lesson_is_its_recipe_made_short() -> None:
    recipe = lesson("edsr_tiny-mtkd", 40, ["method.options.alpha=0.3"])
    assert (recipe.iterations, recipe.batch, recipe.data.holdout) == (40, 4, 1)
    assert recipe.method.options["alpha"] == 0.3 and recipe.teachers == ("aggregator_mini",)
    with pytest.raises(UserError, match="edsr_tiny-mtkd"):
        lesson("edsr_tiny-mtdk", 40)


def test_sheets_and_charts_have_room_for_their_words() -> None:
    narrow = np.zeros((10, 10, 3), np.uint8)
    one = sheet([("a rather long name", "", narrow)])
    assert one.width > 100 and one.height == 10 + 26 + 8 + 8
    two = sheet([("a", "below", narrow), ("b", "", narrow)], zoom=3, columns=2)
    assert two.height == 30 + 42 + 16
    assert bars({"L1": {"blur": 0.1}, "DCT": {"blur": 0.2, "shift": 0.3}}, "loss").width == 990
    assert lines({"one": ([1, 2], [3.0, 4.0])}, "step", "dB").width == 990
