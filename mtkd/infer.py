"""Run a network on one image, in overlapping tiles if the image is large."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtkd.data.patches import ORIENTATIONS, orient, unorient
from mtkd.networks import teacher_names
from mtkd.networks.aggregator import with_teachers
from mtkd.rasters import Held, Raster, Source, Target

TILE = 256
"""Tile size in LR pixels; images of up to ``TILE`` squared pixels are not tiled."""
OVERLAP = 48
"""Maximum overlap without ``exact_tiling``, and the overlap for a network without a ``reach``."""
WINDOW = 8
"""Tiles begin and end at multiples of this, so that the windows of a network are those of the whole image."""

Progress = Callable[[int, int], None]
"""Called with (tiles done, number of tiles); an image without tiles counts as one."""


def overlap_of(network: nn.Module) -> int:
    """Context of a tile on each side, in LR pixels: the network's ``reach``, rounded up to whole windows.

    Tiles then give the values of the whole image, up to rounding. Where :data:`OVERLAP` is less than the reach, they do
    so approximately: within 2e-6 for SwinIR of the paper's lightweight size with random weights. RCAN pools over its
    whole input, so that no overlap makes its tiles exact. ``tests/benchmarks/tiles.py`` measures all networks.
    """
    reach, window = int(getattr(network, "reach", OVERLAP)), window_of(network)
    whole = -(-reach // window) * window
    return whole if getattr(network, "exact_tiling", False) else min(whole, -(-OVERLAP // window) * window)


def window_of(network: nn.Module) -> int:
    """Tiles begin and end at multiples of this, in LR pixels: of :data:`WINDOW`, and of the network's own windows."""
    return math.lcm(WINDOW, int(getattr(network, "window", WINDOW)))


@torch.inference_mode()
def upscale(
    network: nn.Module,
    lr_image: Tensor,
    scale: int,
    tile: int | None = TILE,
    overlap: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Upscale one LR image (1, 3, h, w) in [0, 1] -> (1, 3, scale h, scale w) on the same device, not clamped.

    Apart from the result, memory depends on tile and overlap, not on the size of the image. A
    :class:`~mtkd.networks.aggregator.MultiTeacher` runs its teachers one after another, then its aggregator, each in
    its own tiles; the teachers' images are held in memory meanwhile.

    Args:
        network: maps LR to SR; its training or evaluation mode is not changed.
        tile: tile size in LR pixels, a multiple of 8; None disables tiling.
        overlap: context of a tile on each side in LR pixels, a multiple of 8; :func:`overlap_of` the network by
            default.
        progress: called after each tile.

    Raises:
        ValueError: not one RGB image, or a tile or overlap that is not such a multiple.
    """
    _check((lr_image,), tile, overlap)
    if isinstance(network, SelfEnsemble):
        step = _counter(progress, ORIENTATIONS)

        def turned(image: Tensor) -> Tensor:
            sr_image = upscale(network.network, image, scale, tile, overlap)
            step()
            return sr_image

        return network.average(turned, lr_image)

    def room(height: int, width: int) -> Held:
        return Held(lr_image.new_empty(1, 3, height, width))

    out = room(scale * lr_image.shape[-2], scale * lr_image.shape[-1])
    upscale_into(network, Held(lr_image), scale, out, room, tile, overlap, progress)
    return out.image


@torch.inference_mode()
def upscale_into(
    network: nn.Module,
    lr_raster: Source,
    scale: int,
    out: Target,
    room: Callable[[int, int], Raster],
    tile: int | None = TILE,
    overlap: int | None = None,
    progress: Progress | None = None,
) -> None:
    """:func:`upscale` from and into rasters, a tile at a time: neither image needs to be in memory.

    Args:
        room: makes a raster of a height and a width, for the images of an aggregator's teachers.
    """
    step = _counter(progress, _count(network, lr_raster.size, scale, tile, overlap))
    _upscale(network, lr_raster, scale, out, room, tile, overlap, step)


@torch.inference_mode()
def aggregate(
    aggregator: nn.Module,
    teacher_images: Sequence[Tensor],
    tile: int | None = TILE,
    overlap: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Merge the teachers' images, each (1, 3, H, W), in the aggregator's order -> (1, 3, H, W), not clamped.

    Other arguments as in :func:`upscale`; tile and overlap are in LR pixels.
    """
    _check(teacher_images, tile, overlap)
    height, width = teacher_images[0].shape[-2:]
    grid = _grid(aggregator, height, width, tile, overlap)
    out = Held(teacher_images[0].new_empty(1, 3, height, width))
    rasters = [Held(image) for image in teacher_images]
    _run(lambda *images: aggregator(images), rasters, 1, out, grid, _counter(progress, len(grid)))
    return out.image


def _upscale(
    network: nn.Module,
    lr_raster: Source,
    scale: int,
    out: Target,
    room: Callable[[int, int], Raster],
    tile: int | None,
    overlap: int | None,
    step: Callable[[], None],
) -> None:
    height, width = lr_raster.size
    if (merged := with_teachers(network)) is None:
        _run(network, [lr_raster], scale, out, _grid(network, height, width, tile, overlap), step)
        return
    images = [room(scale * height, scale * width) for _ in merged.teachers]
    for teacher, image in zip(merged.teachers, images, strict=True):
        _upscale(teacher, lr_raster, scale, image, room, tile, overlap, step)
    grid = _grid(merged.aggregator, scale * height, scale * width, tile, overlap)
    _run(lambda *parts: merged.aggregator(parts), images, 1, out, grid, step)


def _count(network: nn.Module, size: tuple[int, int], scale: int, tile: int | None, overlap: int | None) -> int:
    """How many tiles :func:`upscale` takes."""
    height, width = size
    if (merged := with_teachers(network)) is None:
        return len(_grid(network, height, width, tile, overlap))
    teachers = sum(_count(teacher, size, scale, tile, overlap) for teacher in merged.teachers)
    return teachers + len(_grid(merged.aggregator, scale * height, scale * width, tile, overlap))


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    numbers = itertools.count(1)
    return lambda: progress(next(numbers), total) if progress else None


def _check(images: Sequence[Tensor], tile: int | None, overlap: int | None) -> None:
    for image in images:
        if image.dim() != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"expected one RGB image (1, 3, h, w), got {tuple(image.shape)}")
    if tile is not None and (tile <= 0 or tile % WINDOW):
        raise ValueError(f"tile must be a positive multiple of {WINDOW}, not {tile}")
    if overlap is not None and (overlap < 0 or overlap % WINDOW):
        raise ValueError(f"overlap must be a multiple of {WINDOW}, not {overlap}")


