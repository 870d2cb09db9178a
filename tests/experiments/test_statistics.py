"""Paired comparisons against SciPy and against pencil and paper."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mtkd.experiments.claims import check
from mtkd.experiments.matrix import Matrix
from mtkd.experiments.plan import load_plan
from mtkd.experiments.published import published
from mtkd.experiments.records import Records
from mtkd.experiments.runner import HELD_OUT
from mtkd.experiments.statistics import (
    Paired,
    conclude,
    holm,
    pair,
    rank_correlation,
    seeds_to_decide,
    spread,
)
from mtkd.experiments.tables import Tables


def paired(*differences: float) -> Paired:
    return Paired(differences, images=5, won=3)


def scores(**psnr: float) -> dict[str, dict[str, float]]:
    """By image; the SSIM says the opposite of the PSNR, and nobody should care."""
    return {image: {"psnr": value, "ssim": 1 - value / 100} for image, value in psnr.items()}


PRINTED_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262, 121: 1.980}
"""Two-sided 95 % quantiles by number of seeds, as tables of Student's t print them."""
PRINTED_TESTED = {3: 6.205, 4: 4.177, 5: 3.495, 10: 2.685}
"""The same for 97.5 %."""


@pytest.mark.parametrize("seeds", PRINTED_T)
def test_interval_is_students_t(seeds):
    values = np.random.default_rng(seeds).normal(0.1, 0.05, seeds)
    found = paired(*values.tolist())
    assert found.mean == pytest.approx(values.mean())
    assert found.spread == pytest.approx(values.std(ddof=1)) == spread(values.tolist())
    half = PRINTED_T[seeds] * values.std(ddof=1) / math.sqrt(seeds)
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=3e-5)


@pytest.mark.parametrize("seeds", PRINTED_TESTED)
def test_a_verdict_is_from_the_interval_of_one_of_two_looks(seeds):
    values = np.random.default_rng(seeds).normal(0.1, 0.05, seeds)
    half = PRINTED_TESTED[seeds] * values.std(ddof=1) / math.sqrt(seeds)
    assert paired(*values.tolist()).tested == pytest.approx((values.mean() - half, values.mean() + half), abs=3e-5)


def test_one_seed_has_no_spread():
    assert paired(0.3).spread is None and spread([]) is None
    assert paired(0.3).interval == (-math.inf, math.inf)


LESS = "better by less than 0.02 dB"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((5.0,), "undecided"),
        ((5.0, 5.0), "undecided"),
        ((-5.0, -5.0), "undecided"),
        ((0.1, 0.1, 0.1), "better"),
        ((0.3, 0.4, 0.5), "better"),  # 0.4 +- 6.205 * 0.1 / sqrt(3) = 0.358
        ((0.2, 0.3, 0.4), "undecided"),  # 0.3 +- 0.358; the 95 % interval, +- 0.248, would lie above 0
        ((-0.3, -0.4, -0.5), "worse"),
        ((0.1, 0.3, 0.5), "undecided"),  # 0.3 +- 0.716
        ((-0.1, -0.3, -0.5), "undecided"),
        ((0.2, 0.3, 0.4, 0.3), "better"),  # 0.3 +- 4.177 * 0.0816 / 2 = 0.171
        ((0.1, 0.3, 0.5, 0.3), "undecided"),  # 0.3 +- 0.341
        ((0.009, 0.010, 0.011), LESS),  # 0.010 +- 0.0036
        ((0.017, 0.018, 0.019), "better"),  # 0.018 +- 0.0036: 0.02 is not excluded
        ((-0.004, 0.0, 0.004), "level"),  # +- 0.0143
        ((-0.006, 0.0, 0.006), "undecided"),  # +- 0.0215
        ((-0.009, -0.010, -0.011), "level"),
        ((-0.018, -0.019, -0.020), "worse"),  # -0.019 +- 0.0036
    ],
)
def test_verdict(differences, verdict):
    assert paired(*differences).verdict == verdict


@pytest.mark.parametrize("bound", [0.0, 0.02, -0.02])
def test_p_of_a_paired_difference(bound):
    differences = (0.1, 0.3, -0.05, 0.2)
    for side, found in (
        ("greater", paired(*differences).p_above(bound)),
        ("less", paired(*differences).p_below(bound)),
    ):
        assert found == pytest.approx(stats.ttest_1samp(differences, bound, alternative=side).pvalue)
    assert paired(0.2).p_above() == 1 and paired(0.0, 0.0).p_above() == 1 and paired(0.1, 0.1).p_above() == 0


