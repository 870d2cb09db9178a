"""Bicubic resampling as MATLAB's ``imresize`` does it: the degradation behind every LR benchmark image.

SPEC section 0 (docs/spec.md): cubic kernel with a = -0.5, stretched by 1/ratio when shrinking
(antialiasing), weights normalised, and for ``uint8`` images a rounding to ``uint8`` after each of the two
dimensions, rows first.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Border = Literal["clamp", "mirror"]
LARGE = 10_000_000
"""Samples from which on a ``uint8`` image is resized channel by channel."""


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5; support (-2, 2)."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def output_size(size: int, ratio: float) -> int:
    """Length of a dimension of ``size`` samples after resizing by ``ratio``: ceil(ratio * size)."""
    return max(1, math.ceil(ratio * size - 1e-9))


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def _taps(size: int, ratio: float, border: Border) -> tuple[Tensor, Tensor]:
    """Source indices and weights of one dimension, both (taps, size_out); weights in float64."""
    size_out = output_size(size, ratio)
    shrink = min(ratio, 1.0)
    width = 4.0 / shrink
    x = torch.arange(1, size_out + 1, dtype=torch.float64, device="cpu")  # MATLAB counts from 1
    centre = x / ratio + 0.5 * (1 - 1 / ratio)
    tap = torch.arange(math.ceil(width) + 2, dtype=torch.float64, device="cpu")[:, None]
    index = torch.floor(centre - width / 2) + tap  # (taps, out)
    weight = _cubic(shrink * (centre - index))
    weight = weight / weight.sum(0)
    used = (weight != 0).any(1)
    index, weight = index[used].long() - 1, weight[used]
    if border == "clamp":
        index = index.clamp(0, size - 1)
    else:  # ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
        index = index % (2 * size)
        index = torch.where(index < size, index, 2 * size - 1 - index)
    return index, weight


def _resize_dimension(image: Tensor, dim: int, ratio: float, border: Border) -> Tensor:
    index, weight = _taps(image.shape[dim], ratio, border)
    shape = [1] * image.dim()
    shape[dim] = -1
    total: Tensor | None = None
    for taps, w in zip(index.to(image.device), weight.to(image.device, image.dtype), strict=True):
        term = image.index_select(dim, taps) * w.view(shape)
        total = term if total is None else total + term
    assert total is not None
    return total


def imresize(image: Tensor, scale: float, border: Border = "clamp") -> Tensor:
    """Resize (..., H, W) to (..., ceil(scale H), ceil(scale W)) with MATLAB's bicubic kernel.

    Args:
        image: ``uint8`` (0..255; rounded to ``uint8`` after each dimension, as MATLAB does) or floating point
            (any range; neither clamped nor rounded; differentiable).
        scale: factor: 1/4 to downscale, 4 to upscale by four.
        border: ``clamp`` replicates the edge (the benchmarks' LR files), ``mirror`` reflects it
            (newer MATLAB, BasicSR).

    Raises:
        TypeError: for other integer types. ValueError: for a scale that is not positive, an empty image or
            an unknown border.
    """
    if border not in ("clamp", "mirror"):
        raise ValueError(f"border must be 'clamp' or 'mirror', not {border!r}")
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive number, not {scale!r}")
    if image.dim() < 2 or 0 in image.shape:
        raise ValueError(f"expected a non-empty image (..., H, W), got shape {tuple(image.shape)}")
    if image.is_floating_point():
        return _resize_dimension(_resize_dimension(image, -2, scale, border), -1, scale, border)
    if image.dtype != torch.uint8:
        raise TypeError(f"expected uint8 or floating point, got {image.dtype}")
    if image.dim() == 3 and image.numel() > LARGE:  # a channel at a time: float64 needs memory
        return torch.stack([imresize(channel, scale, border) for channel in image])
    for dim in (-2, -1):
        resized = _resize_dimension(image.double(), dim, scale, border)
        image = (resized + 0.5).floor().clamp(0, 255).to(torch.uint8)  # MATLAB rounds halves up
    return image
