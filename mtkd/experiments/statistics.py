"""Paired comparisons of runs: same seed, same images. How large a difference is, and whether seeds bear it out."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "does not hold", "not enough seeds", "not measured"]
Scores = Mapping[str, tuple[float, float]]
"""Image -> (PSNR, SSIM)."""

LEAST_SEEDS = 3
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; the last serves all larger ones."""


@dataclass(frozen=True)
class Paired:
    """Differences in PSNR (dB) between two rows on one set.

    Attributes:
        differences: by seed, the mean over the images.
        images: their number.
        won: on how many of them the first row is better, in the mean over the seeds.
    """

    differences: tuple[float, ...]
    images: int
    won: int

    @property
    def mean(self) -> float:
        return statistics.fmean(self.differences)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None with one seed."""
        return spread(self.differences)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the mean difference over seeds (Student's t); infinite with one seed."""
        count = len(self.differences)
        if count < 2:
            return -math.inf, math.inf
        half = T_95[min(count - 1, len(T_95)) - 1] * statistics.stdev(self.differences) / math.sqrt(count)
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Two-sided p of a mean difference as large as this by chance (Student's t over seeds); 1 with one seed."""
        count, deviation = len(self.differences), self.spread
        if deviation is None:
            return 1.0
        if deviation == 0:
            return 1.0 if self.mean == 0 else 0.0
        return t_two_sided(self.mean / (deviation / math.sqrt(count)), count - 1)

    @property
    def verdict(self) -> Verdict:
        """Of "the first is better than the second": the interval lies above 0, below it, or holds it."""
        low, high = self.interval
        if len(self.differences) < LEAST_SEEDS or low <= 0 <= high:
            return "not enough seeds"
        return "holds" if low > 0 else "does not hold"


def t_two_sided(t: float, freedom: int) -> float:
    """P(|T| > |t|) of Student's t with a whole number of degrees of freedom (Abramowitz and Stegun, 26.7.3, 26.7.4)."""
    angle = math.atan(abs(t) / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    term = total = math.cos(angle) if freedom % 2 else 1.0
    for k in range(3 if freedom % 2 else 2, freedom - 1, 2):
        term *= square * (k - 1) / k
        total += term
    if freedom % 2:
        within = 2 / math.pi * (angle + (math.sin(angle) * total if freedom > 1 else 0))
    else:
        within = math.sin(angle) * total
    return max(0.0, 1 - within)


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def pair(first: Mapping[int | None, Scores], second: Mapping[int | None, Scores]) -> Paired | None:
    """Compare two rows, given by seed. A row under ``None``, a single run, serves every seed of the other.

    None where they have no seed or no images in common.
    """
    if None in first and None not in second:
        first = dict.fromkeys(second, first[None])
    if None in second and None not in first:
        second = dict.fromkeys(first, second[None])
    seeds = sorted(first.keys() & second.keys(), key=lambda seed: -1 if seed is None else seed)
    if not seeds:
        return None
    images = sorted(set.intersection(*({*first[s]} & {*second[s]} for s in seeds)))
    if not images:
        return None
    gains = [[first[seed][image][0] - second[seed][image][0] for image in images] for seed in seeds]
    by_image = [statistics.fmean(column) for column in zip(*gains, strict=True)]
    return Paired(tuple(statistics.fmean(row) for row in gains), len(images), sum(gain > 0 for gain in by_image))


def together(pairs: Sequence[Paired | None]) -> Verdict:
    """The verdict on "the first is better in all of these"; None is a comparison that was not measured.

    It holds where every one does. It does not where one lies below 0 by a two-sided test at 5 %, Bonferroni-corrected:
    5 % shared among all comparisons.
    """
    measured = [paired for paired in pairs if paired is not None]
    enough = [paired for paired in measured if len(paired.differences) >= LEAST_SEEDS]
    if any(paired.mean < 0 and paired.p < 0.05 / len(measured) for paired in enough):
        return "does not hold"
    if len(measured) < len(pairs) or not pairs:
        return "not measured"
    return "holds" if all(paired.verdict == "holds" for paired in measured) else "not enough seeds"


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]


def rank_correlation(first: Sequence[float], second: Sequence[float], draws: int = 20_000) -> tuple[float, float]:
    """Spearman's rank correlation, and the share of permutations that reach it (one-sided p).

    Exact up to 7 points, else from ``draws`` random permutations, always the same.

    Raises:
        ValueError: fewer than 3 points, or all values of one side equal.
    """
    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        raise ValueError("a rank correlation needs three points that differ")
    a, b = _ranks(first), _ranks(second)
    found = statistics.correlation(a, b)
    if len(a) <= 7:
        others = [list(order) for order in itertools.permutations(b)]
    else:
        generator = random.Random(0)
        others = [generator.sample(b, len(b)) for _ in range(draws)]
    middle = statistics.fmean(a)
    # the variances stay the same under permutation: comparing sums of products is enough
    centred = [x - middle for x in a]
    reached = sum(x * y for x, y in zip(centred, b, strict=True)) - 1e-9
    count = sum(sum(x * y for x, y in zip(centred, order, strict=True)) >= reached for order in others)
    drawn = len(a) > 7  # the order that was found is one of the possible ones
    return found, (count + drawn) / (len(others) + drawn)
