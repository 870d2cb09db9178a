"""Attention transfer (Zagoruyko and Komodakis 2017): the student imitates its teacher's attention maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.methods.base import TeacherMethod
from mtkd.plugins import method


def attention_map(features: Tensor) -> Tensor:
    """a = sum over channels of F^2, flattened and L2-normalised over space: (N, C, h, w) -> (N, h w)."""
    return F.normalize(features.float().square().sum(1).flatten(1), dim=1)


@method("at", title="AT, attention transfer")
class AT(TeacherMethod):
    """|S - GT| + beta * sum over feature points of the mean |a_S - a_T|.

    Channel counts of student and teacher may differ. At 48 x 48 the mean absolute difference of two random maps
    is about 0.012, hence the default of ``beta``.
    """

    compares_features = True
    weights = ("beta",)

    def __init__(self, student: nn.Module, teacher: nn.Module, beta: float = 1.0) -> None:
        super().__init__(student, teacher)
        self.beta = beta

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image, student_maps = network(batch.lr_image, with_features=True)
        with torch.no_grad():
            _, teacher_maps = self.teacher(batch.lr_image, with_features=True)
        distances = [
            F.l1_loss(attention_map(s), attention_map(t)) for s, t in zip(student_maps, teacher_maps, strict=True)
        ]
        return {
            "L_gt": F.l1_loss(student_image, batch.hr_image),
            "L_at": self.beta * torch.stack(distances).sum(),
        }
