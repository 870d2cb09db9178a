"""Structural similarity (Wang et al. 2004): an 11 x 11 Gaussian of sigma 1.5 on the valid region."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import torch
from torch import Tensor

from mtkd.errors import TooSmall
from mtkd.plugins import metric

_RADIUS = 5
_TILE = 64
"""Pixels a side that a CPU measures at once: their planes stay in its cache."""


@cache
def _window(size: int, device: torch.device) -> Tensor:
    """The window, which sums to 1, as a matrix: (size, size + 10), each row one pixel further."""
    taps = [math.exp(-((tap - _RADIUS) ** 2) / (2 * 1.5**2)) for tap in range(2 * _RADIUS + 1)]
    rows = torch.zeros(size, size + 2 * _RADIUS, dtype=torch.float64)
    for tap, weight in enumerate(taps):
        rows.diagonal(tap).fill_(weight / sum(taps))
    return rows.to(device)


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    down, across = (_window(size - 2 * _RADIUS, a.device).to(a.dtype) for size in a.shape[1:])
    mean_a, mean_b, squares, products = (down @ torch.cat([a, b, a * a + b * b, a * b]) @ across.T).chunk(4)
    squared_means, mean_product = mean_a.square() + mean_b.square(), mean_a * mean_b
    variances, covariance = squares - squared_means, products - mean_product
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * mean_product + c1) * (2 * covariance + c2) / ((squared_means + c1) * (variances + c2))


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """At every pixel of the valid region: planes (C, H, W) in 0..255 -> (C, H - 10, W - 10).

    Raises:
        TooSmall: fewer than 11 pixels a side.
    """
    channels, height, width = a.shape
    if min(height, width) <= 2 * _RADIUS:
        raise TooSmall("SSIM needs at least 11 pixels a side after cropping")
    valid = a.new_empty(channels, height - 2 * _RADIUS, width - 2 * _RADIUS)
    tile = _TILE if a.device.type == "cpu" else 16 * _TILE
    for top, left in product(range(0, valid.shape[1], tile), range(0, valid.shape[2], tile)):
        seen = (slice(None), slice(top, top + tile + 2 * _RADIUS), slice(left, left + tile + 2 * _RADIUS))
        valid[:, top : top + tile, left : left + tile] = _similarity(a[seen], b[seen])
    return valid


@metric("ssim", digits=4)
def mean_similarity(sr_image: Tensor, hr_image: Tensor) -> float:
    """Mean of :func:`similarity`; 1 for equal images."""
    return float(similarity(sr_image, hr_image).mean())
