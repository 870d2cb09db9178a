"""Measures of an SR image against the ground truth, with the protocol attached; one metric a file.

To add a metric, declare it with :func:`mtkd.plugins.metric` in a file here or in a plugin.

SPEC section 0 (docs/spec.md), "Y, crop = scale, uint8": clamp, round to ``uint8``, BT.601 luma (16..235,
not rounded), crop ``scale`` pixels a side; PSNR over peak 255; SSIM with an 11 x 11 Gaussian of sigma 1.5
on the valid region (Wang et al. 2004).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import TooSmall, UserError
from mtkd.images import UInt8Image, chw, round_to_levels
from mtkd.metrics.psnr import decibels as _decibels  # noqa: F401  (before `psnr` below takes the module's name here)
from mtkd.metrics.ssim import similarity
from mtkd.plugins import METRICS, MetricSpec

Image = Tensor | UInt8Image
"""A float tensor (3, H, W) or (1, 3, H, W) in [0, 1], a uint8 tensor of that shape, or (H, W, 3) uint8."""


@dataclass(frozen=True)
class Protocol:
    """How a metric is measured. ``str(protocol)`` is stored with every number."""

    channel: Literal["Y", "RGB"] = "Y"
    crop: int | Literal["scale"] = "scale"
    quantise: bool = True
    lr: Literal["official", "derived"] = "official"
    """Whether LR images are the official files of the set, or were derived from its HR images."""

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
            raise TooSmall(f"image of {width} x {height} is too small to crop {border} pixels a side")
        return levels[:, border : height - border, border : width - border]


def channel(name: str) -> Literal["Y", "RGB"]:
    """The channel that ``--channels`` names.

    Raises:
        UserError: neither y nor rgb.
    """
    if name.lower() not in ("y", "rgb"):
        raise UserError(f"--channels {name}: give y or rgb")
    return "Y" if name.lower() == "y" else "RGB"


PAPER = Protocol()
"""The protocol of the paper's tables."""

STRIP = 4_000_000
"""Pixels that :func:`psnr_of_large` looks at at a time."""

DEFAULT = ("psnr", "ssim")
"""The metrics that are measured by default."""


_TAKEN = {"image", "images", "images_hash", "method", "model", "name", "network", "parameters", "protocol", "region",
          "role", "scale", "seconds", "seeds", "set", "versions", "weights"}  # fmt: skip
"""Names of other columns in tables, cards and JSON."""


def _name_fault(metric: MetricSpec) -> str | None:
    """Why a metric cannot have its name: it is a column's key, a word of ``--metrics a,b`` and of YAML."""
    if not metric.name.isidentifier():
        return "has a name with characters other than letters, digits and _"
    if metric.name in _TAKEN or metric.name.startswith(("region_", "over_")) or metric.name.endswith("_spread"):
        return "has the name of another column; choose another name"
    return None


METRICS.check = _name_fault


def luma(levels: Tensor) -> Tensor:
    """BT.601 luma: (3, H, W) RGB in 0..255 -> (1, H, W) in 16..235, not rounded."""
    red, green, blue = levels
    y: Tensor = red * 65.481
    y.add_(green, alpha=128.553).add_(blue, alpha=24.966).div_(255).add_(16)  # in place: large images take their time
    return y[None]


def _pair(sr: Image, hr: Image, scale: int, protocol: Protocol) -> tuple[Tensor, Tensor]:
    a, b = protocol.planes(sr, scale), protocol.planes(hr, scale)
    if a.shape != b.shape:
        sizes = " and ".join(f"{x.shape[2]} x {x.shape[1]}" for x in (a, b))
        raise UserError(f"SR and HR differ in size after cropping: {sizes}")
    return a, b.to(a.device)


_also: list[str] = []
"""What the page shows beside the usual ones."""


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The given metrics without repetition; :data:`DEFAULT` if none are given.

    Raises:
        UserError: no such metric.
    """
    metrics = tuple(dict.fromkeys(name.strip() for name in names if name.strip())) or DEFAULT
    for name in metrics:
        METRICS[name]
    return metrics


def show(names: Sequence[str]) -> None:
    """What the page shows beside :data:`DEFAULT`.

    Raises:
        UserError: an unknown metric.
    """
    _also[:] = [name for name in chosen(names) if name not in DEFAULT]


def shown() -> tuple[str, ...]:
    """The metrics that the page shows: :data:`DEFAULT`, those of :func:`show`, and those of loaded plugins."""
    return (*DEFAULT, *_also, *(name for name in METRICS if name not in _also and not METRICS.source(name).built_in))


def spec(name: str) -> MetricSpec:
    """The declaration of a metric; a default one for a recorded metric whose plugin is not loaded."""
    declared: MetricSpec | None = METRICS.get(name)
    return declared or MetricSpec(name, math.nan.__add__, title=name.upper())


def text(name: str, value: float | None, blank: str = "") -> str:
    """A metric's value with the digits that tables show."""
    return blank if value is None else f"{value:.{spec(name).digits}f}"


