"""The DCT loss, which variant v6 of Table 5 uses instead of the wavelet loss."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from mtkd.errors import UserError, unknown_name
from mtkd.networks.dct import dct_matrix
from mtkd.plugins import loss


@lru_cache(maxsize=32)
def _matrix(size: int, norm: str) -> Tensor:
    matrix = dct_matrix(size)
    if norm == "raw":  # 2 sum x cos(...), as scipy's norm=None
        matrix = matrix * (2 * size) ** 0.5
        matrix[0] *= 2**0.5
    return matrix


@loss("dct", title="DCT loss")
class DCTLoss(nn.Module):
    """Mean |DCT(student) - DCT(target)| of the two-dimensional DCT-II (v6 of Table 5).

    Args:
        block: side length of the transformed blocks; None transforms the whole patch.
        norm: "ortho", or "raw" for the unnormalised transform (on 256 x 256 patches some 500 times larger).

    Raises:
        UserError: a block size below 1, an unknown norm, or an image size that is not a multiple of the block.
    """

    def __init__(self, block: int | None = None, norm: Literal["ortho", "raw"] = "ortho") -> None:
        super().__init__()
        if block is not None and block < 1:
            raise UserError(f"block must be 1 or more, not {block}")
        if norm not in ("ortho", "raw"):
            raise unknown_name("norm", norm, ("ortho", "raw"))
        self.block, self.norm = block, norm

    def forward(self, student_image: Tensor, target_image: Tensor) -> Tensor:
        """Two ``(B, C, H, W)`` batches of equal size -> a scalar. Only their difference is transformed."""
        if student_image.shape != target_image.shape:
            raise UserError(f"images of different sizes: {tuple(student_image.shape)} and {tuple(target_image.shape)}")
        difference = student_image - target_image
        if self.block:
            height, width = difference.shape[-2:]
            if height % self.block or width % self.block:
                raise UserError(f"{width} x {height} is not a multiple of the block of {self.block} pixels")
            # (B, C, H, W) -> (B, C, H/b, W/b, b, b)
            difference = difference.unfold(-2, self.block, self.block).unfold(-2, self.block, self.block)
        rows, columns = (
            _matrix(size, self.norm).to(difference.device, difference.dtype) for size in difference.shape[-2:]
        )
        coefficients: Tensor = rows @ difference @ columns.t()
        return torch.mean(coefficients.abs())
