"""Exercises of lesson 4: the Haar transform and back, the wavelet loss for any K, and what it is blind to."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd.course.exercises.lesson_03 import random
from mtkd.course.grade.kinds import Code, Number, Word
from mtkd.explain.subbands import transform
from mtkd.losses import WaveletLoss


def inverse(ll: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> tuple[Tensor, ...]:
    """The 2 x 2 pixels a, b, c, d of four Haar coefficients."""
    return (ll + lh + hl + hh) / 2, (ll + lh - hl - hh) / 2, (ll - lh + hl - hh) / 2, (ll - lh - hl + hh) / 2


def wavelet_loss(student: Tensor, mt: Tensor, levels: int) -> Tensor:
    """Eq. 3 with the Haar wavelet; images (N, 3, H, W)."""
    loss: Tensor = WaveletLoss(levels)(student, mt)
    return loss


def _means(difference: Tensor, levels: int) -> list[Tensor]:
    return [band.abs().mean() for band in transform(difference, levels, "haar").values()]


def _every_low(student: Tensor, mt: Tensor, levels: int) -> Tensor:
    difference = (student - mt).flatten(0, 1)
    lows = [transform(difference, level, "haar")[f"LL{level}"].abs().mean() for level in range(1, levels)]
    found = [*_means(difference, levels), *lows]
    return sum(found, torch.zeros(())) / len(found)


def _pooled(student: Tensor, mt: Tensor, levels: int) -> Tensor:
    bands = transform((student - mt).flatten(0, 1), levels, "haar").values()
    return torch.cat([band.flatten() for band in bands]).abs().mean()


def details_only(difference: Tensor) -> Tensor:
    """v7 with K = 1."""
    bands = transform(difference, 1, "haar")
    return sum((bands[name].abs().mean() for name in ("LH1", "HL1", "HH1")), torch.zeros(())) / 3


def _three(scale: float) -> tuple[tuple[Tensor, ...], ...]:
    return tuple((scale * random(seed, 3, 16, 24) + 0.2,) for seed in (1, 2))


EXERCISES = (
    Code(
        id="04.1",
        title="undo the Haar transform",
        difficulty=1,
        minutes=5,
        solution=inverse,
        inputs=lambda: ((14.0, -8.0, -6.0, 4.0), tuple(random(5, 4, 3, 3).unbind(0))),
        hint="add all four formulas for a: what cancels, and how often does a come? Then change signs",
        mistakes={
            "a comes four times in the sum, each time halved": lambda *c: tuple(2 * x for x in inverse(*c)),
            "divide by 2, not by 4": lambda *c: tuple(x / 2 for x in inverse(*c)),
            "b and c are exchanged": lambda *c: tuple(inverse(*c)[n] for n in (0, 2, 1, 3)),
        },
    ),
    Word(
        id="04.2",
        title="the band of a chessboard",
        difficulty=1,
        minutes=2,
        expected=("hh1", "hh"),
        choices=("lh1", "hl1", "hh1", "ll1", "lh", "hl", "hh", "ll"),
        hint="put a = d = 0 and b = c = 1 into the formulas",
        mistakes=dict.fromkeys(("ll1", "ll"), "LL holds its mean; the question is for the detail band"),
    ),
    Code(
        id="04.3",
        title="Eq. 3 for any K",
        difficulty=3,
        minutes=15,
        solution=wavelet_loss,
        inputs=lambda: tuple(
            (random(n, 2, 3, 16, 32), random(n + 9, 2, 3, 16, 32) + 0.3, levels) for n, levels in enumerate((1, 2, 3))
        ),
        hint="at each level three detail bands of the LL of the level before; LL itself counts at level K alone",
        mistakes={
            "LL counts at level K alone": _every_low,
            "the mean of each band first, then the mean of the 3K + 1 bands": _pooled,
            "divide by 3K + 1": lambda s, m, k: wavelet_loss(s, m, k) * (3 * k + 1),
            "the coarsest LL is missing": lambda s, m, k: (
                wavelet_loss(s, m, k) - transform((s - m).flatten(0, 1), k, "haar")[f"LL{k}"].abs().mean() / (3 * k + 1)
            ),
            "squares, where the paper has absolute values": lambda s, m, k: (
                sum(
                    (band.square().mean() for band in transform((s - m).flatten(0, 1), k, "haar").values()),
                    torch.zeros(()),
                )
                / (3 * k + 1)
            ),
        },
    ),
    Number(
        id="04.4",
        title="the loss of a constant at K = 2",
        difficulty=2,
        minutes=4,
        expected=lambda: 0.1 * 2**2 / (3 * 2 + 1),
        hint="which bands see a constant, and what does LL do to it at each level?",
        mistakes={
            "that is K = 1": lambda: 0.05,
            "LL doubles at each of the two levels": lambda: 0.1 * 2 / 7,
            "a mean over 3K + 1 bands": lambda: 0.4,
            "the coefficients are larger than the pixels": lambda: 0.1 / 7,
        },
    ),
    Code(
        id="04.5",
        title="the loss v7",
        difficulty=1,
        minutes=5,
        solution=details_only,
        inputs=lambda: _three(0.1),
        hint="the mean absolute value of each of three bands, then their mean",
        mistakes={
            "a mean over three bands, not four": lambda d: 0.75 * details_only(d),
            "the sum is not yet a mean": lambda d: 3 * details_only(d),
            "LL must stay out": lambda d: sum(_means(d, 1), torch.zeros(())) / 4,
            "squares, where absolute values are meant": lambda d: (
                sum((transform(d, 1, "haar")[n].square().mean() for n in ("LH1", "HL1", "HH1")), torch.zeros(())) / 3
            ),
        },
    ),
)
