"""Feature-affinity distillation (He et al. 2020): which places look alike, in the teacher and in the student."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mtkd.data.patches import Batch
from mtkd.methods.base import TeacherMethod, require_features


def affinity(features: Tensor) -> Tensor:
    """Cosine similarity of every pair of places: (C, h, w) -> (h w, h w)."""
    vectors = features.float().flatten(1)  # (C, h w)
    vectors = vectors / (vectors.norm(dim=0, keepdim=True) + 1e-8)
    cosines: Tensor = vectors.t() @ vectors
    return cosines


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    return F.l1_loss(affinity(student), affinity(teacher))


class FAKD(TeacherMethod):
    """0.5 |S - GT| + 0.5 |S - T| + w * sum over feature points of the mean |A_S - A_T|.

    A matrix has (h w)^2 entries, so they are made one sample and one map at a time and again in the backward
    pass: the memory is that of one pair, whatever the batch. w = 10 at the value range 255 of the publication.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, weight: float = 10 / 255) -> None:
        super().__init__(student, teacher)
        require_features(student, teacher, "fakd")
        self.weight = weight

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image, student_maps = network(batch.lr_image, with_features=True)
        with torch.no_grad():
            teacher_image, teacher_maps = self.teacher(batch.lr_image, with_features=True)
        per_map = [
            torch.stack([checkpoint(_distance, s, t, use_reentrant=False) for s, t in zip(ss, tt, strict=True)]).mean()
            for ss, tt in zip(student_maps, teacher_maps, strict=True)
        ]
        return {
            "L_gt": 0.5 * F.l1_loss(student_image, batch.hr_image),
            "L_kd": 0.5 * F.l1_loss(student_image, teacher_image),
            "L_fa": self.weight * torch.stack(per_map).sum(),
        }
