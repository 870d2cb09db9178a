"""Stage 2: the student learns from the aggregator's image through the wavelet loss (Eqs. 2 to 4)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.losses import WaveletLoss
from mtkd.methods.base import Method


class MTKD(Method):
    """L_total = alpha |I_stu - I_GT| + L_dis(I_stu, I_MT) (Eq. 4).

    Args:
        outputs: the aggregator (or any one network) whose output is I_MT.
        alpha: weight of the ground truth (0.1 in Sec. 4.2).
        levels, wavelet, reduction: of :class:`~mtkd.losses.WaveletLoss` (1, Haar, mean in the paper).
    """

    def __init__(
        self,
        outputs: tuple[str, ...],
        alpha: float = 0.1,
        levels: int = 1,
        wavelet: str = "haar",
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        if len(outputs) != 1:
            raise TypeError(f"learns from one image I_MT, got {len(outputs)} networks")
        self.outputs, self.alpha = outputs, alpha
        self.distillation = WaveletLoss(levels, wavelet, reduction)

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image = network(batch.lr_image)
        return {
            "alpha L_stu": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_dis": self.distillation(student_image, batch.outputs[self.outputs[0]]),
        }
