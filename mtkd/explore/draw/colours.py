"""Pictures of numbers: error maps, signed errors, best model per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pywt
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mtkd.images import UInt8Image, chw
from mtkd.metrics import luma

ERROR_RANGE = 32
"""Luma levels (of 219) of full colour in error maps."""
VISIBLE_RANGE = 0.5
"""FLIP of full colour."""

_HEAT = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)
_SIGNED = (
    (33, 102, 172),
    (103, 169, 207),
    (209, 229, 240),
    (247, 247, 247),
    (253, 219, 199),
    (239, 138, 98),
    (178, 24, 43),
)
SIGNED_CSS = ", ".join(f"rgb{colour}" for colour in _SIGNED)
"""The colours of :func:`diverging` from -1 to 1, for a gradient of a style sheet."""
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
"""Colours for up to seven models that colour-blind readers can distinguish (Okabe and Ito)."""
SERIES = tuple(PALETTE[i] for i in (5, 6, 2, 3, 0, 1))
"""Of lines and dots, in this order: without yellow, which is too pale for them."""
STORY = {"scratch": PALETTE[0], "kd": PALETTE[5], "mtkd": PALETTE[2], "MT": PALETTE[3]}
"""Of what the whole explorer is about, by the label of its row: always the same."""


def _colourise(values: NDArray[np.float64], anchors: Sequence[tuple[int, int, int]]) -> UInt8Image:
    """Values in [0, 1] (H, W) -> colours interpolated between evenly spaced anchors, (H, W, 3) uint8."""
    table = np.array(anchors, dtype=np.float64)
    where = np.clip(values, 0, 1) * (len(anchors) - 1)
    channels = [np.interp(where, np.arange(len(anchors)), table[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def luma_error(sr: UInt8Image, hr: UInt8Image) -> NDArray[np.float64]:
    """SR minus HR in BT.601 luma levels, (H, W) float64."""
    difference: NDArray[np.float64] = (luma(chw(sr).double()) - luma(chw(hr).double()))[0].numpy()
    return difference


def error_map(sr: UInt8Image, hr: UInt8Image) -> UInt8Image:
    """|luma error|, black at 0 to pale yellow at ``ERROR_RANGE`` levels and above."""
    return heat_map(np.abs(luma_error(sr, hr)) / ERROR_RANGE)


def signed_error_map(sr: UInt8Image, hr: UInt8Image) -> UInt8Image:
    """Luma error: blue where SR is too dark, white at 0, red where it is too bright; full at ``ERROR_RANGE``."""
    return diverging(luma_error(sr, hr) / ERROR_RANGE)


def diverging(values: NDArray[np.float64]) -> UInt8Image:
    """Values (H, W), -1 to 1: blue, white at 0, red."""
    return _colourise(values / 2 + 0.5, _SIGNED)


def wavelet_error_map(sr: UInt8Image, hr: UInt8Image, levels: int = 2) -> UInt8Image:
    """|Haar DWT of the luma error|, its bands in the usual places: LL top left, around it those of each finer level.

    Coefficients of level l are divided by 2^l, so that LL stays in luma levels; colours as in :func:`error_map`. The
    picture has the size of the image: if a side is odd, the last row or column of each band is omitted.
    """
    height, width = hr.shape[:2]
    levels = min(levels, int(np.log2(min(height, width))))
    error = luma_error(sr, hr)
    picture = np.zeros_like(error)
    for level in range(1, levels + 1):
        error, details = pywt.dwt2(error / 2, "haar", mode="symmetric")
        h, w = height >> level, width >> level
        # LH (high-pass along H) below, HL at the right, HH in the corner
        for (top, left), band in zip(((h, 0), (0, w), (h, w)), details, strict=True):
            picture[top : top + h, left : left + w] = band[:h, :w]
        picture[:h, :w] = error[:h, :w]
    return heat_map(np.abs(picture) / ERROR_RANGE)


def heat_map(values: NDArray[np.float64]) -> UInt8Image:
    """Values (H, W), 0 to 1, from black to pale yellow."""
    return _colourise(values, _HEAT)


def best_model_map(images: Sequence[UInt8Image], hr: UInt8Image, sigma: float = 1.5) -> tuple[UInt8Image, list[float]]:
    """The image nearest to the ground truth at each pixel, and the share of pixels of each image.

    The squared luma error is smoothed by a Gaussian of ``sigma`` pixels first (single pixels are noise). The
    colour is that of the best image in ``PALETTE`` (enough for seven); it fades to the grey picture where the best
    and the second best differ little. Returns (H, W, 3) uint8 and one share in [0, 1] an image.
    """
    errors = torch.stack([torch.from_numpy(luma_error(image, hr)).square() for image in images])[:, None]
    radius = min(int(np.ceil(3 * sigma)), min(hr.shape[:2]) - 1)
    if radius > 0:
        x = torch.arange(-radius, radius + 1, dtype=torch.float64)
        g = torch.exp(-x.square() / (2 * sigma**2))
        g = g / g.sum()
        errors = F.conv2d(F.pad(errors, (0, 0, radius, radius), mode="reflect"), g.view(1, 1, -1, 1))
        errors = F.conv2d(F.pad(errors, (radius, radius, 0, 0), mode="reflect"), g.view(1, 1, 1, -1))
    rms = errors[:, 0].clamp(min=0).sqrt()  # (N, H, W)
    best = rms.argmin(0).numpy()
    shares = [float((best == i).mean()) for i in range(len(images))]
    ordered = rms.sort(0).values
    margin = (ordered[1] - ordered[0]).numpy() if len(images) > 1 else np.full(best.shape, 4.0)
    strength = np.clip(margin / 4, 0.15, 0.85)[..., None]  # 4 levels of RMS difference: full colour
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in PALETTE], dtype=np.float64)
    grey = luma(chw(hr).double())[0].numpy()[..., None]
    mixed = strength * colours[best % len(PALETTE)] + (1 - strength) * grey
    return mixed.round().astype(np.uint8), shares
