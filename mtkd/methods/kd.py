"""Plain knowledge distillation for images (Hinton et al. 2015, carried over to super-resolution)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.methods.base import Method
from mtkd.plugins import method


@method("kd", title="KD, knowledge distillation from one output")
class KD(Method):
    """alpha |S - GT| + weight |S - T|, mean absolute errors.

    Args:
        outputs: the network whose output is T (a teacher, or an aggregator for "kd from MT").
        weight: weight of the second term.
        alpha: weight of the ground truth; with 0 the student learns from the teacher only.
    """

    weights = ("alpha", "weight")

    def __init__(self, outputs: tuple[str, ...], weight: float = 1.0, alpha: float = 1.0) -> None:
        super().__init__()
        if len(outputs) != 1:
            raise TypeError(f"learns from one network, got {len(outputs)}")
        self.outputs, self.weight, self.alpha = outputs, weight, alpha

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image = network(batch.lr_image)
        return {
            "L_gt": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_kd": self.weight * F.l1_loss(student_image, batch.outputs[self.outputs[0]]),
        }
