"""Paired comparisons of runs: same seed, same images. How large a difference is, and what the seeds say about it.

A *comparison* is of two models of one scale, a difference a seed, on the primary endpoint
(:data:`~mtkd.experiments.tables.PRIMARY`). Its 97.5 % interval over the seeds (Student's t) decides, since it is looked
at twice: each look errs with 2.5 %, both together with 5 % at most.

===========================  =========================================================
better                       the interval lies above 0
better by less than 0.02 dB  ... and below +0.02 dB
level                        it lies within +-0.02 dB (as two one-sided tests), not above 0
worse                        it lies below 0 and reaches below -0.02 dB
undecided                    anything else, or fewer than three seeds
===========================  =========================================================

0.02 dB is the smallest difference of interest: about the spread of one student over its seeds (0.01 to 0.05 dB), a
tenth of the smallest gains that the paper prints, and seen by nobody.

Nothing is tested after every added seed. There are two looks: at three seeds, and at a number that is fixed once for
the comparison, from the spread of the first three (:func:`seeds_to_decide`, at most ten).
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

Verdict = Literal["better", "better by less than 0.02 dB", "level", "worse", "undecided"]
"""Of a comparison: what the first model is beside the second."""
Finding = Literal["holds", "does not hold", "undecided"]
"""Of a claim."""
Scores = Mapping[str, Mapping[str, float]]
"""Image -> its metrics by name."""

MARGIN = 0.02
"""The smallest difference of interest, dB."""
FIRST_LOOK, MOST_SEEDS = 3, 10
ALPHA = 0.025
"""Of each of the two looks, both sides together."""
VERDICTS = (
    "A comparison is of two models at one scale, paired by seed, on the images of Set14 and the held-out images "
    "together. It is *better* where the 97.5 % interval over the seeds lies above 0, *worse* where below, *level* "
    "where within ±0.02 dB (two one-sided tests), else *undecided*. It is looked at twice, each time at 2.5 %: at "
    "three seeds, and at a number of seeds that was fixed once from the spread of the first three. A claim *holds* "
    "where all comparisons that it needs are better, and *does not hold* where one is level or worse (Holm's "
    "correction over the claim's comparisons). Seeds are the students': they share their teachers and, of each kind, "
    "one aggregator, so that claims about aggregators need several aggregators of each kind."
)
"""How verdicts are reached, for people."""


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
        return self._interval(0.05)

    @property
    def tested(self) -> tuple[float, float]:
        """The 97.5 % interval, from which the verdict of a look is."""
        return self._interval(ALPHA)

    def _interval(self, alpha: float) -> tuple[float, float]:
        count = len(self.differences)
        if count < 2:
            return -math.inf, math.inf
        half = quantile(count - 1, alpha) * statistics.stdev(self.differences) / math.sqrt(count)
        return self.mean - half, self.mean + half

    def p_above(self, bound: float = 0.0) -> float:
        """One-sided p of "the mean difference lies above ``bound``" (Student's t over seeds); 1 with one seed."""
        return self._p(self.mean - bound)

    def p_below(self, bound: float = 0.0) -> float:
        """One-sided p of "the mean difference lies below ``bound``"."""
        return self._p(bound - self.mean)

    def _p(self, distance: float) -> float:
        from scipy.special import stdtr

        count, deviation = len(self.differences), self.spread
        if deviation is None:
            return 1.0
        if deviation == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stdtr(count - 1, -distance / (deviation / math.sqrt(count))))

    @property
    def verdict(self) -> Verdict:
        """Of these seeds, as if they were a look; see the module."""
        low, high = self.tested
        if len(self.differences) < FIRST_LOOK:
            return "undecided"
        if low > 0:
            return "better by less than 0.02 dB" if high < MARGIN else "better"
        if low > -MARGIN and high < MARGIN:
            return "level"
        return "worse" if high < 0 else "undecided"

    def look(self, fixed: int | None = None) -> Paired:
        """The seeds that a verdict may use: the first three, or the ``fixed`` number once they are there."""
        count = fixed if fixed and len(self.differences) >= fixed else FIRST_LOOK
        return replace(self, differences=self.differences[:count])

    def needed(self, fixed: int | None = None) -> int:
        """Seeds still needed for the next look; 0 where the verdict is there, or the last look was taken."""
        count = len(self.differences)
        if count < FIRST_LOOK:
            return FIRST_LOOK - count
        if self.look(fixed).verdict != "undecided":
            return 0
        return max((fixed or self.planned or 0) - count, 0)

    @property
    def planned(self) -> int | None:
        """Seeds of the second look, from the spread of the first three; None before these, or where they decide."""
        first = self.look()
        if len(first.differences) < FIRST_LOOK or first.verdict != "undecided":
            return None
        return min(seeds_to_decide(first.spread or 0.0), MOST_SEEDS)

    @property
    def p_against(self) -> float:
        """p of "level" or "worse", where that is the verdict; else 1."""
        if self.verdict == "level":
            return max(self.p_above(-MARGIN), self.p_below(MARGIN))
        return self.p_below() if self.verdict == "worse" else 1.0


def seeds_to_decide(deviation: float) -> int:
    """The smallest number of seeds, from three on, at which every mean would be decided, were this their spread.

    The 97.5 % interval then is no wider than 0.01 dB to each side: where it holds 0, it lies within +-0.02 dB. 100
    stands for any larger number.
    """
    counts = range(FIRST_LOOK, 100)
    return next((n for n in counts if quantile(n - 1, ALPHA) * deviation / math.sqrt(n) <= MARGIN / 2), counts.stop)


def conclude(comparisons: Sequence[tuple[Verdict, float]]) -> tuple[Finding, tuple[int, ...]]:
    """The finding on "the first is better in all of these", and which of them decide it, or leave it open.

    Args:
        comparisons: the verdict and :attr:`Paired.p_against` of each; "undecided" and 1 of one that was not measured.

    No correction is needed where all must be better; one that is level or worse must be so after Holm's correction
    (1979) over all of them.
    """
    if rejected := holm([p for _, p in comparisons], ALPHA / 2):  # each p is one-sided
        return "does not hold", rejected
    better = [verdict.startswith("better") for verdict, _ in comparisons]
    if better and all(better):
        return "holds", tuple(range(len(better)))
    return "undecided", tuple(place for place, good in enumerate(better) if not good)


def holm(p: Sequence[float], alpha: float) -> tuple[int, ...]:
    """Places of the hypotheses that Holm's step-down procedure rejects at ``alpha``."""
    order = sorted(range(len(p)), key=lambda place: p[place])
    passed = itertools.takewhile(lambda step: p[order[step]] <= alpha / (len(p) - step), range(len(p)))
    return tuple(sorted(order[step] for step in passed))


@cache
def quantile(freedom: int, alpha: float) -> float:
    """Of Student's t, two-sided: ``alpha`` is what lies beyond it, both sides together."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(freedom, 1 - alpha / 2))


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
