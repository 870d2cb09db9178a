"""Bicubic interpolation in the clothes of a network: the baseline of every comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtkd.resize import imresize


class Bicubic(nn.Module):
    """MATLAB bicubic upscaling of 8-bit images (section 0 of the specification): no parameters."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr_image: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] -> (N, 3, sh, sw) on the 8-bit grid in [0, 1]; not differentiable."""
        levels = (lr_image * 255).round().clamp(0, 255).to(torch.uint8)
        return imresize(levels, self.scale).to(lr_image.dtype) / 255
