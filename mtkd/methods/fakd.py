"""Feature-affinity distillation (He et al. 2020): the student imitates the similarity of positions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.methods.base import TeacherMethod
from mtkd.plugins import method


def spatial_vectors(features: Tensor) -> Tensor:
    """The feature vector of every position, normalised: (N, C, h, w) -> (N, C, h w) float32."""
    vectors = features.float().flatten(2)
    lengths: Tensor = vectors.norm(dim=1, keepdim=True)
    return vectors / (lengths + 1e-8)


def affinity(features: Tensor) -> Tensor:
    """A, the cosine similarity of every pair of positions: (N, C, h, w) -> (N, h w, h w)."""
    vectors = spatial_vectors(features)
    return vectors.transpose(1, 2) @ vectors


class _AffinityDistance(torch.autograd.Function):
    """Mean |V_S^T V_S - V_T^T V_T| over all samples and pairs of places.

    With D = V_S^T V_S - V_T^T V_T, which is symmetric, the gradient of sum |D| is 2 V_S sign(D). It is made in the
    forward pass, sample by sample, so that only one (h w)^2 matrix ever exists, whatever the batch and the maps.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        total = student.new_zeros(())
        gradient = torch.empty_like(student)
        for vectors, target, slot in zip(student, teacher, gradient, strict=True):  # (C, h w)
            difference = vectors.t() @ vectors
            difference.addmm_(target.t(), target, alpha=-1)
            total += difference.abs().sum()
            torch.mm(vectors, difference.sign_(), out=slot)
        count = student.shape[0] * student.shape[2] ** 2
        ctx.save_for_backward(gradient.mul_(2 / count))
        return total / count

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return upstream[0] * gradient, None


def affinity_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean |A_S - A_T|, a scalar; gradient to the student alone. Maps (N, C, h, w); channels may differ."""
    vectors = spatial_vectors(student), spatial_vectors(teacher).detach()
    distance: Tensor = _AffinityDistance.apply(*vectors)  # type: ignore[no-untyped-call]
    return distance


@method("fakd", title="FAKD, feature-affinity distillation")
class FAKD(TeacherMethod):
    """0.5 |S - GT| + 0.5 |S - T| + w * sum over feature points of the mean |A_S - A_T|.

    w = 10 at the value range 255 of the publication.
    """

    compares_features = True
    weights = ("weight",)

    def __init__(self, student: nn.Module, teacher: nn.Module, weight: float = 10 / 255) -> None:
        super().__init__(student, teacher)
        self.weight = weight

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image, student_maps = network(batch.lr_image, with_features=True)
        with torch.no_grad():
            teacher_image, teacher_maps = self.teacher(batch.lr_image, with_features=True)
        distances = [affinity_distance(s, t) for s, t in zip(student_maps, teacher_maps, strict=True)]
        return {
            "L_gt": 0.5 * F.l1_loss(student_image, batch.hr_image),
            "L_kd": 0.5 * F.l1_loss(student_image, teacher_image),
            "L_fa": self.weight * torch.stack(distances).sum(),
        }
