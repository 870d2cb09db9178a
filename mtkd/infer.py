"""Running a network on one image: whole, or in overlapping tiles when it is large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mtkd.data.patches import ORIENTATIONS, orient, unorient
from mtkd.networks.aggregator import KnowledgeAggregator

TILE = 256
"""Side of a tile in LR pixels; images of up to ``TILE`` squared pixels are run whole."""
OVERLAP = 16
"""LR pixels of context that a tile sees beyond the part of it that is kept."""


@torch.inference_mode()
def upscale(
    network: nn.Module,
    lr_image: Tensor,
    scale: int,
    tile: int | None = TILE,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """SR of one LR image (1, 3, h, w) in [0, 1] -> (1, 3, scale h, scale w) on the same device, not clamped.

    Args:
        network: maps LR to SR; run in the mode that it is in.
        tile: side of the kept part of a tile in LR pixels, a multiple of 8 (windows stay where they are);
            None runs any image whole. Tiles bound the memory; pixels near their seams see less context.
        progress: called with tiles done and their number.

    Raises:
        ValueError: not one RGB image, or a tile that is not a positive multiple of 8.
    """
    return _in_tiles(network, (lr_image,), scale, tile, OVERLAP, progress)


@torch.inference_mode()
def aggregate(
    aggregator: KnowledgeAggregator,
    teacher_images: Sequence[Tensor],
    tile: int | None = TILE,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """MT of the teachers' images, each (1, 3, H, W), in the aggregator's order -> (1, 3, H, W), not clamped.

    ``tile`` and the rest as in :func:`upscale`: in LR pixels.
    """
    scale = aggregator.scale
    return _in_tiles(
        lambda *images: aggregator(images), teacher_images, 1, tile and tile * scale, OVERLAP * scale, progress
    )


def _in_tiles(
    function: Callable[..., Tensor],
    images: Sequence[Tensor],
    scale: int,
    tile: int | None,
    overlap: int,
    progress: Callable[[int, int], None] | None,
) -> Tensor:
    """``function`` of images of one size, ``scale`` times as large, in tiles where they are larger than a tile."""
    first = images[0]
    for image in images:
        if image.dim() != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"expected one RGB image (1, 3, h, w), got {tuple(image.shape)}")
    if tile is not None and (tile < 8 or tile % 8):
        raise ValueError(f"tile must be a positive multiple of 8, not {tile}")
    height, width = first.shape[-2:]
    if tile is None or height * width <= tile * tile:
        whole = function(*images)
        if progress:
            progress(1, 1)
        return whole
    out_image = first.new_empty(1, 3, scale * height, scale * width)
    corners = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    for number, (top, left) in enumerate(corners):
        bottom, right = min(top + tile, height), min(left + tile, width)
        y0, x0 = max(0, top - overlap), max(0, left - overlap)
        y1, x1 = min(height, bottom + overlap), min(width, right + overlap)
        out = function(*(image[..., y0:y1, x0:x1] for image in images))
        kept = out[..., scale * (top - y0) : scale * (bottom - y0), scale * (left - x0) : scale * (right - x0)]
        out_image[..., scale * top : scale * bottom, scale * left : scale * right] = kept
        if progress:
            progress(number + 1, len(corners))
    return out_image


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
