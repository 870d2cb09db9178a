"""Exercises of lesson 10: the weight of a method, and the method turned round."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mtkd.course.grade.kinds import Code, Number


def turned(student_image: Tensor, mt_image: Tensor, hr_image: Tensor, tau: float) -> Tensor:
    """L1 to the ground truth, and a pull towards MT where MT is wrong: images (N, 3, H, W) -> scalar."""
    weight = 1 - torch.exp(-(mt_image - hr_image).abs() / tau)
    return (student_image - hr_image).abs().mean() + (weight * (student_image - mt_image).abs()).mean()


def _as_before(student_image: Tensor, mt_image: Tensor, hr_image: Tensor, tau: float) -> Tensor:
    weight = torch.exp(-(mt_image - hr_image).abs() / tau)
    return (student_image - hr_image).abs().mean() + (weight * (student_image - mt_image).abs()).mean()


def _pull_alone(student_image: Tensor, mt_image: Tensor, hr_image: Tensor, tau: float) -> Tensor:
    return turned(student_image, mt_image, hr_image, tau) - (student_image - hr_image).abs().mean()


def _of_the_student(student_image: Tensor, mt_image: Tensor, hr_image: Tensor, tau: float) -> Tensor:
    weight = 1 - torch.exp(-(student_image - hr_image).abs() / tau)
    return (student_image - hr_image).abs().mean() + (weight * (student_image - mt_image).abs()).mean()


def _images() -> list[tuple[Any, ...]]:
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 2, 3, 8, 8, generator=generator) for _ in range(2)]
    return [(*three, tau) for three, tau in zip(images, (0.02, 0.3), strict=True)]


EXERCISES = (
    Number(
        id="10.1",
        title="how much MT is trusted where it is wrong by two tau",
        difficulty=1,
        minutes=2,
        expected=lambda: math.exp(-2),
        hint="put the error of MT into the formula of w",
        mistakes={"that is where MT is wrong by one tau": lambda: math.exp(-1)},
    ),
    Code(
        id="10.2",
        title="the method turned round: distil where MT is wrong",
        difficulty=2,
        minutes=8,
        solution=turned,
        inputs=_images,
        hint="two terms: L1 to the ground truth, and the mean of a weight times abs(student - MT)",
        mistakes={
            "the weight must be near 0 where MT is right": _as_before,
            "the term of the ground truth is missing": _pull_alone,
            "the weight is of MT's error, not of the student's": _of_the_student,
        },
    ),
)
