"""Exercises of lesson 2: counting parameters and multiply-adds, averaging, and the oracle."""

from __future__ import annotations

import math
from functools import cache

from mtkd.course.grade.kinds import Code, Number


def edsr_parameters(channels: int, blocks: int) -> int:
    """Parameters of EDSR at x4."""

    def conv(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + outputs

    body = (2 * blocks + 1) * conv(channels, channels)
    return conv(3, channels) + body + 2 * conv(channels, 4 * channels) + conv(channels, 3)


@cache
def _attention_share() -> float:
    from mtkd.networks import parameter_count, specs

    return 200 * (64 * 4 + 4 + 4 * 64 + 64) / parameter_count(specs()["rcan"].build(scale=4))


EXERCISES = (
    Code(
        id="02.1",
        title="count EDSR's parameters",
        difficulty=2,
        minutes=8,
        solution=edsr_parameters,
        exact=True,
        inputs=lambda: ((64, 16), (256, 32), (8, 1)),
        hint="write a function of one convolution, and count how many there are of each kind",
        mistakes={
            "the biases are missing": lambda c, b: 9 * (3 * c + (2 * b + 1) * c * c + 8 * c * c + 3 * c),
            "the convolution after the body is missing": lambda c, b: edsr_parameters(c, b) - 9 * c * c - c,
            "the upsampler has two convolutions at x4": lambda c, b: edsr_parameters(c, b) - 36 * c * c - 4 * c,
            "a block has two convolutions": lambda c, b: edsr_parameters(c, b) - b * (9 * c * c + c),
        },
    ),
    Number(
        id="02.2",
        title="the share of RCAN's channel attention",
        difficulty=1,
        minutes=5,
        expected=_attention_share,
        hint="count one attention, weights and biases of both convolutions, then all 200, then divide",
        mistakes={
            "a share, not per cent": lambda: 100 * _attention_share(),
            "that is one of the 200": lambda: _attention_share() / 200,
            "there is a convolution back, too": lambda: _attention_share() * (64 * 4 + 4) / (2 * 64 * 4 + 68),
        },
    ),
    Number(
        id="02.3",
        title="multiply-adds of one convolution",
        difficulty=1,
        minutes=3,
        expected=lambda: 9 * 3 * 64 * 320 * 180,
        hint="how many weights are there, and how often is each used?",
        mistakes={
            "the convolution runs at LR size": lambda: 16 * 9 * 3 * 64 * 320 * 180,
            "a 3 x 3 kernel has nine places": lambda: 3 * 64 * 320 * 180,
            "that is how many weights there are": lambda: 9 * 3 * 64,
        },
    ),
    Number(
        id="02.4",
        title="the mean of infinitely many teachers",
        difficulty=2,
        minutes=5,
        expected=lambda: 10 * math.log10(1 / 0.95),
        hint="what does n / (1 + (n - 1) r) tend to?",
        mistakes={
            "that is three teachers": lambda: 10 * math.log10(3 / (1 + 2 * 0.95)),
            "squared errors: 10 log10": lambda: 20 * math.log10(1 / 0.95),
            "in decibels, not as a ratio": lambda: 1 / 0.95,
        },
    ),
    Number(
        id="02.5",
        title="what an oracle gains from two independent teachers",
        difficulty=3,
        minutes=10,
        expected=lambda: 10 * math.log10(1 / (1 - 2 / math.pi)),
        hint="mean square of one error, over the mean of the smaller squares",
        mistakes={
            "that is the mean of the two, not the better of them": lambda: 10 * math.log10(2),
            "squared errors: 10 log10": lambda: 20 * math.log10(1 / (1 - 2 / math.pi)),
        },
    ),
)
