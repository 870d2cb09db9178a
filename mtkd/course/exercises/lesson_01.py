"""Exercises of lesson 1: resizing, PSNR, and the factor of Y."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtkd.course.grade.kinds import Code, Number


def keys(x: ArrayLike) -> NDArray[np.float64]:
    """Keys' cubic with a = -1/2."""
    x = np.abs(np.asarray(x, np.float64))
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    value: NDArray[np.float64] = np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
    return value


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def reading(j: int, s: int, size: int) -> NDArray[np.float64]:
    """The weights with which LR pixel j reads a row of ``size`` HR pixels when shrinking by s."""
    weights = keys((np.arange(size) - (s * (j + 0.5) - 0.5)) / s)
    return _normalised(weights)


def _without_half(j: int, s: int, size: int) -> NDArray[np.float64]:
    weights = keys((np.arange(size) - s * j) / s)
    return _normalised(weights)


def _narrow(j: int, s: int, size: int) -> NDArray[np.float64]:
    weights = keys(np.arange(size) - (s * (j + 0.5) - 0.5))
    return _normalised(weights)


EXERCISES = (
    Number(
        id="01.1",
        title="how many HR pixels one LR pixel reads",
        difficulty=1,
        minutes=3,
        expected=lambda: (4 * 4) ** 2,
        whole=True,
        hint="k reaches from -2 to 2 and is stretched by the scale; then think of both directions",
        mistakes={
            "that is along one side": lambda: 16,
            "that is what a mean of 4 x 4 reads along one side; how wide is the stretched kernel?": lambda: 4,
            "k is 4 wide, from -2 to 2, not 2": lambda: 64,
        },
    ),
    Code(
        id="01.2",
        title="mend a broken kernel",
        difficulty=2,
        minutes=8,
        solution=reading,
        inputs=lambda: ((8, 4, 64), (7, 2, 64), (5, 3, 48)),
        hint="compare each line with the formulas above: the stretch, the centre, the sum",
        mistakes={
            "the centre: a pixel is a square, so its middle lies half a pixel from its corner": _without_half,
            "without the stretch the kernel reads 4 pixels at any scale": _narrow,
            "the weights do not add up to 1": lambda j, s, n: s * reading(j, s, n),
            "all three mistakes are still there": lambda j, s, n: keys(np.arange(n) - s * j),
        },
    ),
    Number(
        id="01.3",
        title="the share of the squared error that 0.1 dB is",
        difficulty=1,
        minutes=4,
        expected=lambda: 1 - 10 ** (-0.1 / 10),
        hint="0.1 = 10 log10(MSE before / MSE after)",
        mistakes={
            "a share, not per cent": lambda: 100 * (1 - 10 ** (-0.1 / 10)),
            "10 log10 of squared errors, not 20": lambda: 1 - 10 ** (-0.1 / 20),
            "that is what is left of the error": lambda: 10 ** (-0.1 / 10),
        },
    ),
    Number(
        id="01.4",
        title="PSNR-Y over PSNR of RGB for a grey picture",
        difficulty=2,
        minutes=5,
        expected=lambda: 20 * math.log10(255 / (65.481 + 128.553 + 24.966)),
        hint="by what factor does an error shrink in Y, and what happens to the peak?",
        mistakes={
            "PSNR is of squared errors": lambda: 10 * math.log10(255 / 219),
            "that is the factor, not the decibels": lambda: 255 / 219,
        },
    ),
)
