"""Paths from a blurred image to the image: what LAM walks along, and whose start stands for what is taken away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class BlurPath:
    """Gaussian unblurring: g(a) = blur(image, sigma (1 - a)), from a = 0, blurred, to a = 1, the image itself.

    The border is reflected, or repeated where the image is smaller than the kernel's radius.
    """

    name: ClassVar[str] = "blur"
    sigma: float = 1.2
    radius: int = 4

    @classmethod
    def for_hr(cls, scale: int, sigma: float = 1.2) -> Self:
        """As wide in the HR image as ``sigma`` is in the LR image."""
        return cls(sigma * scale, math.ceil(3.33 * sigma * scale))

    def kernel(self, sigma: float) -> tuple[Tensor, Tensor]:
        """The kernel k, 2 radius + 1 values that add up to 1, and dk / dsigma; float64."""
        i = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        if sigma < 1e-6:
            return (i == 0).double(), torch.zeros_like(i)
        k = torch.softmax(-i.square() / (2 * sigma**2), 0)
        return k, k * (i.square() - (k * i.square()).sum()) / sigma**3

    def __call__(self, image: Tensor, a: float) -> tuple[Tensor, Tensor]:
        """g(a) and its exact derivative dg / da, both (N, C, H, W)."""
        k, dk = (part.to(image) for part in self.kernel(self.sigma * (1 - a)))
        mode = "reflect" if min(image.shape[-2:]) > self.radius else "replicate"
        padded = F.pad(image, (self.radius,) * 4, mode=mode)
        point = _separable(padded, k, k)
        return point, -self.sigma * (_separable(padded, dk, k) + _separable(padded, k, dk))

    def start(self, image: Tensor) -> Tensor:
        """g(0): the blurred image."""
        return self(image, 0.0)[0]


@dataclass(frozen=True)
class StraightPath(BlurPath):
    """The straight line from the blurred image to the image: on it, LAM is integrated gradients with that baseline.

    Its points are mixtures of sharp and blurred; those of :class:`BlurPath` are images of less and less blur.
    """

    name: ClassVar[str] = "straight"

    def __call__(self, image: Tensor, a: float) -> tuple[Tensor, Tensor]:
        """start + a (image - start) and its derivative, image - start."""
        start = super().__call__(image, 0.0)[0]
        return start + a * (image - start), image - start


PATHS: dict[str, type[BlurPath]] = {path.name: path for path in (BlurPath, StraightPath)}


def _separable(padded: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    channels = padded.shape[1]
    across = F.conv2d(padded, columns.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, rows.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