def _value(name: str, sr: Tensor, hr: Tensor) -> float:
    metric, source = METRICS[name], METRICS.source(name)
    if source.built_in:
        return metric.measure(sr, hr)
    where = f"metric {name}, {source}"
    try:
        value: Any = metric.measure(sr.clone(), hr.clone())  # what it does to them is not seen by the next metric
    except TooSmall:
        raise
    except Exception as error:
        raise UserError(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    if type(value) is bool or not isinstance(value, Real):
        raise UserError(f"{where}: returned {type(value).__name__}; return a float")
    if math.isnan(value):
        raise UserError(f"{where}: returned NaN; return a number")
    return float(value)


def measure(
    sr: Image, hr: Image, scale: int, names: Sequence[str] = DEFAULT, protocol: Protocol = PAPER
) -> dict[str, float]:
    """Several metrics of one image, by name; the planes are prepared once.

    Raises:
        TooSmall: the image is too small to crop, or for a metric.
        UserError: unequal sizes, an unknown metric, or a metric that fails or returns no number (file and line are
            named).
    """
    planes = _pair(sr, hr, scale, protocol)
    return {name: _value(name, *planes) for name in names}


def measure_possible(
    sr: Image, hr: Image | None, scale: int, names: Sequence[str] = DEFAULT, protocol: Protocol = PAPER
) -> dict[str, float | None]:
    """As :func:`measure`, with None for a metric for which the image is too small, and without ground truth.

    Raises:
        UserError: as :func:`measure`.
    """
    values: dict[str, float | None] = dict.fromkeys(names)
    if hr is None:
        return values
    try:
        planes = _pair(sr, hr, scale, protocol)
    except TooSmall:
        return values
    for name in names:
        with suppress(TooSmall):
            values[name] = _value(name, *planes)
    return values


def psnr(sr: Image, hr: Image, scale: int, protocol: Protocol = PAPER) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE); infinite for equal images.

    Raises:
        UserError: unequal sizes, or too small to crop.
    """
    return measure(sr, hr, scale, ("psnr",), protocol)["psnr"]


def psnr_of_large(sr: Tensor, hr: Tensor, scale: int, protocol: Protocol = PAPER) -> float:
    """:func:`psnr` of images of any size: those of more than :data:`STRIP` pixels in strips, in bounded memory.

    Raises:
        UserError: as :func:`psnr`.
    """
    height, width = hr.shape[-2:]
    border = scale if protocol.crop == "scale" else protocol.crop
    rows = max(1, STRIP // width)
    if height <= rows or sr.shape[-2:] != hr.shape[-2:]:
        return psnr(sr, hr, scale, protocol)
    whole, total, count = replace(protocol, crop=0), 0.0, 0
    for top in range(border, height - border, rows):
        part = slice(top, min(top + rows, height - border)), slice(border, width - border)
        a, b = _pair(sr[..., part[0], part[1]], hr[..., part[0], part[1]], scale, whole)
        total, count = total + float((a - b).square().sum()), count + a.numel()
    return math.inf if total == 0 else 10 * math.log10(255**2 * count / total)


def ssim_map(sr: Image, hr: Image, scale: int, protocol: Protocol = PAPER) -> Tensor:
    """Structural similarity at every pixel of the valid region: (C, H', W') float64.

    Raises:
        UserError: unequal sizes, or fewer than 11 pixels a side after cropping.
    """
    return similarity(*_pair(sr, hr, scale, protocol))


def ssim(sr: Image, hr: Image, scale: int, protocol: Protocol = PAPER) -> float:
    """Mean structural similarity (Wang et al. 2004), 1 for equal images.

    Raises:
        UserError: see :func:`ssim_map`.
    """
    return measure(sr, hr, scale, ("ssim",), protocol)["ssim"]