def test_p_against_is_that_of_the_verdict():
    """Level: the larger of the two one-sided tests against the bounds."""
    level, worse = (0.004, 0.0, 0.005), (-0.3, -0.4, -0.5)
    sides = [stats.ttest_1samp(level, -0.02, alternative="greater"), stats.ttest_1samp(level, 0.02, alternative="less")]
    assert paired(*level).p_against == pytest.approx(max(side.pvalue for side in sides))
    assert paired(*worse).p_against == pytest.approx(stats.ttest_1samp(worse, 0, alternative="less").pvalue)
    assert paired(0.3, 0.4, 0.5).p_against == 1


FIRST = (0.002, 0.012, 0.022)
"""Undecided; spread 0.010: 2.841 * 0.010 / sqrt(8) = 0.01005, 2.752 * 0.010 / 3 = 0.00917, so nine."""


def test_seeds_to_decide():
    assert seeds_to_decide(0.0) == 3
    assert seeds_to_decide(0.0027) == 3 and seeds_to_decide(0.0028) == 4  # 6.205 * 0.0028 / sqrt(3) = 0.01003
    assert seeds_to_decide(0.010) == 9
    assert seeds_to_decide(1) == 100
    assert paired(*FIRST).planned == 9 and paired(*FIRST).needed() == 6
    assert paired(0.0, 0.5, -0.5).planned == 10
    assert paired(0.3, 0.4, 0.5).planned is None and paired(0.3, 0.4, 0.5).needed() == 0
    assert paired(0.3).planned is None and paired(0.3).needed() == 2


def test_nothing_is_tested_between_the_looks():
    """The fourth and fifth seed would decide; they count when five were fixed, not before or after."""
    more = (*FIRST, 0.012, 0.012)
    assert paired(*FIRST).verdict == "undecided" and paired(*more).verdict == "better"  # 0.012 +- 0.0111
    assert paired(*more).look().differences == FIRST and paired(*more).look(9).differences == FIRST
    assert paired(*more).look(5).differences == more
    assert paired(*more, 0.012).look(5).differences == more
    assert (paired(*more).needed(9), paired(*FIRST).needed(5), paired(*more).needed(5)) == (4, 2, 0)


def test_holm_by_hand():
    """Holm's steps at 5 %: 0.05 / 4, 0.05 / 3, 0.05 / 2, 0.05, until one is missed."""
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == (0, 3)  # 0.005 and 0.01 pass, 0.03 > 0.025 stops
    assert holm([0.02, 0.001], 0.05) == (0, 1)
    assert holm([0.03, 0.03], 0.05) == () == holm([], 0.05)
    assert holm([0.04], 0.05) == (0,)


BETTER, WORSE, OPEN, CLEARLY = (0.5, 0.4, 0.6), (-0.5, -0.4, -0.6), (0.1, -0.1, 0.05), (-0.5, -0.5001, -0.4999)


@pytest.mark.parametrize(
    ("differences", "finding", "decisive"),
    [
        ([], "undecided", ()),
        ([BETTER, BETTER], "holds", (0, 1)),
        ([BETTER, (0.009, 0.010, 0.011)], "holds", (0, 1)),
        ([BETTER, OPEN], "undecided", (1,)),
        ([BETTER, None], "undecided", (1,)),
        ([WORSE], "does not hold", (0,)),  # p = 0.0066
        ([WORSE, BETTER, BETTER, BETTER], "undecided", (0,)),  # one of four: 0.025 / 4 = 0.00625
        ([CLEARLY, None, BETTER], "does not hold", (0,)),
        ([BETTER, (0.0001, 0.0, -0.0001)], "does not hold", (1,)),
        ([(-0.5, -0.5)], "undecided", (0,)),
    ],
)
def test_conclude(differences, finding, decisive):
    comparisons = [("undecided", 1.0) if d is None else (paired(*d).verdict, paired(*d).p_against) for d in differences]
    assert conclude(comparisons) == (finding, decisive)


def test_pairing_by_seed_and_image():
    """Gains of seed 1: 1, -0.5, -3, 0.5; of seed 2: 1.5, 1, 1, -0.5; by image 1.25, 0.25, -1, 0: two are won."""
    first = {1: scores(a=30, b=31, c=20, d=25), 2: scores(a=32, b=33, c=24, d=25)}
    second = {2: scores(d=25.5, c=23, b=32, a=30.5), 1: scores(d=24.5, c=23, b=31.5, a=29)}
    found = pair(first, second)
    assert found.differences == pytest.approx((-0.5, 0.75))
    assert (found.images, found.won) == (4, 2)
    turned = pair(second, first)
    assert turned.differences == pytest.approx((0.5, -0.75)) and turned.won == 1