@dataclass(frozen=True)
class Part:
    """One dimension of a part of an image.

    Attributes:
        sees: rows or columns of the image, in order.
        kept: those of the image whose result is as in the whole image.
        inner: where these are among what it sees.
    """

    sees: Tensor
    kept: slice
    inner: slice


_Grid = list[tuple[Part, Part]]
"""Rows and columns of each tile, in pixels of the network's input."""


def wrap_of(network: nn.Module, unit: int) -> int:
    """Pixels of the input to whose multiple a network pads that attends across the image's edges; 0 for others."""
    return unit * WINDOW if getattr(network, "wraps", False) else 0


def _grid(network: nn.Module, height: int, width: int, tile: int | None, overlap: int | None) -> _Grid:
    """The tiles of an image of this size: an LR image, or for an aggregator its teachers'."""
    unit = int(network.scale) if teacher_names(network) else 1  # type: ignore[arg-type]
    wrap = wrap_of(network, unit)
    window = window_of(network)
    overlap = (overlap_of(network) if overlap is None else -(-overlap // window) * window) * unit
    step = tile and max(1, tile // window) * window * unit
    if step is None or height * width <= step * step:
        step = max(height, width)
    return [(r, c) for r in _parts(height, step, overlap, wrap) for c in _parts(width, step, overlap, wrap)]


def _parts(length: int, step: int, overlap: int, wrap: int) -> list[Part]:
    """One dimension of a grid: parts ``step`` apart that see ``overlap`` on each side where the image goes on."""
    parts = []
    for start in range(0, max(1, length - 2 * overlap), step):
        stop = min(length, start + step + 2 * overlap)
        first, last = start + (overlap if start else 0), stop - (overlap if stop < length else 0)
        parts.append(part_around(length, first, last, overlap, wrap))
    return parts


def part_around(length: int, first: int, last: int, overlap: int, wrap: int = 0) -> Part:
    """The part that keeps ``first`` to ``last`` and sees ``overlap`` more on each side where the image goes on.

    An aggregator's windows at one edge hold what is at the other edge of the image, once it is padded to whole windows
    of ``wrap`` pixels (0 for other networks). A part at one edge alone therefore sees a strip of the other edge too,
    on its far side.
    """
    start, stop = max(0, first - overlap), min(length, last + overlap)
    at_start, at_end = start == 0, stop == length
    padded = -(-length // wrap) * wrap if wrap else 0
    before = range(min(start, overlap) if wrap and at_end else 0)
    after = range(max(stop, padded - overlap) if wrap and at_start else length, length)
    sees = torch.tensor([*before, *range(start, stop), *after])
    offset = len(before) - start
    return Part(sees, slice(first, last), slice(first + offset, last + offset))


def _run(
    function: Callable[..., Tensor],
    images: Sequence[Source],
    scale: int,
    out: Target,
    grid: _Grid,
    step: Callable[[], None],
) -> None:
    """``function`` of images of one size, ``scale`` times as large, tile by tile; ``step`` is called after each."""
    if len(grid) == 1:
        height, width = out.size
        out.write(slice(0, height), slice(0, width), function(*(image.read(None, None) for image in images)))
        step()
        return
    for rows, columns in grid:
        part = function(*(image.read(rows.sees, columns.sees) for image in images))
        inner = part[..., _times(scale, rows.inner), _times(scale, columns.inner)]
        out.write(_times(scale, rows.kept), _times(scale, columns.kept), inner)
        step()


def _times(scale: int, part: slice) -> slice:
    return slice(scale * part.start, scale * part.stop)


class SelfEnsemble(nn.Module):
    """A network averaged over the 8 orientations of its input, ``(N, 3, h, w) -> (N, 3, sh, sw)``.

    Every orientation goes through the network and is turned back (geometric self-ensemble, Lim et al. 2017,
    Sec. 3.4). Beyond the paper: a target of distillation that costs 8 passes, once, where outputs are cached.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr_image: Tensor) -> Tensor:
        return self.average(self.network, lr_image)

    @staticmethod
    def average(upscale: Callable[[Tensor], Tensor], lr_image: Tensor) -> Tensor:
        """The mean of what a function gives for the orientations, turned back."""
        turned = (unorient(upscale(orient(lr_image, k).contiguous()), k) for k in range(ORIENTATIONS))
        total: Tensor = sum(turned)  # type: ignore[assignment]
        return total / ORIENTATIONS
