"""Structural similarity (Wang et al. 2004): an 11 x 11 Gaussian of sigma 1.5 on the valid region."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd.errors import TooSmall
from mtkd.plugins import metric


def _blur(planes: Tensor) -> Tensor:
    """11 x 11 Gaussian window, sigma 1.5, valid region: (C, H, W) -> (C, H - 10, W - 10)."""
    x = torch.arange(-5, 6, dtype=torch.float64, device=planes.device)
    g = torch.exp(-x.square() / (2 * 1.5**2))
    g = g / g.sum()
    rows = F.conv2d(planes[:, None], g.view(1, 1, -1, 1))  # (C, 1, H - 10, W)
    return F.conv2d(rows, g.view(1, 1, 1, -1))[:, 0]


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """At every pixel of the valid region: planes (C, H, W) in 0..255 -> (C, H - 10, W - 10).

    Raises:
        TooSmall: fewer than 11 pixels a side.
    """
    if min(a.shape[-2:]) < 11:
        raise TooSmall("SSIM needs at least 11 pixels a side after cropping")
    mean_a, mean_b, square_a, square_b, product = _blur(torch.cat([a, b, a * a, b * b, a * b])).chunk(5)
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return luminance * structure


@metric("ssim", digits=4)
def mean_similarity(sr_image: Tensor, hr_image: Tensor) -> float:
    """Mean of :func:`similarity`; 1 for equal images."""
    return float(similarity(sr_image, hr_image).mean())
