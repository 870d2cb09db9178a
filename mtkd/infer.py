"""Running a network on one image: whole, or in overlapping tiles when it is large."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtkd.data.patches import ORIENTATIONS, orient, unorient
from mtkd.networks import teacher_names
from mtkd.networks.aggregator import with_teachers

TILE = 256
"""LR pixels from one tile to the next; images of up to ``TILE`` squared pixels are run whole."""
OVERLAP = 48
"""The largest overlap that is chosen without ``exact_tiling``, and the overlap of a network without a ``reach``."""
WINDOW = 8
"""Tiles begin and end at multiples of this, so that a network of windows sees the image's own ones."""

Progress = Callable[[int, int], None]
"""Called with how many tiles are done, of how many; a whole image counts as one."""


def overlap_of(network: nn.Module) -> int:
    """LR pixels of context that a tile of this network sees on each side: its ``reach``, in whole windows.

    Tiles then make the whole image's values, but for rounding. Where :data:`OVERLAP` is less than the reach they do
    nearly: within 2e-6 of SwinIR of the paper's lightweight size, with random weights. RCAN pools over all that it
    sees, so that no overlap makes its tiles exact. ``tests/benchmarks/tiles.py`` measures them all.
    """
    reach = int(getattr(network, "reach", OVERLAP))
    whole = -(-reach // WINDOW) * WINDOW
    return whole if getattr(network, "exact_tiling", False) else min(whole, OVERLAP)


@torch.inference_mode()
def upscale(
    network: nn.Module,
    lr_image: Tensor,
    scale: int,
    tile: int | None = TILE,
    overlap: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """SR of one LR image (1, 3, h, w) in [0, 1] -> (1, 3, scale h, scale w) on the same device, not clamped.

    Besides the result, memory depends on tile and overlap, not on the image. A
    :class:`~mtkd.networks.aggregator.MultiTeacher` runs its teachers in turn, then its aggregator, each in its own
    tiles; it holds all teachers' images meanwhile.

    Args:
        network: maps LR to SR; run in the mode that it is in.
        tile: LR pixels from one tile to the next, a multiple of 8; None runs any image whole.
        overlap: LR pixels that a tile sees on each side of what is kept of it, a multiple of 8; by default
            :func:`overlap_of` the network.
        progress: called after each tile.

    Raises:
        ValueError: not one RGB image, or a tile or overlap that is not such a multiple.
    """
    _check((lr_image,), tile, overlap)
    step = _counter(progress, _count(network, lr_image, scale, tile, overlap))
    return _upscale(network, lr_image, scale, tile, overlap, step)


@torch.inference_mode()
def aggregate(
    aggregator: nn.Module,
    teacher_images: Sequence[Tensor],
    tile: int | None = TILE,
    overlap: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """MT of the teachers' images, each (1, 3, H, W), in the aggregator's order -> (1, 3, H, W), not clamped.

    The rest as in :func:`upscale`; tile and overlap are in LR pixels.
    """
    _check(teacher_images, tile, overlap)
    height, width = teacher_images[0].shape[-2:]
    grid = _grid(aggregator, height, width, tile, overlap)
    return _run(lambda *images: aggregator(images), teacher_images, 1, grid, _counter(progress, len(grid)))


def _upscale(
    network: nn.Module, lr_image: Tensor, scale: int, tile: int | None, overlap: int | None, step: Callable[[], None]
) -> Tensor:
    if (merged := with_teachers(network)) is None:
        height, width = lr_image.shape[-2:]
        return _run(network, (lr_image,), scale, _grid(network, height, width, tile, overlap), step)
    images = [_upscale(teacher, lr_image, scale, tile, overlap, step) for teacher in merged.teachers]
    return aggregate(merged.aggregator, images, tile, overlap, lambda done, of: step())


def _count(network: nn.Module, lr_image: Tensor, scale: int, tile: int | None, overlap: int | None) -> int:
    """How many tiles :func:`upscale` takes."""
    height, width = lr_image.shape[-2:]
    if (merged := with_teachers(network)) is None:
        return len(_grid(network, height, width, tile, overlap))
    teachers = sum(_count(teacher, lr_image, scale, tile, overlap) for teacher in merged.teachers)
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
class _Part:
    """One dimension of a tile."""

    sees: Tensor
    """Rows or columns of the image, in order."""
    kept: slice
    """Those of the image that are its own: the result is taken from here."""
    inner: slice
    """Where these are among what it sees."""


_Grid = list[tuple[_Part, _Part]]
"""Rows and columns of each tile, in pixels of the network's input."""


def _grid(network: nn.Module, height: int, width: int, tile: int | None, overlap: int | None) -> _Grid:
    """The tiles of an image of this size: an LR image, or for an aggregator its teachers'."""
    unit = int(network.scale) if teacher_names(network) else 1  # type: ignore[arg-type]
    wrap = unit * WINDOW if getattr(network, "wraps", False) else 0
    overlap = (overlap_of(network) if overlap is None else overlap) * unit
    step = tile and tile * unit
    if step is None or height * width <= step * step:
        step = max(height, width)
    return [(r, c) for r in _parts(height, step, overlap, wrap) for c in _parts(width, step, overlap, wrap)]


def _parts(length: int, step: int, overlap: int, wrap: int) -> list[_Part]:
    """One dimension of a grid: parts ``step`` apart that see ``overlap`` on each side where the image goes on.

    An aggregator's windows at one edge hold what is at the other edge of the image, once it is padded to whole windows
    of ``wrap`` pixels (0 for other networks). A part at one edge alone therefore sees a strip of the other edge too,
    on its far side.
    """
    parts = []
    padded = -(-length // wrap) * wrap if wrap else 0
    for start in range(0, max(1, length - 2 * overlap), step):
        stop = min(length, start + step + 2 * overlap)
        at_start, at_end = start == 0, stop == length
        first, last = start + (0 if at_start else overlap), stop - (0 if at_end else overlap)
        before = range(min(start, overlap) if wrap and at_end else 0)
        after = range(max(stop, padded - overlap) if wrap and at_start else length, length)
        sees = torch.tensor([*before, *range(start, stop), *after])
        offset = len(before) - start
        parts.append(_Part(sees, slice(first, last), slice(first + offset, last + offset)))
    return parts


def _run(
    function: Callable[..., Tensor], images: Sequence[Tensor], scale: int, grid: _Grid, step: Callable[[], None]
) -> Tensor:
    """``function`` of images of one size, ``scale`` times as large, tile by tile; ``step`` is called after each."""
    first = images[0]
    if len(grid) == 1:
        whole = function(*images)
        step()
        return whole
    height, width = first.shape[-2:]
    out_image = first.new_empty(1, 3, scale * height, scale * width)
    for rows, columns in grid:
        out = function(*(image[:, :, rows.sees[:, None], columns.sees] for image in images))
        inner = out[..., _times(scale, rows.inner), _times(scale, columns.inner)]
        out_image[..., _times(scale, rows.kept), _times(scale, columns.kept)] = inner
        step()
    return out_image


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
        turned = (unorient(self.network(orient(lr_image, k).contiguous()), k) for k in range(ORIENTATIONS))
        total: Tensor = sum(turned)  # type: ignore[assignment]
        return total / ORIENTATIONS
