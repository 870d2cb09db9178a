"""PSNR and SSIM as other programs and tables define them: the same pair gives other numbers.

docs/numbers.md says which tables use which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from mtkd.images import UInt8Image
from mtkd.metrics import Protocol
from mtkd.metrics.psnr import decibels
from mtkd.metrics.ssim import similarity

Measure = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True)
class Convention:
    """One way to measure.

    Attributes:
        name: what it does, for people.
        metric: "PSNR" or "SSIM".
        protocol: channel and crop.
        measure: of prepared planes (C, H, W) in 0..255.
        used_by: programs and tables.
        round_luma: whether luma is rounded to whole levels.
        more_crop: pixels to crop beyond the protocol's.
    """

    name: str
    metric: Literal["PSNR", "SSIM"]
    protocol: Protocol
    measure: Measure
    used_by: str
    round_luma: bool = False
    more_crop: int = 0

    def __call__(self, sr_image: UInt8Image, hr_image: UInt8Image, scale: int) -> float:
        """Measure one pair of images, (H, W, 3) uint8.

        Raises:
            TooSmall: too small to crop, or for SSIM.
        """
        protocol = self.protocol
        if self.more_crop:
            protocol = Protocol(protocol.channel, scale + self.more_crop)
        planes = (protocol.planes(image, scale) for image in (sr_image, hr_image))
        sr, hr = (plane.round() if self.round_luma else plane for plane in planes)
        return self.measure(sr, hr)


def _valid_ssim(sr: Tensor, hr: Tensor) -> float:
    """Windows that lie inside: Wang et al.'s ssim_index.m; of RGB the mean over channels."""
    return float(similarity(sr, hr).mean())


def _matlab_ssim(sr: Tensor, hr: Tensor) -> float:
    """A window around every pixel, the edges repeated: ``ssim`` of MATLAB's Image Processing Toolbox."""
    padded = (F.pad(plane[None], (5, 5, 5, 5), mode="replicate")[0] for plane in (sr, hr))
    return float(similarity(*padded).mean())


def _uniform_ssim(sr: Tensor, hr: Tensor) -> float:
    """Flat 7 x 7 windows with sample variances, those that lie inside: the default of scikit-image."""
    c1, c2, n = (0.01 * 255) ** 2, (0.03 * 255) ** 2, 49

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, stride=1)

    mean_a, mean_b = mean(sr), mean(hr)
    variance_a, variance_b = ((mean(x * x) - m**2) * n / (n - 1) for x, m in ((sr, mean_a), (hr, mean_b)))
    covariance = (mean(sr * hr) - mean_a * mean_b) * n / (n - 1)
    values = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((values / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


_Y, _RGB, _WHOLE_Y, _WHOLE_RGB = Protocol("Y"), Protocol("RGB"), Protocol("Y", 0), Protocol("RGB", 0)

CONVENTIONS = (
    Convention("Y, crop = scale", "PSNR", _Y, decibels, "this project; BasicSR, SwinIR, EDSR (benchmark sets)"),
    Convention("Y rounded, crop = scale", "PSNR", _Y, decibels, "MATLAB's rgb2ycbcr: SRCNN, VDSR, RCAN", True),
    Convention("Y, no crop", "PSNR", _WHOLE_Y, decibels, "-"),
    Convention("RGB, crop = scale", "PSNR", _RGB, decibels, "NTIRE challenges"),
    Convention("RGB, crop = scale + 6", "PSNR", _RGB, decibels, "EDSR (DIV2K validation)", more_crop=6),
    Convention("RGB, no crop", "PSNR", _WHOLE_RGB, decibels, "scikit-image, as called by most"),
    Convention("Y, crop = scale", "SSIM", _Y, _valid_ssim, "this project; BasicSR, SwinIR; ssim_index.m"),
    Convention("Y rounded, crop = scale", "SSIM", _Y, _valid_ssim, "MATLAB's rgb2ycbcr: RCAN", True),
    Convention("Y, crop = scale, MATLAB's ssim", "SSIM", _Y, _matlab_ssim, "ssim of MATLAB's toolbox"),
    Convention("Y, crop = scale, flat 7 x 7", "SSIM", _Y, _uniform_ssim, "scikit-image's default"),
    Convention("Y, no crop", "SSIM", _WHOLE_Y, _valid_ssim, "-"),
    Convention("RGB, crop = scale", "SSIM", _RGB, _valid_ssim, "BasicSR without test_y_channel"),
    Convention("RGB, no crop", "SSIM", _WHOLE_RGB, _valid_ssim, "-"),
)
"""Of each metric, this project's first."""
