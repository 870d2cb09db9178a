"""Exercises of lesson 11: what a merge gains, from moments alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtkd.course.grade.kinds import Code


def best_weight(moments: NDArray[np.float64]) -> float:
    """The weight of the first of two networks in their best merge; moments (2, 2)."""
    return float((moments[1, 1] - moments[0, 1]) / (moments[0, 0] + moments[1, 1] - 2 * moments[0, 1]))


def plain_gain(moments: NDArray[np.float64]) -> float:
    """Gain in dB of the plain mean of n networks over the best of them; moments (n, n)."""
    return float(10 * np.log10(np.diag(moments).min() / moments.mean()))


def _moments(count: int, seed: int) -> NDArray[np.float64]:
    residuals = np.random.default_rng(seed).normal(size=(count + 1, 400)) * np.linspace(1, 2, count + 1)[:, None]
    shared = residuals[:-1] + 1.5 * residuals[-1]
    return np.asarray(shared @ shared.T / 400)


EXERCISES = (
    Code(
        id="11.1",
        title="the best weight of two networks",
        difficulty=2,
        minutes=8,
        solution=best_weight,
        inputs=lambda: [(_moments(2, seed),) for seed in range(3)],
        hint="set the derivative of E(w) to 0 and solve for w",
        mistakes={
            "that is the weight of the second network": lambda m: 1 - best_weight(m),
            "that would be right if their errors had nothing in common": lambda m: m[1, 1] / (m[0, 0] + m[1, 1]),
        },
    ),
    Code(
        id="11.2",
        title="what the plain mean of n networks gains",
        difficulty=2,
        minutes=8,
        solution=plain_gain,
        inputs=lambda: [(_moments(count, count),) for count in (2, 3, 5)],
        hint="with equal weights 1/n, w M w is the mean of all entries of M",
        mistakes={
            "over the best network, not over the mean of all": lambda m: 10 * np.log10(np.diag(m).mean() / m.mean()),
            "squared errors: 10 log10, not 20": lambda m: 2 * plain_gain(m),
        },
    ),
)
