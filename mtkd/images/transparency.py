"""Colours under transparent pixels: what a file holds there is arbitrary, and a network would mix it into the edges."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd.images.picture import Samples


def bled(colour: Samples, alpha: Samples | None) -> Samples:
    """The same colours, those of visible pixels grown under pixels that are wholly transparent.

    Pull and push: each transparent pixel takes the mean of the nearest block that holds visible ones.
    """
    if alpha is None or alpha.all():
        return colour
    seen = torch.from_numpy((alpha > 0).astype(np.float32))[None, None]
    levels = torch.from_numpy(colour.astype(np.float32)).permute(2, 0, 1)[None]
    grown = _filled(levels * seen, seen)[0].permute(1, 2, 0).numpy()
    out = np.where(alpha[..., None] > 0, colour, grown.round())
    return out.astype(colour.dtype)


def _filled(colour: Tensor, weight: Tensor) -> Tensor:
    """``colour`` (1, C, h, w), 0 where ``weight`` is 0 -> the same with the gaps filled from coarser levels."""
    height, width = colour.shape[-2:]
    if height * width == 1 or bool((weight > 0).all()):
        return colour / weight.clamp(min=1e-6)
    half = [F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (colour, weight)]
    coarse = _filled(*half)
    fine = F.interpolate(coarse, scale_factor=2, mode="nearest")[..., :height, :width]
    return torch.where(weight > 0, colour / weight.clamp(min=1e-6), fine)
