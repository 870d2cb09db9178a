"""Deletion and insertion curves: is a map right about which pixels matter?

The pixels that a map marks are taken away, the most marked first: replaced by their blur, LAM's start. The deletion
curve says how far the window's output has moved, as a share of what it moves when all are gone; the insertion curve
puts them back into the blurred image, and says what share of that way is gone back. A map that marks the right pixels
rises early in both. Petsiuk et al. 2018 (RISE) measure a class's score so; here it is the SR image in the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explain.blur import BlurPath
from mtkd.explain.question import Question

POINTS = 16
TINY = 1e-5
"""A root mean square change of the window below this counts as none."""


@dataclass(frozen=True)
class Curves:
    """Both curves of one map.

    Attributes:
        pixels: how many are taken away or put back, from 1 to all, in equal steps of the logarithm.
        deletion: share of the window's change at each; 1 at the end.
        insertion: share of the change that is taken back at each; 1 at the end.
    """

    pixels: tuple[int, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def deletion_area(self) -> float:
        """Under the curve, over the logarithm of the pixels, as a part of the whole: larger is better."""
        return _area(self.pixels, self.deletion)

    @property
    def insertion_area(self) -> float:
        """As :attr:`deletion_area`."""
        return _area(self.pixels, self.insertion)

    def row(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "pixels": list(self.pixels),
            "deletion": list(self.deletion),
            "insertion": list(self.insertion),
            "deletion_area": self.deletion_area,
            "insertion_area": self.insertion_area,
        }


@dataclass(frozen=True)
class Removal:
    """Taking pixels of a question's inputs away: images with and without them, and the window's output for both."""

    question: Question
    blurred: tuple[Tensor, ...]
    intact: Tensor
    full: float
    step: Callable[[], None]

    @classmethod
    @torch.no_grad()
    def of(cls, question: Question, step: Callable[[], None] = lambda: None) -> Removal:
        """Prepare.

        Args:
            step: called before each pass of the network.

        Raises:
            UserError: the window stays the same when all pixels are blurred.
        """
        path = BlurPath.for_hr(question.input_scale)
        blurred = tuple(path.start(image) for image in question.images)
        intact = question.objective.part(*question.images)
        full = _distance(question.objective.part(*blurred), intact)
        if full < TINY:
            raise UserError("the window stays the same when the whole input is blurred: no deletion curve exists")
        return cls(question, blurred, intact, full, step)

    def curves(self, maps: Sequence[Tensor], seed: int = 0) -> Curves:
        """The curves of a map an input, (H, W), marked pixels larger; those of all inputs are taken in one order.

        Args:
            seed: decides the order of pixels of equal value.

        Raises:
            UserError: the map has one value alone.
        """
        order = ranking(maps, seed)
        pixels = _counts(len(order))
        moved = [self._moved(order[:count], self.blurred, self.question.images) for count in pixels[:-1]]
        left = [self._moved(order[:count], self.question.images, self.blurred) for count in pixels[:-1]]
        return Curves(pixels, (*moved, 1.0), (*(1 - one for one in left), 1.0))

    @torch.no_grad()
    def _moved(self, chosen: Tensor, inside: Sequence[Tensor], outside: Sequence[Tensor]) -> float:
        """How far the window is from the intact one, with some pixels from ``inside`` and others from ``outside``."""
        self.step()
        sizes = [image.shape[-2:] for image in outside]
        mask = torch.zeros(sum(height * width for height, width in sizes), dtype=torch.bool)
        mask[chosen] = True
        parts = torch.split(mask, [height * width for height, width in sizes])
        images = [
            torch.where(part.view(size).to(a.device), a, b)
            for part, size, a, b in zip(parts, sizes, inside, outside, strict=True)
        ]
        return _distance(self.question.objective.part(*images), self.intact) / self.full


def ranking(maps: Sequence[Tensor], seed: int = 0) -> Tensor:
    """The pixels of all maps, the most marked first; a seed decides among equals.

    Raises:
        UserError: all pixels have one value.
    """
    values = torch.cat([one.detach().cpu().flatten() for one in maps])
    if bool((values == values[0]).all()):
        raise UserError("the map has the same value everywhere: it marks no pixels, and no deletion curve exists")
    shuffled = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    return shuffled[values[shuffled].argsort(descending=True, stable=True)]


def random_maps(question: Question, seed: int = 0) -> list[Tensor]:
    """Maps that mark pixels by chance: what any other map should beat."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(image.shape[-2:], generator=generator) for image in question.images]


def nearness_maps(question: Question) -> list[Tensor]:
    """Maps that mark the pixels nearest to the window's middle, and know nothing of network and image."""
    window, ratio = question.window, question.scale // question.input_scale
    maps = []
    for image in question.images:
        rows, columns = (
            (torch.arange(length) + 0.5) * ratio - (start + window.size / 2)
            for length, start in zip(image.shape[-2:], (window.top, window.left), strict=True)
        )
        maps.append(-torch.hypot(rows[:, None], columns[None, :]))
    return maps


def _counts(total: int) -> tuple[int, ...]:
    """1 to ``total`` in :data:`POINTS` steps of the logarithm, fewer where they would be equal."""
    return tuple(sorted({round(total ** (k / (POINTS - 1))) for k in range(POINTS)}))


def _area(pixels: Sequence[int], values: Sequence[float]) -> float:
    places = [math.log(count) for count in pixels]
    pairs = zip(pairwise(places), pairwise(values), strict=True)
    return sum((b - a) * (one + two) / 2 for (a, b), (one, two) in pairs) / places[-1]


def _distance(part: Tensor, intact: Tensor) -> float:
    """The root mean square difference of two parts of an SR image."""
    return float((part - intact).double().square().mean().sqrt())
