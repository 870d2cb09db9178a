"""Structural similarity (Wang et al. 2004): an 11 x 11 Gaussian of sigma 1.5 on the valid region."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd.errors import TooSmall
from mtkd.plugins import metric

_RADIUS = 5
_STEP = 16
"""Rows that are measured at once, so that their planes stay in a CPU's cache; also columns that are blurred at once."""


@cache
def _window(size: int, device: torch.device) -> Tensor:
    """The window, which sums to 1, as a matrix: (size, size + 10), each row one pixel further."""
    taps = [math.exp(-((tap - _RADIUS) ** 2) / (2 * 1.5**2)) for tap in range(2 * _RADIUS + 1)]
    rows = torch.zeros(size, size + 2 * _RADIUS)
    for tap, weight in enumerate(taps):
        rows.diagonal(tap).fill_(weight / sum(taps))
    return rows.to(device)


def _blurred(planes: Tensor) -> Tensor:
    """Planes (..., h + 10, w + 10), float32 -> (..., h, w)."""
    height, width = planes.shape[-2] - 2 * _RADIUS, planes.shape[-1] - 2 * _RADIUS
    down = _window(height, planes.device) @ planes
    parts = F.pad(down, (0, -width % _STEP)).unfold(-1, _STEP + 2 * _RADIUS, _STEP).contiguous()
    across: Tensor = (parts @ _window(_STEP, planes.device).T).flatten(-2)
    return across[..., :width]


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """One minus what differs in the means, times one minus what differs in the structure.

    That is the usual product of two quotients. Written so, float32 is enough for six digits of the mean: differences of
    images are small numbers, and neither they nor variances depend on the level at which the images lie.
    """
    a, b = a.float(), b.float()
    level_a, level_b = a.mean().round(), b.mean().round()  # whole numbers stay whole
    x, y = a - level_a, b - level_b
    planes = torch.stack([x, y, x * x + y * y, (x - y).square()])
    mean_x, mean_y, squares, squared_differences = _blurred(planes)
    variances = squares - (mean_x.square() + mean_y.square())
    of_difference = squared_differences - (mean_x - mean_y).square()
    mean_a, mean_b = mean_x + level_a, mean_y + level_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    means = 1 - (mean_a - mean_b).square() / (mean_a.square() + mean_b.square() + c1)
    similar: Tensor = means * (1 - of_difference / (variances + c2))
    return similar


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """At every pixel of the valid region: planes (C, H, W) in 0..255 -> (C, H - 10, W - 10).

    Raises:
        TooSmall: fewer than 11 pixels a side.
    """
    channels, height, width = a.shape
    if min(height, width) <= 2 * _RADIUS:
        raise TooSmall("SSIM needs at least 11 pixels a side after cropping")
    valid = a.new_empty(channels, height - 2 * _RADIUS, width - 2 * _RADIUS)
    for top in range(0, valid.shape[1], _STEP):
        rows = slice(top, top + _STEP + 2 * _RADIUS)
        valid[:, top : top + _STEP] = _similarity(a[:, rows], b[:, rows])
    return valid


@metric("ssim", digits=4)
def mean_similarity(sr_image: Tensor, hr_image: Tensor) -> float:
    """Mean of :func:`similarity`; 1 for equal images."""
    return float(similarity(sr_image, hr_image).mean())
