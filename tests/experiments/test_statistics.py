"""Paired comparisons against SciPy and against pencil and paper."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mtkd.experiments.matrix import Matrix
from mtkd.experiments.plan import load_plan
from mtkd.experiments.published import published
from mtkd.experiments.records import Records
from mtkd.experiments.statistics import Paired, pair, rank_correlation, spread, together
from mtkd.experiments.tables import Tables


def paired(*differences: float) -> Paired:
    return Paired(differences, images=5, won=3)


def scores(**psnr: float) -> dict[str, dict[str, float]]:
    """By image; the SSIM says the opposite of the PSNR, and nobody should care."""
    return {image: {"psnr": value, "ssim": 1 - value / 100} for image, value in psnr.items()}


PRINTED_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262, 121: 1.980}
"""Two-sided 95 % quantiles by number of seeds, as tables of Student's t print them."""


@pytest.mark.parametrize("seeds", PRINTED_T)
def test_interval_is_students_t(seeds):
    values = np.random.default_rng(seeds).normal(0.1, 0.05, seeds)
    found = paired(*values.tolist())
    assert found.mean == pytest.approx(values.mean())
    assert found.spread == pytest.approx(values.std(ddof=1)) == spread(values.tolist())
    half = PRINTED_T[seeds] * values.std(ddof=1) / math.sqrt(seeds)
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=3e-5)


def test_one_seed_has_no_spread():
    assert paired(0.3).spread is None and spread([]) is None
    assert paired(0.3).interval == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((5.0,), "not enough seeds"),
        ((5.0, 5.0), "not enough seeds"),
        ((-5.0, -5.0), "not enough seeds"),
        ((0.1, 0.1, 0.1), "holds"),
        ((0.3, 0.4, 0.5), "holds"),  # 0.4 +- 4.303 * 0.1 / sqrt(3) = 0.248
        ((-0.3, -0.4, -0.5), "does not hold"),
        ((0.1, 0.3, 0.5), "not enough seeds"),  # 0.3 +- 0.497
        ((-0.1, -0.3, -0.5), "not enough seeds"),
        ((0.1, 0.3, 0.5, 0.3), "holds"),  # 0.3 +- 3.182 * 0.1633 / 2 = 0.260
        ((0.05, 0.3, 0.55, 0.3), "not enough seeds"),  # 0.3 +- 0.325
    ],
)
def test_verdict(differences, verdict):
    assert paired(*differences).verdict == verdict


def test_p_of_a_paired_difference():
    differences = (0.1, 0.3, -0.05, 0.2)
    assert paired(*differences).p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert paired(0.2).p == 1 and paired(0.0, 0.0).p == 1 and paired(0.1, 0.1).p == 0


BETTER, WORSE, OPEN, CLEARLY = (0.5, 0.4, 0.6), (-0.5, -0.4, -0.6), (0.1, -0.1, 0.05), (-0.5, -0.5001, -0.4999)


@pytest.mark.parametrize(
    ("differences", "all_of_them"),
    [
        ([], "not measured"),
        ([BETTER, BETTER], "holds"),
        ([BETTER, OPEN], "not enough seeds"),
        ([BETTER, None], "not measured"),
        ([WORSE], "does not hold"),  # p = 0.013
        ([WORSE, BETTER, BETTER, BETTER], "not enough seeds"),  # one of four: 0.05 / 4
        ([CLEARLY, None, BETTER], "does not hold"),
        ([(-0.5, -0.5)], "not enough seeds"),
    ],
)
def test_together(differences, all_of_them):
    assert together([None if d is None else paired(*d) for d in differences]) == all_of_them


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
    rows = {(r.digest, "Set5"): scores(a=31 + r.seed / 100 if r.label == "mtkd" else 30) for r in matrix.rows}
    (claim,) = [claim for claim in published().claims if claim.id == "rcan-student-over-teacher"]
    found = Tables(plan, Records(runs, rows, frozenset())).claim(claim, [4])
    assert (found["comparisons"], found["least"]["seeds"], found["verdict"]) == (1, 3, "holds")
    assert found["least"]["mean"] == pytest.approx(1.02)


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
