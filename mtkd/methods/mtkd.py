"""Stage 2: the student learns from the aggregator's image through the wavelet loss (Eqs. 2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import unknown_name
from mtkd.losses import DCTLoss, WaveletLoss
from mtkd.methods.base import Method, check_options


class L1(nn.L1Loss):
    """Mean absolute error, without options."""

    def __init__(self) -> None:
        super().__init__()


LOSSES: Mapping[str, type[nn.Module]] = {"wavelet": WaveletLoss, "dct": DCTLoss, "l1": L1}


class MTKD(Method):
    """L_total = alpha |I_stu - I_GT| + L_dis(I_stu, I_MT) (Eq. 4).

    Args:
        outputs: the aggregator (or any one network) whose output is I_MT.
        alpha: weight of the ground truth (0.1 in Sec. 4.2).
        loss: L_dis, ``wavelet`` (Eq. 3), or of Table 5 ``l1`` (v5) and ``dct`` (v6).
        options: of that loss, e.g. ``levels=1, wavelet="haar"``, or ``details_only=True`` (v7).
    """

    def __init__(
        self,
        outputs: tuple[str, ...],
        alpha: float = 0.1,
        loss: Literal["wavelet", "l1", "dct"] = "wavelet",
        **options: Any,
    ) -> None:
        super().__init__()
        if len(outputs) != 1:
            raise TypeError(f"learns from one image I_MT, got {len(outputs)} networks")
        if loss not in LOSSES:
            raise unknown_name("loss of method mtkd", loss, LOSSES)
        self.outputs, self.alpha = outputs, alpha
        self.distillation = LOSSES[loss](**check_options("method mtkd", LOSSES[loss], options))

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image = network(batch.lr_image)
        return {
            "alpha L_stu": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_dis": self.distillation(student_image, batch.outputs[self.outputs[0]]),
        }
