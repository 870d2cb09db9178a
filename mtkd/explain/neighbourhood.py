"""The part of its inputs that a question is answered from: what the window's detail draws on, not the whole photo.

A network of convolutions and windows draws on its field of view alone (its ``reach``): cut out together with as much
as a method's blur looks around, that part gives the attributions of the whole image. RCAN's channel attention pools
over the whole image: where that is larger than :data:`NEAR` pixels a side, it is held at what it is for so many around
the window. A network that does not say its reach is answered from those pixels. Both are approximations, and called so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd.explain.question import Detail, Question, check_window
from mtkd.infer import TILE, Part, part_around, window_of, wrap_of

NEAR = TILE
"""LR pixels a side of the largest part; images of up to ``NEAR`` squared pixels fit whole."""
CONTEXT = 16
"""LR pixels around a pixel that a method may look at which does not say how many: enough for a blur of sigma 4."""


@dataclass(frozen=True)
class Neighbourhood:
    """A part of an input.

    Attributes:
        rows: rows and columns of the input, each a :class:`~mtkd.infer.Part`.
        size: height and width of the whole input.
        exact: its attributions are those of the whole image.
    """

    rows: Part
    columns: Part
    size: tuple[int, int]
    exact: bool

    @property
    def whole(self) -> bool:
        """Nothing is left out."""
        return (len(self.rows.sees), len(self.columns.sees)) == self.size

    @property
    def frame(self) -> tuple[slice, slice]:
        """The smallest rectangle of the whole input that holds it."""
        rows, columns = (slice(int(one.sees.min()), int(one.sees.max()) + 1) for one in (self.rows, self.columns))
        return rows, columns

    def cut(self, image: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, h, w)``."""
        return _cut(image, self.rows, self.columns)

    def paste(self, values: Tensor) -> Tensor:
        """``(..., h, w)`` -> ``(..., H, W)``, 0 where nothing is known: no gradient comes from there."""
        # Pages of NumPy's zeros that nobody writes to take no memory.
        whole = torch.from_numpy(np.zeros((*values.shape[:-2], *self.size), np.float32)).to(values.dtype)
        whole[..., self.rows.sees[:, None], self.columns.sees] = values
        return whole

    def __str__(self) -> str:
        """In words, with the reason where it is an approximation."""
        rows, columns = (" and ".join(f"{a} to {b - 1}" for a, b in places) for places in list(self.row().values())[:2])
        what = "all that the window depends on" if self.exact else "an approximation: the network draws on more"
        return f"rows {rows}, columns {columns} of {self.size[1]} x {self.size[0]} pixels ({what})"

    def row(self) -> dict[str, Any]:
        """As plain data: ranges of rows and columns (a second one is at the opposite edge), and whether it is exact."""
        return {"rows": _ranges(self.rows.sees), "columns": _ranges(self.columns.sees), "exact": self.exact}


def context_of(options: Any) -> int:
    """LR pixels around a pixel that a method with these options looks at: their ``context``, or :data:`CONTEXT`."""
    context = getattr(options, "context", None)
    return context if isinstance(context, int) else CONTEXT


def near(question: Question, context: int, whole: bool = False) -> tuple[Question, Neighbourhood]:
    """The same question about the part of its images that matters, its window in pixels of that part, and the part.

    Args:
        context: LR pixels around a pixel that the method looks at.
        whole: take all of the images.

    Raises:
        UserError: the window leaves the SR image.
    """
    window, unit = question.window, question.input_scale
    height, width = question.images[0].shape[-2:]
    ratio = question.scale // unit  # SR pixels along one side of an input's pixel
    check_window(window, height * ratio, width * ratio)
    network = question.objective.network
    reach, pools = getattr(network, "reach", None), bool(getattr(network, "pools", False))
    fixed = getattr(network, "with_means_of", None)
    if whole or ((pools or reach is None) and height * width <= (NEAR * unit) ** 2):
        parts, exact = [part_around(side, 0, side, 0) for side in (height, width)], True
    else:
        side = window_of(network)
        grid, wrap = side * unit, wrap_of(network, unit)  # parts begin and end where the network's windows do
        overlap = 0 if reach is None else -(-(int(reach) + context) // side) * grid
        covered = [
            (length, start // ratio // grid * grid, min(length, -(-(start + window.size + 1) // ratio // grid) * grid))
            for length, start in ((height, window.top), (width, window.left))
        ]  # differences reach one pixel beyond the window
        parts = [part_around(*one, overlap, wrap) for one in covered]
        fits = reach is not None and all(len(part.sees) <= NEAR * unit for part in parts)
        exact = fits and not pools
        if not exact:
            around = [_middle(*one, NEAR * unit, grid) for one in covered]
            if fits and fixed:
                network = fixed(_cut(question.images[0], *around))
            else:
                parts = around
    place = Neighbourhood(parts[0], parts[1], (height, width), exact)
    if place.whole:
        return question, replace(place, exact=True)
    top, left = (
        start - ratio * (part.kept.start - part.inner.start)
        for start, part in zip((window.top, window.left), parts, strict=True)
    )
    inner = replace(window, top=top, left=left)
    images = tuple(place.cut(image) for image in question.images)
    return replace(question, window=inner, images=images, objective=Detail(network, inner)), place


def _cut(image: Tensor, rows: Part, columns: Part) -> Tensor:
    return image[..., rows.sees[:, None], columns.sees]


def _middle(length: int, first: int, last: int, side: int, grid: int) -> Part:
    """``side`` pixels with ``first`` to ``last`` in their middle, as far as the image's edges allow."""
    start = min(max(0, (first + last - side) // 2), max(0, length - side)) // grid * grid
    return part_around(length, start, min(length, start + side), 0)


def _ranges(places: Tensor) -> list[list[int]]:
    """Numbers in order as [first, last + 1] of each run without a gap."""
    breaks = (torch.where(places.diff() != 1)[0] + 1).tolist()
    return [[int(run[0]), int(run[-1]) + 1] for run in places.tensor_split(breaks)]
