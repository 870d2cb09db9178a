"""Exercises of lesson 12: counting in the paper's tables, and the number of seeds."""

from __future__ import annotations

import math

from mtkd.course.grade.kinds import Number
from mtkd.experiments.published import published
from mtkd.experiments.statistics import ALPHA, quantile


def better_than_teacher(metric: int, tables: tuple[str, ...] = ("table2", "table3", "table4")) -> int:
    """At how many scales and sets the MTKD student is better than its full teacher; metric 0: PSNR, 1: SSIM."""
    paper = published()
    rows = [rows for table in tables for rows in paper.tables[table].values()]
    return sum(one["mtkd"][name][metric] > one["full"][name][metric] for one in rows for name in paper.sets)


def seeds_for(spread: float, half_width: float) -> int:
    """The smallest number of seeds whose 97.5 % interval reaches no further than that to each side."""
    return next(n for n in range(2, 1000) if quantile(n - 1, ALPHA) * spread / math.sqrt(n) <= half_width)


EXERCISES = (
    Number(
        id="12.1",
        title="in how many places a student is better than its teacher in SSIM",
        difficulty=1,
        minutes=5,
        expected=lambda: better_than_teacher(1),
        whole=True,
        hint="compare the second number of the rows mtkd and full, in all three tables",
        mistakes={
            "that is PSNR": lambda: better_than_teacher(0),
            "that is Table 2 alone": lambda: better_than_teacher(1, ("table2",)),
        },
    ),
    Number(
        id="12.2",
        title="how many seeds a difference of 0.05 dB needs",
        difficulty=2,
        minutes=6,
        expected=lambda: seeds_for(0.03, 0.05),
        whole=True,
        hint="try n = 2, 3, 4, ... in the formula; t depends on n, too",
        mistakes={"with 2 in place of t; for few seeds t is far larger": lambda: math.ceil((2 * 0.03 / 0.05) ** 2)},
    ),
)
