"""Paired comparisons of runs: same seed, same images. How large a difference is, and whether seeds bear it out."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

Verdict = Literal["holds", "does not hold", "not enough seeds", "not measured"]
Scores = Mapping[str, Mapping[str, float]]
"""Image -> its metrics by name."""

LEAST_SEEDS = 3


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
        half = _t_95(count - 1) * statistics.stdev(self.differences) / math.sqrt(count)
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Two-sided p of a mean difference as large as this by chance (Student's t over seeds); 1 with one seed."""
        from scipy import stats

        count, deviation = len(self.differences), self.spread
        if deviation is None:
            return 1.0
        if deviation == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / (deviation / math.sqrt(count)), count - 1))

    @property
    def verdict(self) -> Verdict:
        """Of "the first is better than the second": the interval lies above 0, below it, or holds it."""
        low, high = self.interval
        if len(self.differences) < LEAST_SEEDS or low <= 0 <= high:
            return "not enough seeds"
        return "holds" if low > 0 else "does not hold"


@cache
def _t_95(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t."""
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))


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
    gains = [[first[seed][image]["psnr"] - second[seed][image]["psnr"] for image in images] for seed in seeds]
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


def rank_correlation(first: Sequence[float], second: Sequence[float], draws: int = 20_000) -> tuple[float, float]:
    """Spearman's rank correlation, and the share of permutations that reach it (one-sided p).

    Exact up to 7 points, else from ``draws`` random permutations, always the same, and the order that was measured.

    Raises:
        ValueError: fewer than 3 points, or all values of one side equal.
    """
    import numpy as np
    from scipy import stats

    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        raise ValueError("a rank correlation needs three points that differ")
    a, b = stats.rankdata(first), stats.rankdata(second).tolist()
    generator = random.Random(0)
    orders = itertools.permutations(b) if len(b) <= 7 else [b, *(generator.sample(b, len(b)) for _ in range(draws))]
    # the variances stay the same under permutation: comparing sums of products is enough
    products = np.array([*orders]) @ (a - a.mean())
    return float(stats.spearmanr(a, b).statistic), float(np.mean(products >= products[0] - 1e-9))