def test_only_common_seeds_and_images_count():
    first = {1: scores(a=90), 2: scores(a=31, b=32, c=33), 4: scores(a=33, b=35)}
    second = {4: scores(a=30, b=31, c=9), 2: scores(a=30, b=30), 5: scores(a=1)}
    found = pair(first, second)
    assert found.differences == pytest.approx((1.5, 3.5))
    assert (found.images, found.won) == (2, 2)


ONE, SEEDED = {None: scores(a=30, b=30)}, {3: scores(a=31, b=29), 1: scores(a=33, b=30)}


@pytest.mark.parametrize(
    ("first", "second", "differences"),
    [
        (SEEDED, ONE, (1.5, 0)),
        (ONE, SEEDED, (-1.5, 0)),
        (ONE, {7: scores(a=29)}, (1,)),
        ({7: scores(a=29)}, ONE, (-1,)),
        (ONE, {None: scores(b=28)}, (2,)),
    ],
)
def test_a_row_without_seeds_serves_every_seed(first, second, differences):
    assert pair(first, second).differences == pytest.approx(differences)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({}, SEEDED),
        (ONE, {}),
        (SEEDED, {2: scores(a=1), 4: scores(a=1)}),
        (SEEDED, {1: scores(x=1), 3: scores(x=1)}),
        (SEEDED, {1: scores(a=1), 3: scores(b=1)}),
    ],
)
def test_nothing_in_common(first, second):
    assert pair(first, second) is None


@pytest.mark.parametrize("others", [{1: scores(a=1)}, SEEDED])
def test_one_seed_does_not_stand_for_another(others):
    assert pair({2: scores(a=1)}, others) is None
    assert pair(others, {2: scores(a=1)}) is None


def test_a_full_teacher_serves_every_seed_of_its_student():
    """Its own seed, 3, is none of the student's."""
    plan = load_plan("mini")
    matrix = Matrix(plan, "images")
    matrix.add("table2", [4], [1, 2, 3], ["mtkd", "full"])
    runs = {digest: {"seed": run.seed, "images": "images"} for digest, run in matrix.runs.items()}
    rows = {
        (r.digest, name): scores(a=31 + r.seed / 100 if r.label == "mtkd" else 30)
        for r in matrix.rows
        for name in ("Set14", HELD_OUT)
    }
    (claim,) = [claim for claim in published().claims if claim.id == "rcan-student-over-teacher"]
    found = check(Tables(plan, Records(runs, rows, frozenset())), claim, [4])
    (one,) = found["comparisons"]
    assert (one["seeds"], one["mean"], found["verdict"]) == (3, pytest.approx(1.02), "holds")


def exact(first: list[float], second: list[float]) -> tuple[float, float]:
    """Spearman's correlation by SciPy; the share of all orders of ``second`` that reach it, counted."""
    orders = np.array(list(itertools.permutations(stats.rankdata(second))))
    ranks = stats.rankdata(first)
    correlations = (orders - orders.mean()) @ (ranks - ranks.mean()) / len(ranks) / orders[0].std() / ranks.std()
    found = stats.spearmanr(first, second).statistic
    return found, np.mean(correlations >= found - 1e-9)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_rank_correlation_of_few_points_is_exact(count, ties):
    generator = np.random.default_rng(count)
    for _ in range(3):
        first, second = generator.permutation(count), generator.permutation(count) - generator.permutation(count)
        if ties:
            first, second = first // 2, np.maximum(second, 0)
            second[0] += 5  # never all equal
        points = first.astype(float).tolist(), second.astype(float).tolist()
        if len(set(points[1])) > 1:
            assert rank_correlation(*points) == pytest.approx(exact(*points), abs=1e-9)


@pytest.mark.parametrize("second", [[3, 1, 2, 6, 4, 8, 5, 7], [1, 1, 2, 2, 2, 3, 0, 3], [8, 7, 6, 5, 4, 3, 2, 1]])
def test_rank_correlation_of_more_points_is_drawn(second):
    first = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    correlation, p = exact(first, second)
    found = rank_correlation(first, second)
    assert found[0] == pytest.approx(correlation)
    assert found[1] == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000) + 1e-12)
    assert rank_correlation(first, second) == found


def test_rank_correlation_by_hand():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 99]) == pytest.approx((1, 1 / 24))
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx((-1, 1))


@pytest.mark.parametrize(("first", "second"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [4, 4, 4])])
def test_too_little_for_a_rank_correlation(first, second):
    with pytest.raises(ValueError, match="three points that differ"):
        rank_correlation(first, second)
