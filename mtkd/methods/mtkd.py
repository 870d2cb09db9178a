"""Stage 2: the student learns from the aggregator's image through the wavelet loss (Eqs. 2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import unknown_name
from mtkd.losses import DCTLoss, WaveletLoss
from mtkd.methods.base import Method, check_options, default_options


class L1(nn.L1Loss):
    """Mean absolute error, without options."""

    def __init__(self) -> None:
        super().__init__()


LOSSES: Mapping[str, type[nn.Module]] = {"wavelet": WaveletLoss, "dct": DCTLoss, "l1": L1}


OWN = ("alpha", "weight", "mean", "loss")


class MTKD(Method):
    """L_total = alpha |I_stu - I_GT| + L_dis(I_stu, I_MT) (Eq. 4).

    Args:
        outputs: the aggregator (or any one network) whose output is I_MT.
        alpha: weight of the ground truth (0.1 in Sec. 4.2).
        weight: of L_dis (1 in Eq. 4).
        mean: learn from the mean of several networks' outputs in the place of I_MT (a control).
        loss: L_dis, ``wavelet`` (Eq. 3), or of Table 5 ``l1`` (v5) and ``dct`` (v6).
        options: of that loss, e.g. ``levels=1, wavelet="haar"``, or ``details_only=True`` (v7).
    """

    def __init__(
        self,
        outputs: tuple[str, ...],
        alpha: float = 0.1,
        weight: float = 1.0,
        mean: bool = False,
        loss: Literal["wavelet", "l1", "dct"] = "wavelet",
        **options: Any,
    ) -> None:
        super().__init__()
        if len(outputs) != 1 and not mean:
            raise TypeError(f"learns from one image I_MT, got {len(outputs)} networks (mean: true takes their mean)")
        if loss not in LOSSES:
            raise unknown_name("loss of method mtkd", loss, LOSSES)
        self.outputs, self.alpha, self.weight = outputs, alpha, weight
        self.distillation = LOSSES[loss](**check_options("method mtkd", LOSSES[loss], options, OWN))
        self._bands: dict[str, Tensor] = {}

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """With those of the loss that is chosen."""
        own = super().defaults(options)
        loss = LOSSES.get(options.get("loss", own["loss"]))
        return (default_options(loss) if loss else {}) | own

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image = network(batch.lr_image)
        mt_image = torch.stack([batch.outputs[name] for name in self.outputs]).mean(0)
        return {
            "alpha L_stu": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_dis": self.weight * self._distil(student_image, mt_image),
        }

    def parts(self) -> dict[str, Tensor]:
        """The subbands' contributions to L_dis, "band LL1", "band LH1", ...: they add up to it (wavelet loss alone)."""
        return {f"band {name}": self.weight * value for name, value in self._bands.items()}

    def _distil(self, student_image: Tensor, mt_image: Tensor) -> Tensor:
        if not isinstance(self.distillation, WaveletLoss):
            distance: Tensor = self.distillation(student_image, mt_image)
            return distance
        bands = self.distillation.bands(student_image, mt_image)
        self._bands = {name: value.detach() for name, value in bands.items()}
        total: Tensor = sum(bands.values())  # type: ignore[assignment]  # in the order of WaveletLoss.forward
        return total
