"""Bicubic interpolation as a network: the baseline of every comparison."""

from __future__ import annotations

from torch import Tensor, nn

from mtkd.plugins import network
from mtkd.resize import imresize


@network("bicubic", role="baseline", size="paper", title="Bicubic", weights=False)
class Bicubic(nn.Module):
    """MATLAB bicubic upscaling in floating point (SPEC section 0): no parameters.

    Rounding happens once, where the result is measured or written, as for every other network. (MATLAB's
    ``imresize`` of a ``uint8`` image rounds after each dimension, which costs about 0.001 dB.)
    """

    reach = 2
    """LR pixels: see :class:`~mtkd.networks.common.SuperResolutionNetwork`."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr_image: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] -> (N, 3, sh, sw), not clamped."""
        return imresize(lr_image, self.scale)
