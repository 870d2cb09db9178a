"""Stage 2: the student learns from the aggregator's image through the wavelet loss (Eqs. 2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.losses.trial import try_loss
from mtkd.methods.base import Method, Terms, check_options, default_options
from mtkd.plugins import LOSSES, method

OWN = ("alpha", "weight", "mean", "loss")


@method("mtkd", title="MTKD, wavelet loss against the aggregator (Eq. 4)")
class MTKD(Method):
    """L_total = alpha |I_stu - I_GT| + L_dis(I_stu, I_MT) (Eq. 4).

    Args:
        outputs: the aggregator (or any one network) whose output is I_MT.
        alpha: weight of the ground truth (0.1 in Sec. 4.2).
        weight: of L_dis (1 in Eq. 4).
        mean: use the mean of several networks' outputs instead of I_MT (a control).
        loss: L_dis: ``wavelet`` (Eq. 3), ``l1`` (v5 of Table 5), ``dct`` (v6), or any declared loss. Its parameters are
            not trained. If it has ``bands(student, target)``, terms that add up to the loss, they are logged.
        options: options of the loss, e.g. ``levels=1, wavelet="haar"``, or ``details_only=True`` (v7).
    """

    weights = ("alpha", "weight", "reduction")

    def __init__(
        self,
        outputs: tuple[str, ...],
        alpha: float = 0.1,
        weight: float = 1.0,
        mean: bool = False,
        loss: str = "wavelet",
        **options: Any,
    ) -> None:
        super().__init__()
        if len(outputs) != 1 and not mean:
            raise TypeError(f"learns from one image I_MT, got {len(outputs)} networks (mean: true takes their mean)")
        self.outputs, self.alpha, self.weight = outputs, alpha, weight
        build = LOSSES[loss].build
        self.loss_name, self.loss_options = loss, check_options("method mtkd", build, options, OWN)
        with LOSSES.blaming(loss):
            self.distillation: Any = build(**self.loss_options).eval().requires_grad_(False)

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """With those of the loss that is chosen."""
        defaults = super().defaults(options)
        loss = LOSSES.get(options.get("loss", defaults["loss"]))
        return (default_options(loss.build) if loss else {}) | defaults

    @staticmethod
    def choose(options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The name of the loss that the options of this method select, and the options of that loss."""
        return options.get("loss", "wavelet"), {key: value for key, value in options.items() if key not in OWN}

    def advance(self, done: float) -> None:
        """Passed on to a loss with a schedule, which has a method ``advance`` too."""
        if hasattr(self.distillation, "advance"):
            with LOSSES.blaming(self.loss_name):
                self.distillation.advance(done)

    def check(self, side: int) -> None:
        """Raises: UserError: nothing can be learned from the loss; see :func:`~mtkd.losses.trial.try_loss`."""
        try_loss(self.loss_name, self.loss_options, side)

    def loss(self, network: nn.Module, batch: Batch) -> Terms:
        """Terms "alpha L_stu" and "L_dis"; the parts of L_dis are its subbands where the loss has ``bands``."""
        student_image = network(batch.lr_image)
        images = [batch.outputs[name] for name in self.outputs]
        mt_image = images[0] if len(images) == 1 else torch.stack(images).mean(0)
        distance, bands = self._distil(student_image, mt_image)
        terms = {
            "alpha L_stu": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_dis": self.weight * distance,
        }
        return Terms(terms, {"L_dis": {name: self.weight * band.detach() for name, band in bands.items()}})

    def _distil(self, student_image: Tensor, mt_image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L_dis without its weight, and the bands that it is the sum of."""
        with LOSSES.blaming(self.loss_name):
            if hasattr(self.distillation, "bands"):
                bands: dict[str, Tensor] = self.distillation.bands(student_image, mt_image)
                return sum(bands.values()), bands  # type: ignore[return-value]  # in the order of WaveletLoss.forward
            return self.distillation(student_image, mt_image), {}
