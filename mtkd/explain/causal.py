"""Causal effect maps: replace one patch of an input, run the network again, and see what becomes of the window.

No gradient and no path: the effect of a patch is what the window loses without it. The patch's content is replaced by
its blur (that of LAM's start, so that both methods ask what the patch's *detail* did), or by its mean. Positive: with
the patch as it is, the window has more detail, or lies nearer to the ground truth. The value of a pixel is its patch's
effect, divided evenly among the patch's pixels and channels: the sum over a patch is the effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explain.answer import Attributions
from mtkd.explain.blur import BlurPath
from mtkd.explain.question import Question
from mtkd.plugins import attribution
from mtkd.plugins.specs import Progress

Effect = Literal["detail", "psnr"]
TOGETHER = 32 * 64 * 64
"""Input pixels that go through the network together, in as many images as that makes."""
FLOOR = 1e-10
"""The least mean squared error that a PSNR is taken of: 100 dB, where an image equals the ground truth."""


@dataclass(frozen=True)
class CausalOptions:
    """The options of :func:`causal`; in teachers' HR images a patch is ``scale`` times as wide."""

    effect: Effect = field(
        default="detail",
        metadata={"label": "Effect", "help": "on the window's detail, or its PSNR in dB (needs the ground truth)"},
    )
    patch: int = field(
        default=4, metadata={"label": "Patch, LR pixels", "help": "side length", "minimum": 1, "usual": (2, 32)}
    )
    content: Literal["blur", "mean"] = field(
        default="blur", metadata={"label": "Replaced by", "help": "its blur (σ 1.2 LR pixels), or its mean colour"}
    )
    around: int = field(
        default=16,
        metadata={
            "label": "Within, LR pixels",
            "help": "of the window; patches farther away are left alone",
            "minimum": 0,
            "usual": (0, 128),
        },
    )

    @property
    def context(self) -> int:
        """LR pixels that the replaced content of a pixel draws on."""
        return max(BlurPath().radius, self.patch)


@attribution("causal", options=CausalOptions, title="Causal effect map", signed=True)
def causal(question: Question, options: CausalOptions, progress: Progress) -> Attributions:
    """The signed effect of each patch, of each input.

    Raises:
        UserError: a patch larger than the image, or PSNR without the ground truth.
    """
    rows, columns = _grid(question, options)
    if options.effect == "psnr" and question.target is None:
        raise UserError("effect psnr: it needs the ground truth; give one (--hr), or choose effect detail")
    places = [(k, row, column) for k in range(len(question.images)) for row in rows for column in columns]
    contents = [_content(image, question, options) for image in question.images]
    maps = [torch.zeros_like(image) for image in question.images]
    effects: dict[Effect, list[float]] = {"detail": [], "psnr": []}
    done = 0
    for chunk in _chunks(places, question):
        images = _replaced(question.images, chunk, contents)
        for name, values in _effects(question, images).items():
            effects[name] += values
        done += len(chunk)
        progress(done, len(places))
    for (k, row, column), effect in zip(places, effects[options.effect], strict=True):
        patch = maps[k][..., row, column]
        patch += effect / patch.numel()
    return Attributions(maps, None, {"patches": len(places), **_extremes(effects)})


Place = tuple[int, slice, slice]
"""Which input, and the rows and columns of a patch in it."""


def _grid(question: Question, options: CausalOptions) -> tuple[list[slice], list[slice]]:
    """Rows and columns of the patches. One lies in the middle of the window: so the grid is the same in any part."""
    unit = question.input_scale
    side, ratio, around = options.patch * unit, question.scale // unit, options.around * unit
    size = question.images[0].shape[-2:]
    if side > min(size):
        height, width = (length // unit for length in size)
        raise UserError(
            f"patch {options.patch}: larger than the image of {width} x {height} LR pixels; "
            f"give at most {min(height, width)}"
        )
    window = question.window

    def places(length: int, start: int) -> list[slice]:
        middle = math.floor((start + window.size / 2) / ratio - side / 2 + 0.5)
        first, last = start // ratio, (start + window.size) // ratio
        edges = range(middle - -(-middle // side) * side - side, length, side)
        return [
            slice(max(0, edge), min(length, edge + side))
            for edge in edges
            if edge + side > 0 and edge - last <= around and first - (edge + side - 1) <= around
        ]

    return places(size[0], window.top), places(size[1], window.left)


def _content(image: Tensor, question: Question, options: CausalOptions) -> Callable[[slice, slice], Tensor]:
    """What a patch of an image is replaced by."""
    if options.content == "mean":
        return lambda row, column: image[0, :, row, column].mean((-2, -1), keepdim=True)
    blurred = BlurPath.for_hr(question.input_scale).start(image)
    return lambda row, column: blurred[0, :, row, column]


def _chunks(places: Sequence[Place], question: Question) -> Iterator[Sequence[Place]]:
    """Patches whose images go through the network together."""
    pixels = sum(image.shape[-1] * image.shape[-2] for image in question.images)
    together = max(1, min(32, TOGETHER // pixels) - 1)
    for first in range(0, len(places), together):
        yield places[first : first + together]


def _replaced(
    images: Sequence[Tensor], chunk: Sequence[Place], contents: Sequence[Callable[[slice, slice], Tensor]]
) -> list[Tensor]:
    """Each input as it is, then without each patch of a chunk, (1 + patches, 3, H, W)."""
    many = [image.repeat(1 + len(chunk), 1, 1, 1) for image in images]
    for number, (k, row, column) in enumerate(chunk, 1):
        many[k][number, :, row, column] = contents[k](row, column)
    return many


@torch.no_grad()
def _effects(question: Question, images: Sequence[Tensor]) -> dict[Effect, list[float]]:
    """What the first image has more of than each other one. All in one batch: equal images give equal numbers."""
    part = question.objective.part(*images)
    detail = question.objective.detail(part).double()
    effects: dict[Effect, list[float]] = {"detail": (detail[0] - detail[1:]).tolist()}
    if question.target is not None:
        error = (part[..., :-1, :-1].clamp(0, 1).double() - question.target).square().mean((1, 2, 3))
        psnr = -10 * error.clamp(min=FLOOR).log10()
        effects["psnr"] = (psnr[0] - psnr[1:]).tolist()
    return effects


def _extremes(effects: dict[Effect, list[float]]) -> dict[str, float]:
    """The largest and the smallest effect of one patch: detail, and dB where there is a ground truth."""
    return {
        f"{which}_{name}": call(values)
        for name, values in effects.items()
        if values
        for which, call in (("largest", max), ("smallest", min))
    }
