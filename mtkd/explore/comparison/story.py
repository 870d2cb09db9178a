"""What distillation does on one picture: how much nearer, what it gains, what it costs; and where it helps most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtkd.explore.comparison.choices import DISTILLED, PLAIN, SCRATCH, default_models
from mtkd.explore.comparison.core import Comparison, Result
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.colours import luma_error
from mtkd.images import UInt8Image
from mtkd.numbers import signed

SIDE, STEP = 48, 4
"""Pixels of the windows in which :func:`most_helped` looks, and from one to the next."""
LOST = 30
"""dB: a window in which the student alone is nearer to the ground truth than this has lost nothing that one sees."""


@dataclass(frozen=True)
class Story:
    """A student trained alone and with distillation, and the combined teacher, on one picture with ground truth.

    Attributes:
        alone, distilled, combined: the results; ``combined`` is None where no aggregator is compared.
        closer, farther: shares of the pixels on which the distilled student is nearer to the ground truth than the
            student alone (sum of the absolute differences of R, G and B), and farther from it.
        gain: PSNR over the student alone, dB.
        gain_in_region: the same in the region that was asked for.
        compute: how many times fewer multiply-adds the student takes than the combined teacher.
        kept: the student's part of the combined teacher's gain over bicubic, in PSNR; None where that has none.
        plain: the same student with plain KD, None where it is not compared; its gains over the student alone.
    """

    alone: Result
    distilled: Result
    combined: Result | None
    closer: float
    farther: float
    gain: float
    gain_in_region: float | None
    compute: float | None
    kept: float | None
    plain: Result | None = None
    plain_gain: float | None = None
    plain_gain_in_region: float | None = None

    def sentence(self) -> str:
        """All of it in one plain sentence."""
        parts = [
            f"{self.distilled.title}: on {_percent(self.closer)} of the pixels closer to the ground truth than the "
            f"same student alone, on {_percent(self.farther)} farther; {signed(self.gain)} dB"
        ]
        if self.gain_in_region is not None:
            parts.append(f", {signed(self.gain_in_region)} dB in the region")
        if self.combined is not None and self.compute is not None:
            parts.append(f"; it needs {self.compute:.0f} times fewer multiply-adds than {_lower(self.combined.title)}")
            if self.kept is not None:
                parts.append(f" and has {_percent(self.kept)} of its gain over bicubic")
        return "".join(parts) + "."

    def beside(self) -> str:
        """Where plain KD stands, in a sentence; "" where it is not compared."""
        if self.plain is None or self.plain_gain is None:
            return ""
        region = self.plain_gain_in_region
        inside = "" if region is None else f", {signed(region)} dB in the region"
        return f"{self.plain.title}: {signed(self.plain_gain)} dB over the student alone{inside}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _lower(title: str) -> str:
    return "the " + (title if title[:2].isupper() else title[0].lower() + title[1:])


def story(comparison: Comparison, region: Region | None = None) -> Story | None:
    """The story of a comparison; None without ground truth, or without a student alone and one with distillation.

    Of several distilled students that of the preset "Story" is taken, or else the first with MTKD, or the first.

    Raises:
        UserError: the region leaves the image.
    """
    truth, pair = comparison.hr_image, _pair(comparison)
    if truth is None or pair is None:
        return None
    alone, distilled = pair
    if alone.psnr is None or distilled.psnr is None:
        return None
    far, near = (_distance(result.image, truth) for result in (alone, distilled))
    inside = comparison.quality_in(region) if region else {}
    combined = next((result for result in comparison.results if result.role == "aggregator"), None)
    plain = _plain(comparison, alone, distilled)
    return Story(
        alone,
        distilled,
        combined,
        float((near < far).mean()),
        float((near > far).mean()),
        distilled.psnr - alone.psnr,
        _difference(inside, distilled, alone),
        combined.multiply_adds / distilled.multiply_adds
        if combined and combined.multiply_adds and distilled.multiply_adds
        else None,
        _kept(distilled.psnr, combined.psnr if combined else None, comparison.bicubic_psnr),
        plain,
        plain.psnr - alone.psnr if plain and plain.psnr is not None else None,
        _difference(inside, plain, alone) if plain else None,
    )


def _pair(comparison: Comparison) -> tuple[Result, Result] | None:
    """The student alone, and the same network with distillation."""
    students = [result for result in comparison.results if result.role == "student"]
    alone = {result.network: result for result in reversed(students) if result.method == SCRATCH}
    distilled = [r for r in students if r.method not in (SCRATCH, None) and r.network in alone]
    if not distilled:
        return None
    usual = default_models(comparison.scale)
    chosen = min(distilled, key=lambda r: (r.name not in usual, r.method != DISTILLED))
    return alone[chosen.network], chosen


def _plain(comparison: Comparison, alone: Result, distilled: Result) -> Result | None:
    same = (result for result in comparison.results if result.role == "student" and result.network == alone.network)
    return next((result for result in same if result.method == PLAIN and result.name != distilled.name), None)


def _distance(image: UInt8Image, truth: UInt8Image) -> NDArray[np.int64]:
    distances: NDArray[np.int64] = np.abs(image.astype(np.int64) - truth).sum(axis=2)
    return distances


def _difference(inside: Mapping[str, Mapping[str, float | None]], first: Result, second: Result) -> float | None:
    values = [inside.get(result.name, {}).get("psnr") for result in (first, second)]
    return None if values[0] is None or values[1] is None else values[0] - values[1]


def _kept(student: float, combined: float | None, bicubic: float | None) -> float | None:
    if combined is None or bicubic is None or combined <= bicubic:
        return None
    return (student - bicubic) / (combined - bicubic)


def most_helped(story: Story, truth: UInt8Image) -> Region | None:
    """Where distillation helps most: a window of ``SIDE`` squared pixels, every ``STEP`` pixels.

    Of the windows in which the student alone visibly loses something (at most ``LOST`` dB, on luma), and in which the
    combined teacher is nearer still to the ground truth than the distilled student, the one of the largest gain in dB.
    None where there is no such window, or no combined teacher.
    """
    if story.combined is None or min(truth.shape[:2]) < SIDE:
        return None
    squared = {
        r.name: _windows(luma_error(r.image, truth) ** 2) for r in (story.alone, story.distilled, story.combined)
    }
    alone, distilled, combined = squared.values()
    lost = (alone >= 255**2 / 10 ** (LOST / 10)) & (combined < distilled) & (distilled < alone)
    if not lost.any():
        return None
    gains = np.where(lost, alone / np.maximum(distilled, 1e-9), 0)
    row, column = divmod(int(gains.argmax()), gains.shape[1])
    return Region(STEP * row, STEP * column, SIDE, SIDE)


def _windows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of the windows, (rows, columns)."""
    table = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = table[SIDE:, SIDE:] - table[:-SIDE, SIDE:] - table[SIDE:, :-SIDE] + table[:-SIDE, :-SIDE]
    means: NDArray[np.float64] = sums[::STEP, ::STEP] / SIDE**2
    return means
