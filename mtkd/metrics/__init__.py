"""PSNR and SSIM as super-resolution papers report them, with the protocol attached.

SPEC section 0 (docs/spec.md), "Y, crop = scale, uint8": clamp, round to ``uint8``, BT.601 luma (16..235,
not rounded), crop ``scale`` pixels a side; PSNR over peak 255; SSIM with an 11 x 11 Gaussian of sigma 1.5
on the valid region (Wang et al. 2004).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd.errors import UserError
from mtkd.images import UInt8Image, chw, round_to_levels

Image = Tensor | UInt8Image
"""A float tensor (3, H, W) or (1, 3, H, W) in [0, 1], a uint8 tensor of that shape, or (H, W, 3) uint8."""


@dataclass(frozen=True)
class Protocol:
    """How a number was measured. ``str(protocol)`` is stored beside every number."""

    channel: Literal["Y", "RGB"] = "Y"
    crop: int | Literal["scale"] = "scale"
    quantise: bool = True
    lr: Literal["official", "derived"] = "official"
    """Whether the set's own LR files were enlarged, or LR images made from its HR files."""

    def __str__(self) -> str:
        derived = ", LR derived" if self.lr == "derived" else ""
        return f"{self.channel}, crop = {self.crop}, {'uint8' if self.quantise else 'float'}{derived}"

    def planes(self, image: Image, scale: int) -> Tensor:
        """The samples that are compared: (C, H', W') float64 in 0..255."""
        tensor = torch.as_tensor(chw(image)) if isinstance(image, np.ndarray) else image.detach()
        tensor = tensor.cpu() if tensor.device.type == "mps" else tensor  # which has no float64
        if tensor.dim() == 4 and tensor.shape[0] == 1:
            tensor = tensor[0]
        if tensor.dim() != 3 or tensor.shape[0] != 3:
            raise ValueError(f"expected one RGB image (3, H, W), got {tuple(tensor.shape)}")
        if tensor.dtype == torch.uint8:
            levels = tensor.double()
        elif self.quantise:
            levels = round_to_levels(tensor).double()
        else:
            levels = tensor.double() * 255
        if self.channel == "Y":
            levels = luma(levels)
        border = scale if self.crop == "scale" else self.crop
        height, width = levels.shape[-2:]
        if min(height, width) <= 2 * border:
            raise UserError(f"image of {width} x {height} is too small to crop {border} pixels a side")
        return levels[:, border : height - border, border : width - border]


PAPER = Protocol()
"""The protocol of the paper's tables."""


def luma(levels: Tensor) -> Tensor:
    """BT.601 luma: (3, H, W) RGB in 0..255 -> (1, H, W) in 16..235, not rounded."""
    red, green, blue = levels
    y: Tensor = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    return y[None]


def _pair(sr: Image, hr: Image, scale: int, protocol: Protocol) -> tuple[Tensor, Tensor]:
    a, b = protocol.planes(sr, scale), protocol.planes(hr, scale)
    if a.shape != b.shape:
        sizes = " and ".join(f"{x.shape[2]} x {x.shape[1]}" for x in (a, b))
        raise UserError(f"SR and HR have unequal sizes: {sizes} after cropping")
    return a, b.to(a.device)


def psnr(sr: Image, hr: Image, scale: int, protocol: Protocol = PAPER) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE); infinite for equal images.

    Raises:
        UserError: unequal sizes, or too small to crop.
    """
    a, b = _pair(sr, hr, scale, protocol)
    mse = float((a - b).square().mean())
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def _blur(planes: Tensor) -> Tensor:
    """11 x 11 Gaussian window, sigma 1.5, valid region: (C, H, W) -> (C, H - 10, W - 10)."""
    x = torch.arange(-5, 6, dtype=torch.float64, device=planes.device)
    g = torch.exp(-x.square() / (2 * 1.5**2))
    g = g / g.sum()
    rows = F.conv2d(planes[:, None], g.view(1, 1, -1, 1))  # (C, 1, H - 10, W)
    return F.conv2d(rows, g.view(1, 1, 1, -1))[:, 0]


def ssim_map(sr: Image, hr: Image, scale: int, protocol: Protocol = PAPER) -> Tensor:
    """Structural similarity at every pixel of the valid region: (C, H', W') float64.

    Raises:
        UserError: unequal sizes, or fewer than 11 pixels a side after cropping.
    """
    a, b = _pair(sr, hr, scale, protocol)
    if min(a.shape[-2:]) < 11:
        raise UserError("SSIM needs at least 11 pixels a side after cropping")
    mean_a, mean_b, square_a, square_b, product = _blur(torch.cat([a, b, a * a, b * b, a * b])).chunk(5)
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return luminance * structure


def ssim(sr: Image, hr: Image, scale: int, protocol: Protocol = PAPER) -> float:
    """Mean structural similarity (Wang et al. 2004), 1 for equal images.

    Raises:
        UserError: see :func:`ssim_map`.
    """
    return float(ssim_map(sr, hr, scale, protocol).mean())
