"""Exercises of lesson 5: the value and the pull of Eq. 4, one step of training, and seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from mtkd.course.exercises.lesson_03 import random
from mtkd.course.grade.kinds import Code, Number
from mtkd.losses import WaveletLoss


def train_step(
    student: nn.Module, optimizer: torch.optim.Optimizer, lr: Tensor, gt: Tensor, mt: Tensor, alpha: float
) -> float:
    """One step of Eq. 4 with K = 1; the loss before it."""
    return _step(lambda sr: alpha * (sr - gt).abs().mean() + WaveletLoss(1)(sr, mt), student, optimizer, lr)


def _step(loss_of: Callable[[Tensor], Tensor], student: nn.Module, optimizer: Any, lr: Tensor) -> float:
    optimizer.zero_grad()
    loss = loss_of(student(lr))
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def two_steps(function: Callable[..., Any], seed: int, alpha: float) -> tuple[Any, ...]:
    """A small student after two steps: both losses, and its weights."""
    torch.manual_seed(seed)
    student = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
    lr, gt, mt = random(seed, 2, 3, 6, 6), random(seed + 1, 2, 3, 12, 12), random(seed + 2, 2, 3, 12, 12)
    losses = [function(student, optimizer, lr, gt, mt, alpha) for _ in range(2)]
    if any(one is ... for one in losses):
        return ...  # type: ignore[return-value]
    if any(one is None for one in losses):
        return None  # type: ignore[return-value]
    return *(float(torch.as_tensor(one).detach()) for one in losses), torch.cat(
        [p.detach().flatten() for p in student.parameters()]
    )


def _accumulated(student: Any, optimizer: Any, lr: Tensor, gt: Tensor, mt: Tensor, alpha: float) -> float:
    loss = alpha * (student(lr) - gt).abs().mean() + WaveletLoss(1)(student(lr), mt)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _unmoved(student: Any, optimizer: Any, lr: Tensor, gt: Tensor, mt: Tensor, alpha: float) -> float:
    return float((alpha * (student(lr) - gt).abs().mean() + WaveletLoss(1)(student(lr), mt)).detach())


def _plain(student: Any, optimizer: Any, lr: Tensor, gt: Tensor, mt: Tensor, alpha: float) -> float:
    return _step(lambda sr: alpha * (sr - gt).abs().mean() + (sr - mt).abs().mean(), student, optimizer, lr)


def _exchanged(student: Any, optimizer: Any, lr: Tensor, gt: Tensor, mt: Tensor, alpha: float) -> float:
    return train_step(student, optimizer, lr, mt, gt, alpha)


def _unweighted(student: Any, optimizer: Any, lr: Tensor, gt: Tensor, mt: Tensor, alpha: float) -> float:
    return train_step(student, optimizer, lr, gt, mt, 1.0)


@cache
def gain_of_mtkd() -> dict[str, Any]:
    """Mean, spread and seeds of MTKD over scratch, RCAN student, Set14, x4, from the records."""
    from mtkd.experiments.maintain.evidence import measured_report
    from mtkd.experiments.tables import find

    rows = {
        (row["first"], row["second"]): row["sets"] for row in find(measured_report("mini"), "table2", 4)["differences"]
    }
    cell: dict[str, Any] = rows["mtkd", "scratch"]["Set14"]
    return cell


def _standard_errors() -> float:
    cell = gain_of_mtkd()
    return float(cell["mean"] / (cell["spread"] / cell["seeds"] ** 0.5))


EXERCISES = (
    Number(
        id="05.1",
        title="Eq. 4 of a brightness error",
        difficulty=2,
        minutes=5,
        expected=lambda: 0.1 * 0.01 + (4 * 0.01 / 2) / 4,
        hint="alpha times the first term; then: which of the four bands sees a constant, and at what size?",
        mistakes={
            "that is the wavelet term alone": lambda: 0.005,
            "that is the first term alone": lambda: 0.001,
            "LL is one of four bands: the mean divides it by 4": lambda: 0.021,
            "the first term has the weight alpha": lambda: 0.015,
            "LL is half the sum of four pixels, so twice their size": lambda: 0.0035,
        },
    ),
    Number(
        id="05.2",
        title="where the sum of two absolute values is smallest",
        difficulty=1,
        minutes=4,
        expected=lambda: 0.6,
        hint="it is no compromise: try both ends and the middle",
        mistakes={
            "that is the ground truth; what does a step towards MT cost and gain?": lambda: 0.2,
            "a weighted mean is the answer for squares": lambda: (0.1 * 0.2 + 0.6) / 1.1,
            "absolute values do not meet in the middle": lambda: 0.4,
        },
    ),
    Number(
        id="05.3",
        title="how often the ground truth decides",
        difficulty=3,
        minutes=8,
        expected=lambda: 6 / 16 + 8 / 16 / 2,
        hint="how many of the 16 sign patterns make a vote of 0, of 1, of 2? Which can 1.5 overrule, and how often?",
        mistakes={
            "that is alpha below 1": lambda: 6 / 16,
            "half of the votes of 1 agree with the ground truth anyway": lambda: 14 / 16,
            "a vote of 0 is always decided by the ground truth": lambda: 7 / 16,
            "a share, not per cent": lambda: 62.5,
        },
    ),
    Code(
        id="05.4",
        title="one training step of Eq. 4",
        difficulty=3,
        minutes=12,
        solution=train_step,
        inputs=lambda: ((1, 0.1), (2, 0.7)),
        trial=two_steps,
        hint="zero the gradients, compute both terms on the student's image, go backward, step, return the loss",
        mistakes={
            "gradients add up from step to step unless they are zeroed": _accumulated,
            "the loss is right, but the weights do not move": _unmoved,
            "MT's term is the wavelet loss of Eq. 3, not L1": _plain,
            "ground truth and MT are exchanged": _exchanged,
            "alpha weighs the ground truth's term": _unweighted,
        },
    ),
    Number(
        id="05.5",
        title="how many standard errors from zero",
        difficulty=2,
        minutes=5,
        expected=_standard_errors,
        hint="the standard error of a mean of n values is their standard deviation over the root of n",
        mistakes={
            "standard errors, not standard deviations": lambda: gain_of_mtkd()["mean"] / gain_of_mtkd()["spread"],
            "that is the standard error; how many of them is the mean?": lambda: (
                gain_of_mtkd()["spread"] / gain_of_mtkd()["seeds"] ** 0.5
            ),
            "the root of n, not n": lambda: (
                gain_of_mtkd()["mean"] / (gain_of_mtkd()["spread"] / gain_of_mtkd()["seeds"])
            ),
        },
    ),
)
