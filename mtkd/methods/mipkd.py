"""Mixture of priors (MiPKD, Li et al. 2025): the student's features filled up with the teacher's, then used."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods.base import TeacherMethod, bare
from mtkd.plugins import method

_LEAST = 1e-8
"""Added to the size of the teacher's features, which may be 0."""


def relative(features: Tensor, teacher: Tensor) -> Tensor:
    """Mean |features - teacher| over mean |teacher|, a scalar: features of EDSR and RCAN are some hundred times larger
    than those of SwinIR. (N, C, h, w) each; no gradient to ``teacher``."""
    fixed = teacher.detach().float()
    return F.l1_loss(features.float(), fixed) / (fixed.abs().mean() + _LEAST)


def _linear(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution that starts as the identity, on as many channels as both sides have."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.dirac_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class _Mixer(nn.Module):
    """The encoders and the decoder of one feature point, in a latent space of the teacher's width."""

    def __init__(self, channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.student = _linear(channels, teacher_channels)
        self.teacher = _linear(teacher_channels, teacher_channels)
        self.decode = _linear(teacher_channels, teacher_channels)


@method("mipkd", title="MiPKD, mixture of priors (reconstruction)")
class MiPKD(TeacherMethod):
    """alpha |S - GT| + weight |S - T| + feature * L_feat + auto * L_ae + block * L_block.

    At every feature point k, encoders E bring both networks' features into one latent space, a random binary mask m
    (one value a number, 3D) keeps a share of the student's and takes the rest from the teacher, and a decoder D gives
    features of the teacher back (feature prior mixer):

    M_k = m E_S(F_S) + (1 - m) E_T(F_T);  L_feat = sum over k of |D(M_k) - F_T| / |F_T|;
    L_ae = sum over k of |D(E_T(F_T)) - F_T| / |F_T|.

    The last mixture goes on through the tail of one of the networks, drawn for every sample: |tail - T| is L_block
    (block prior mixer).

    **A reconstruction**: the publication has no public code, and draws from chains of blocks; of a network declared
    here, two parts can be exchanged, trunk and tail. Encoders and decoders are 1x1 convolutions that start as the
    identity; values of all options, and the division by |F_T|, are ours.

    Args:
        share: of the numbers of a mixture that come from the student, 0 to 1.
    """

    compares_features = True
    weights = ("alpha", "weight", "feature", "auto", "block", "share")

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        alpha: float = 1.0,
        weight: float = 1.0,
        feature: float = 0.01,
        auto: float = 0.01,
        block: float = 0.1,
        share: float = 0.5,
    ) -> None:
        super().__init__(student, teacher)
        if not 0 <= share <= 1:
            raise UserError(f"method mipkd: share must be in [0, 1], got {share}")
        for role, network in (("student", student), ("teacher", teacher)):
            if missing := [part for part in ("feature_channels", "tail") if not hasattr(network, part)]:
                raise UserError(f"method mipkd: the {role} has no {missing[0]}; see mtkd.networks.common")
        self.alpha, self.weight, self.feature, self.auto, self.block = alpha, weight, feature, auto, block
        self.share = share
        channels, teacher_channels = int(student.feature_channels), int(teacher.feature_channels)  # type: ignore[arg-type]
        count = int(student.feature_count)  # type: ignore[arg-type]
        self.mixers = nn.ModuleList(_Mixer(channels, teacher_channels) for _ in range(count))
        self.to_student = _linear(teacher_channels, channels)

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image, maps = network(batch.lr_image, with_features=True)
        with torch.no_grad():
            teacher_image, teacher_maps = self.teacher(batch.lr_image, with_features=True)
        rng = np.random.default_rng(batch.seed)
        apart, coded = [], []
        for mixer, ours, theirs in zip(self.mixers, maps, teacher_maps, strict=True):
            latent: Any = mixer
            code = latent.teacher(theirs)
            drawn = rng.random((batch.size, *code.shape[1:]), dtype=np.float32)[batch.own]
            kept = torch.from_numpy(drawn).to(code.device) < self.share
            mixed = torch.where(kept, latent.student(ours), code)
            decoded = latent.decode(mixed)
            apart.append(relative(decoded, theirs))
            coded.append(relative(latent.decode(code), theirs))
        through_teacher = rng.random(batch.size)[batch.own] < 0.5
        features = decoded, self.to_student(mixed)
        tails = self.teacher.tail, bare(network).tail
        sums = [
            _distances(tail, maps_in, batch.lr_image, teacher_image, chosen)
            for tail, maps_in, chosen in zip(tails, features, (through_teacher, ~through_teacher), strict=True)
        ]
        return {
            "L_gt": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_kd": self.weight * F.l1_loss(student_image, teacher_image),
            "L_feat": self.feature * torch.stack(apart).sum(),
            "L_ae": self.auto * torch.stack(coded).sum(),
            "L_block": self.block * torch.stack(sums).sum() / len(batch.lr_image),
        }


def _distances(tail: Any, features: Tensor, lr_image: Tensor, target: Tensor, chosen: NDArray[np.bool_]) -> Tensor:
    """Sum over the chosen samples of the mean |tail - target|. Where none is, the first goes through the tail for
    nothing: what takes part in a training takes part in every step of it (several processes rely on that)."""
    samples = torch.from_numpy(np.flatnonzero(chosen) if chosen.any() else np.zeros(1, np.int64)).to(target.device)
    apart: Tensor = (tail(features[samples], lr_image[samples]) - target[samples]).abs().flatten(1).mean(1)
    return apart.sum() * float(chosen.any())
