"""Exercises of lesson 6: the losses of the compared methods."""

from __future__ import annotations

from torch import Tensor

from mtkd.course.exercises.lesson_03 import random
from mtkd.course.grade.kinds import Code, Number


def middle_loss(gt: Tensor, teacher: Tensor) -> Tensor:
    """L_gt + L_kd of a student's image halfway between both targets."""
    return (gt - teacher).abs().mean()


def attention_map(features: Tensor, p: float) -> Tensor:
    """AT's map with the power p: (N, C, h, w) -> (N, h w)."""
    energy: Tensor = features.abs().pow(p).sum(1).flatten(1)
    norm: Tensor = energy.norm(dim=1, keepdim=True)
    return energy / norm


def undo(image: Tensor) -> Tensor:
    """The inverse of a flip along H, then a transpose."""
    return image.transpose(-1, -2).flip(-2)


EXERCISES = (
    Code(
        id="06.1",
        title="KD's loss halfway between its targets",
        difficulty=1,
        minutes=4,
        solution=middle_loss,
        inputs=lambda: ((random(1, 2, 3, 8, 8), random(2, 2, 3, 8, 8)),),
        hint="how far is the middle from each of both ends?",
        mistakes={
            "that is one of the two terms": lambda g, t: (g - t).abs().mean() / 2,
            "half the distance twice is not twice the distance": lambda g, t: 2 * (g - t).abs().mean(),
            "differences of both signs cancel: absolute values first": lambda g, t: (g - t).mean().abs(),
            "absolute values, not squares": lambda g, t: (g - t).square().mean(),
        },
    ),
    Code(
        id="06.2",
        title="an attention map of any power",
        difficulty=2,
        minutes=6,
        solution=attention_map,
        inputs=lambda: ((random(1, 2, 5, 4, 6), 2), (random(2, 3, 4, 3, 3), 4), (random(3, 1, 4, 3, 3), 1)),
        hint="absolute values to the power p, summed over the channels; the L2 norm over all places is 1",
        mistakes={
            "the norm is missing": lambda f, p: f.abs().pow(p).sum(1).flatten(1),
            "that is p = 2, whatever p is": lambda f, p: attention_map(f, 2),
            "the norm is taken over the places of each picture, not over all pictures": lambda f, p: (
                f.abs().pow(p).sum(1).flatten(1) / f.abs().pow(p).sum(1).norm()
            ),
            "the L2 norm, not the sum, is 1": lambda f, p: (
                f.abs().pow(p).sum(1).flatten(1) / f.abs().pow(p).sum((1, 2, 3))[:, None]
            ),
        },
    ),
    Number(
        id="06.3",
        title="the memory of the affinity matrices",
        difficulty=1,
        minutes=4,
        expected=lambda: 6,
        hint="how many places has a feature map, how many pairs of them, and how many matrices are there?",
        mistakes={
            "student and teacher have one each": lambda: 3,
            "a float32 takes four bytes": lambda: 1.5,
            "at each of three points": lambda: 2,
            "in GiB, 2 ** 30 bytes": lambda: 16 * 3 * 2 * (64 * 64) ** 2 * 4,
        },
    ),
    Code(
        id="06.4",
        title="undo a flip and a transpose",
        difficulty=1,
        minutes=3,
        solution=undo,
        inputs=lambda: ((random(1, 3, 6, 6),), (random(2, 2, 3, 4, 7),)),
        hint="the last change is undone first",
        mistakes={
            "undone in the order in which they were made": lambda x: x.flip(-2).transpose(-1, -2),
            "the flip is still there": lambda x: x.transpose(-1, -2),
            "the transpose is still there": lambda x: x.flip(-2),
        },
    ),
)
