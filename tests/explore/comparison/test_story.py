"""What distillation does on one picture: numbers by hand, and the places of the bundled examples found again."""

from __future__ import annotations

import numpy as np
import pytest

from mtkd.data.examples import PICTURES, example
from mtkd.explore import Comparison, Result, compare, default_models
from mtkd.explore.comparison.region import Region
from mtkd.explore.comparison.story import Story, most_helped, story
from mtkd.images import UInt8Image
from mtkd.metrics import measure_possible

TRUTH = np.random.default_rng(0).integers(60, 180, (96, 120, 3)).astype(np.uint8)
SLACK = 0.15
"""dB that the stored places may lie below the best window: beside it, something is seen whole."""


def off(by: int, rows: slice = slice(None)) -> UInt8Image:
    """The ground truth, ``by`` levels too bright in some rows."""
    image = TRUTH.astype(int)
    image[rows] += by
    return image.astype(np.uint8)


def result(name: str, image: UInt8Image, role: str = "student", cost: int = 4, **about: str) -> Result:
    values = measure_possible(image, TRUTH, 4, ("psnr",))
    return Result(name, role, 1, cost, 0.1, image, values, title=name, **about)


def compared(*results: Result, bicubic: UInt8Image | None = None) -> Comparison:
    over = measure_possible(off(20) if bicubic is None else bicubic, TRUTH, 4, ("psnr",))["psnr"]
    return Comparison(4, TRUTH[::4, ::4], TRUTH, results, over, metrics=("psnr",))


ALONE = result("S, alone", off(10), network="s", method="scratch")
TAUGHT = result("S, taught", np.concatenate([off(5)[:48], off(12)[48:72], off(10)[72:]]), network="s", method="mtkd")
TEACHER = result("Combined", off(2), "aggregator", 60)


def test_numbers_are_those_counted_by_hand() -> None:
    other = result("S, other", off(1), network="s", method="kd")
    found = story(compared(TEACHER, other, TAUGHT, ALONE), Region(0, 0, 48, 120))
    assert found is not None and (found.alone.name, found.distilled.name) == ("S, alone", "S, taught")
    assert (found.closer, found.farther) == (48 / 96, 24 / 96)  # where it is 5 off, not 10; where it is 12 off
    assert found.compute == 15
    assert found.gain_in_region == pytest.approx(20 * np.log10(2))  # half the error
    over = 20 * np.log10(255 / (20 * 219 / 255))  # 20 levels too bright; 219 levels of luma for 255 of R, G and B
    assert found.kept == pytest.approx((TAUGHT.psnr - over) / (20 * np.log10(10)))
    text = found.sentence()
    assert "on 50 % of the pixels closer to the ground truth than the same student alone, on 25 % farther" in text
    assert f"{found.gain:+.2f} dB, +6.02 dB in the region; it needs 15 times fewer multiply-adds" in text
    assert found.beside() == "S, other: +20.00 dB over the student alone, +20.00 dB in the region."  # a tenth


def test_the_student_of_the_story_is_taken_before_a_variant() -> None:
    names = ["rcan_tiny-v1", "rcan_tiny-scratch", "rcan_tiny-kd", "rcan_tiny-mtkd"]
    found = story(compare(TRUTH, names, 4))
    assert found is not None and (found.alone.name, found.distilled.name) == ("rcan_tiny-scratch", "rcan_tiny-mtkd")
    variant = story(compare(TRUTH, names[:3], 4))
    assert variant is not None and variant.distilled.name == "rcan_tiny-v1"


def test_without_a_pair_or_a_ground_truth_there_is_none() -> None:
    assert story(compared(TAUGHT, TEACHER)) is None
    assert story(compared(ALONE, result("T", off(1), network="t", method="mtkd"))) is None
    low = compare(TRUTH[:24, :24], ["rcan_tiny-scratch", "rcan_tiny-mtkd"], 4, ground_truth=False)
    assert story(low) is None
    alone = story(compared(ALONE, TAUGHT))
    assert alone is not None and alone.beside() == ""
    assert alone is not None and alone.compute is None and "multiply-adds" not in alone.sentence()
    worse = story(compared(ALONE, TAUGHT, TEACHER, bicubic=off(1)))
    assert worse is not None and worse.kept is None and "bicubic" not in worse.sentence()


def test_the_window_where_it_helps_most_is_found() -> None:
    """The student alone is wrong in two windows: by more in the one where the distilled student is no better."""
    alone, taught = off(2), off(2)
    alone[8:56, 12:60], taught[8:56, 12:60] = off(12)[8:56, 12:60], off(8)[8:56, 12:60]
    alone[40:88, 68:116], taught[40:88, 68:116] = off(40)[40:88, 68:116], off(39)[40:88, 68:116]
    results = (result("a", alone, network="s", method="scratch"), result("b", taught, network="s", method="mtkd"))
    told = story(compared(*results, result("c", off(1), "aggregator")))
    assert told is not None and most_helped(told, TRUTH) == Region(8, 12, 48, 48)
    without = story(compared(*results))
    assert without is not None and most_helped(without, TRUTH) is None


@pytest.fixture(scope="module")
def stories() -> dict[str, tuple[Comparison, Story]]:
    return {}


@pytest.mark.parametrize(
    "name",
    [e.name if number == 0 else pytest.param(e.name, marks=pytest.mark.sweep) for number, e in enumerate(PICTURES)],
)
def test_places_of_the_examples_are_where_distillation_helps_most(name: str) -> None:
    picture = example(name)
    comparison = compare(picture.read(), default_models(4), 4)
    told, place = story(comparison), picture.place
    assert told is not None and comparison.hr_image is not None
    best = most_helped(told, comparison.hr_image)
    assert (place is None) == (best is None)
    if place is None or best is None:
        return
    gains = [story(comparison, region).gain_in_region for region in (Region(*place.region), best)]  # type: ignore[union-attr]
    assert gains[0] is not None and gains[1] is not None and gains[0] > 0.25 and gains[1] - SLACK < gains[0]
