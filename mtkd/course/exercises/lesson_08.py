"""Exercises of lesson 8: the detail F, LAM, completeness, Shapley values, and the diffusion index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtkd.course.exercises.lesson_03 import random
from mtkd.course.grade.kinds import Code, Number
from mtkd.explain import LocalAttributionMap
from mtkd.explain.blur import BlurPath, StraightPath


def objective(x: Tensor) -> Tensor:
    """A smooth F of images (N, 3, H, W), one number an image, in place of a network's detail."""
    return (torch.sin(3 * x[..., 1:-1, 1:-1]) * x[..., 2:, 1:-1] + x.roll(1, -1)[..., 1:-1, 1:-1].square()).sum(
        (1, 2, 3)
    )


def lam(objective: Callable[[Tensor], Tensor], path: Callable[..., Any], x: Tensor, steps: int) -> Tensor:
    """The attribution of every value of x along a path, by the midpoint rule."""
    found = LocalAttributionMap(objective).attribute(x, path, steps)
    assert isinstance(found, Tensor)
    return found


def _loop(f: Any, path: Any, x: Tensor, steps: int, at: float = 0.5, mean: bool = True, slope: bool = True) -> Tensor:
    total = torch.zeros_like(x)
    for k in range(steps):
        point, speed = path(x, (k + at) / steps)
        point = point.detach().requires_grad_()
        total += torch.autograd.grad(f(point).sum(), point)[0] * (speed if slope else x - path(x, 0.0)[0])
    return total / steps if mean else total


def relative_error(maps: list[Tensor], before: float, after: float) -> float:
    """(sum of all maps - change of F) / change of F."""
    return (sum(float(one.sum()) for one in maps) - (after - before)) / (after - before)


def shapley(none: float, a: float, b: float, both: float) -> tuple[float, float]:
    """The Shapley values of two teachers, as parts of the change of F."""
    change = both - none
    return ((a - none) + (both - b)) / 2 / change, ((b - none) + (both - a)) / 2 / change


def _maps(seed: int) -> list[Tensor]:
    return [random(seed + n, 3, 5, 6) for n in range(2)]


EXERCISES = (
    Number(
        id="08.1",
        title="F of a straight edge",
        difficulty=1,
        minutes=4,
        expected=lambda: 48,
        hint="at which pixels of the window is a difference not 0, how large is it, and how many channels are there?",
        mistakes={
            "there are three channels": lambda: 16,
            "only the pixels at the edge differ from their neighbour": lambda: 3 * 16 * 16,
            "forward differences see the edge once, not from both sides": lambda: 96,
        },
    ),
    Code(
        id="08.2",
        title="the loop of LAM",
        difficulty=3,
        minutes=12,
        solution=lam,
        inputs=lambda: (
            (objective, BlurPath(), random(1, 1, 3, 12, 12), 8),
            (objective, StraightPath(), random(2, 1, 3, 12, 14), 5),
        ),
        hint="as in the loop of integrated gradients, but point and slope come from path(x, a)",
        mistakes={
            "a mean over the steps, not a sum": lambda f, p, x, n: _loop(f, p, x, n, mean=False),
            "that is a left rule: gradients are taken in the middle of each step": lambda f, p, x, n: _loop(
                f, p, x, n, 0
            ),
            "that is a right rule: gradients are taken in the middle of each step": lambda f, p, x, n: _loop(
                f, p, x, n, 1
            ),
            "times dg/da at that point, not times x - g(0)": lambda f, p, x, n: _loop(f, p, x, n, slope=False),
        },
    ),
    Code(
        id="08.3",
        title="the relative completeness error",
        difficulty=1,
        minutes=4,
        solution=relative_error,
        inputs=lambda: ((_maps(3), 2.0, 9.0), (_maps(6), 5.0, 3.5)),
        hint="(sum of all maps - change of F) / change of F",
        mistakes={
            "that is the error itself, not relative to the change": lambda m, b, a: relative_error(m, b, a) * (a - b),
            "the sign: more than the change is a positive error": lambda m, b, a: -relative_error(m, b, a),
            "divide by the change of F, not by F": lambda m, b, a: relative_error(m, b, a) * (a - b) / a,
            "all inputs count, not the first alone": lambda m, b, a: relative_error(m[:1], b, a),
            "that is the ratio; what is its distance from 1?": lambda m, b, a: relative_error(m, b, a) + 1,
        },
    ),
    Code(
        id="08.4",
        title="Shapley values of two teachers",
        difficulty=2,
        minutes=8,
        solution=shapley,
        inputs=lambda: ((2.0, 7.0, 3.0, 10.0), (1.0, 1.5, 4.0, 3.0)),
        hint="two orders: P then Q, and Q then P; what does each add in either?",
        mistakes={
            "that is what each adds when it arrives first: there are two orders": lambda n, a, b, c: (
                (a - n) / (c - n),
                (b - n) / (c - n),
            ),
            "that is what is lost without each: there are two orders": lambda n, a, b, c: (
                (c - b) / (c - n),
                (c - a) / (c - n),
            ),
            "as parts of the change of F": lambda n, a, b, c: tuple(x * (c - n) for x in shapley(n, a, b, c)),
            "the order of the answer is P, Q": lambda n, a, b, c: shapley(n, b, a, c),
            "the mean over two orders": lambda n, a, b, c: tuple(2 * x for x in shapley(n, a, b, c)),
        },
    ),
    Code(
        id="08.5",
        title="DI of a map that is partly filled",
        difficulty=2,
        minutes=6,
        solution=lambda k, n: 100 * k / n,
        inputs=lambda: ((50, 100), (1, 200), (30, 40)),
        hint="put k equal values into the formula of G, or try diffusion_index on some maps",
        mistakes={
            "that is G itself, times 100": lambda k, n: 100 * (1 - k / n),
            "on the scale from 0 to 100": lambda k, n: k / n,
        },
    ),
)
