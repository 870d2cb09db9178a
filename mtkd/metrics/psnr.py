"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

from torch import Tensor

from mtkd.plugins import metric


@metric("psnr", unit="dB", digits=3)
def decibels(sr_image: Tensor, hr_image: Tensor) -> float:
    """10 log10(255^2 / MSE) of planes (C, H, W) in 0..255, in dB; infinite for equal images."""
    mse = float((sr_image - hr_image).square().mean())
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)
