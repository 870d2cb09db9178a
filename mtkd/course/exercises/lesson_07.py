"""Exercises of lesson 7: variants, seeds, ranks, recipes."""

from __future__ import annotations

import math
from typing import Any

from mtkd.course.exercises.lesson_05 import gain_of_mtkd
from mtkd.course.grade.kinds import Number, Object


def _seeds() -> int:
    return math.ceil((2 * float(gain_of_mtkd()["spread"]) / 0.005) ** 2)


def _recipe_fault(recipe: Any) -> str | None:
    from mtkd.course.lessons import lesson

    wanted = lesson("edsr_tiny-mtkd", 30, ["method.options.alpha=1"])
    if recipe.name != wanted.name:
        return f"the recipe is of {recipe.name}, not of {wanted.name}"
    if recipe.iterations != wanted.iterations:
        return f"{recipe.iterations} steps, where {wanted.iterations} are asked for"
    if recipe.method.options["alpha"] != 1:
        return f"alpha is {recipe.method.options['alpha']:g}"
    return None if recipe == wanted else "something other than alpha is changed as well"


EXERCISES = (
    Number(
        id="07.1",
        title="the channels that enter v1's first convolution",
        difficulty=1,
        minutes=2,
        expected=lambda: 3 * 2 * 4**2,
        whole=True,
        hint="colours, teachers, and what pixel-unshuffle does to each map",
        mistakes={
            "that is with three teachers": lambda: 144,
            "that is one teacher": lambda: 48,
            "pixel-unshuffle by 4 makes 4 x 4 maps of each": lambda: 24,
        },
    ),
    Number(
        id="07.2",
        title="how many seeds an interval needs",
        difficulty=2,
        minutes=6,
        expected=_seeds,
        whole=True,
        hint="solve 2 s / sqrt(n) = 0.005 for n, and round up",
        mistakes={
            "round up: with so few it is still too wide": lambda: _seeds() - 1,
            "the whole number after it would do no harm, but one less is enough": lambda: _seeds() + 1,
            "n stands under a root": lambda: math.ceil(2 * gain_of_mtkd()["spread"] / 0.005),
            "t = 2 is missing": lambda: math.ceil((gain_of_mtkd()["spread"] / 0.005) ** 2),
        },
    ),
    Number(
        id="07.3",
        title="the smallest p that seven variants can give",
        difficulty=2,
        minutes=4,
        expected=lambda: 1 / math.factorial(7),
        hint="how many orders of seven are there, and how many agree as well as the best one?",
        mistakes={
            "that is how many orders there are": lambda: math.factorial(7),
            "seven things have more orders than that": lambda: 1 / 49,
            "pairs are not orders": lambda: 1 / 21,
            "a random order has 7 choices first, then 6, then 5": lambda: 1 / 7**7,
        },
    ),
    Object(
        id="07.4",
        title="a recipe with another alpha",
        difficulty=1,
        minutes=4,
        fault=_recipe_fault,
        hint="a recipe is asked for: lesson(name, steps, [changes])",
    ),
)
