"""The L1 loss, which variant v5 of Table 5 uses instead of the wavelet loss."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.plugins import loss


@loss("l1", title="L1 loss")
class L1Loss(nn.Module):
    """Mean |student - target|, without options (v5 of Table 5)."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, student_image: Tensor, target_image: Tensor) -> Tensor:
        """Two ``(B, C, H, W)`` batches of equal size -> a scalar."""
        return F.l1_loss(student_image, target_image)
