"""Dynamic contrastive distillation (Zhou et al. 2025): away from what an earlier student makes of worse images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ptwt.conv_transform_2 import wavedec2
from torch import Tensor, nn
from torch.func import functional_call

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods.base import Method, bare
from mtkd.plugins import method

_LEAST = 1e-6
"""Added to the distance from the negatives: an untrained student may give them the image that it gives itself."""


def distances(image: Tensor, other: Tensor, levels: int) -> Tensor:
    """Mean |difference| of the Haar subbands by level, finest first; the last has LL too: (B, C, H, W) -> (K, B)."""
    low, *details = wavedec2(image.float() - other.float(), "haar", mode="symmetric", level=levels)
    bands = [list(bands) for bands in reversed(details)]
    bands[-1].append(low)
    return torch.stack([torch.cat([band.abs().flatten(1) for band in level], dim=1).mean(1) for level in bands])


def blurred(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur with reflected borders: (B, C, h, w)."""
    radius = min(int(np.ceil(2 * sigma)), image.shape[-1] - 1, image.shape[-2] - 1)
    taps = torch.exp(-(torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype) ** 2) / (2 * sigma**2))
    taps = taps / taps.sum()
    channels = image.shape[1]
    padded = F.pad(image, (radius,) * 4, mode="reflect")
    rows = F.conv2d(padded, taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


@method("dckd", title="DCKD, dynamic contrastive distillation (reconstruction)")
class DCKD(Method):
    """alpha |S - GT| + weight |S - T| + contrast * L_dcl, with negatives N_j that the *history* makes of worse images.

    L_dcl = sum over levels k of |W_k S - W_k T| / sum_j |W_k S - W_k N_j|, a mean over the samples; W_k are the Haar
    subbands of level k. The history is a moving average of the student's weights, which starts as the student; N_1 is
    its output for the LR image with noise, N_2 for the blurred one.

    **A reconstruction**: the publication compares features of a pretrained network, which is not shipped here, and does
    not say how images are made worse in a form that could be checked; its part that needs a pretrained VQGAN is left
    out. Values of all options are ours.

    Args:
        outputs: the network whose output is T.
        levels: of the transform.
        momentum: of the history, per step.
        noise: standard deviation, images being in [0, 1]; ``blur``: of the Gaussian, in LR pixels.
    """

    weights = ("alpha", "weight", "contrast", "momentum", "noise", "blur")

    def __init__(
        self,
        outputs: tuple[str, ...],
        alpha: float = 1.0,
        weight: float = 1.0,
        contrast: float = 0.01,
        levels: int = 2,
        momentum: float = 0.999,
        noise: float = 0.1,
        blur: float = 1.0,
    ) -> None:
        super().__init__()
        if len(outputs) != 1:
            raise TypeError(f"learns from one network, got {len(outputs)}")
        if levels < 1 or not 0 <= momentum < 1 or noise < 0 or blur <= 0:
            raise UserError("method dckd: levels must be 1 or more, momentum in [0, 1), noise 0 or more, blur above 0")
        self.outputs, self.alpha, self.weight, self.contrast = outputs, alpha, weight, contrast
        self.levels, self.momentum, self.noise, self.blur = levels, momentum, noise, blur
        self._history: dict[str, Tensor] = {}

    def check(self, side: int) -> None:
        if side < 2**self.levels:
            raise UserError(f"a patch of {side} x {side} is too small for {self.levels} wavelet levels")

    def get_extra_state(self) -> dict[str, Tensor]:
        """The history, so that a resumed training goes on with it."""
        return self._history

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Take the history of a checkpoint."""
        self._history = dict(state)

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        student_image = network(batch.lr_image)
        target = batch.outputs[self.outputs[0]]
        negatives = self._negatives(bare(network), batch)
        apart = torch.stack([distances(student_image, negative, self.levels) for negative in negatives]).sum(0)
        ratios = distances(student_image, target, self.levels) / (apart + _LEAST)
        return {
            "L_gt": self.alpha * F.l1_loss(student_image, batch.hr_image),
            "L_kd": self.weight * F.l1_loss(student_image, target),
            "L_dcl": self.contrast * ratios.sum(0).mean(),
        }

    @torch.no_grad()
    def _negatives(self, student: Any, batch: Batch) -> list[Tensor]:
        """What the history makes of worse LR images; then it takes a step towards the student."""
        now = {name: value.detach() for name, value in student.named_parameters()}
        history = {name: self._history.get(name, value).to(value) for name, value in now.items()}
        rng = np.random.default_rng(batch.seed)
        drawn = rng.standard_normal((batch.size, *batch.lr_image.shape[1:]), dtype=np.float32)[batch.own]
        noisy = batch.lr_image + self.noise * torch.from_numpy(drawn).to(batch.lr_image)
        made = [functional_call(student, history, (worse,)) for worse in (noisy, blurred(batch.lr_image, self.blur))]
        self._history = {name: torch.lerp(now[name], history[name], self.momentum) for name in now}
        return made
