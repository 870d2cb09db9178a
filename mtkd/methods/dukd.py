"""Data upcycling distillation (Zhang et al. 2023): further training pairs from the same patches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.methods.base import TeacherMethod
from mtkd.plugins import method
from mtkd.resize import imresize

AUGMENTATIONS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda image: 1 - image,
    lambda image: image.flip(-2),
    lambda image: image.flip(-1),
    lambda image: image.transpose(-1, -2),
)
"""Invert, flip H, flip W, transpose: each is its own inverse. On (..., H, W), H = W."""


def augment(image: Tensor, chosen: int) -> Tensor:
    """F: the augmentations whose bits are set in ``chosen``, in order."""
    for bit, function in enumerate(AUGMENTATIONS):
        image = function(image) if chosen >> bit & 1 else image
    return image


def invert(image: Tensor, chosen: int) -> Tensor:
    """F^-1: the same augmentations in reverse order."""
    for bit in reversed(range(len(AUGMENTATIONS))):
        image = AUGMENTATIONS[bit](image) if chosen >> bit & 1 else image
    return image


@method("dukd", title="DUKD, data upcycling distillation")
class DUKD(TeacherMethod):
    """lp |S(x) - GT| + lk |S(x) - T(x)|, the same on upcycled data, in one combined step.

    Zoom-in: lk |T(g) - F^-1(S(F(g)))| on LR-sized tiles g of the HR patch, F drawn per sample. Zoom-out:
    lp |S(x/s) - x| + lk |S(x/s) - T(x/s)|. The publication's values are 5, 1, p = 0.3 with zoom-out for EDSR,
    1, 1, p = 0 without for RCAN, and 5, 1, p = 0.3 without for SwinIR.

    Args:
        lp, lk: weights of ground truth and teacher.
        p: probability of each augmentation.
        zoom_out: use the zoom-out term.
        tiles: LR-sized tiles cut from each HR patch.
    """

    weights = ("lp", "lk", "p")

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        lp: float = 5.0,
        lk: float = 1.0,
        p: float = 0.3,
        zoom_out: bool = True,
        tiles: int = 1,
    ) -> None:
        super().__init__(student, teacher)
        if not 0 <= p <= 1 or tiles < 1:
            raise TypeError(f"p must be in [0, 1] and tiles 1 or more, not {p} and {tiles}")
        self.lp, self.lk, self.p, self.zoom_out, self.tiles = lp, lk, p, zoom_out, tiles
        self.teacher_passes = 1 + tiles + zoom_out

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        lr_image, hr_image = batch.lr_image, batch.hr_image
        student_image = network(lr_image)
        terms = {
            "L_gt": self.lp * F.l1_loss(student_image, hr_image),
            "L_kd": self.lk * F.l1_loss(student_image, self.look(lr_image)),
        }
        rng = np.random.default_rng(batch.seed)
        zoomed = [self._zoom_in(network, batch, rng) for _ in range(self.tiles)]
        terms["L_zoom_in"] = self.lk * torch.stack(zoomed).mean()
        if self.zoom_out:
            scale = hr_image.shape[-1] // lr_image.shape[-1]
            small = imresize(lr_image, 1 / scale)
            output = network(small)[..., : lr_image.shape[-2], : lr_image.shape[-1]]
            taught = self.look(small)[..., : lr_image.shape[-2], : lr_image.shape[-1]]
            terms["L_zoom_out"] = self.lp * F.l1_loss(output, lr_image) + self.lk * F.l1_loss(output, taught)
        return terms

    def _zoom_in(self, network: nn.Module, batch: Batch, rng: np.random.Generator) -> Tensor:
        """|T(g) - F^-1(S(F(g)))| for one random tile a sample."""
        hr_image, side = batch.hr_image, batch.lr_image.shape[-1]
        room = hr_image.shape[-1] - side + 1
        corners = rng.integers(room, size=(batch.size, 2))[batch.own]
        tile = torch.stack([h[:, y : y + side, x : x + side] for h, (y, x) in zip(hr_image, corners, strict=True)])
        drawn = rng.random((batch.size, len(AUGMENTATIONS)))[batch.own] < self.p
        chosen = [int(sum(1 << bit for bit, on in enumerate(row) if on)) for row in drawn]
        output = network(torch.stack([augment(g, c) for g, c in zip(tile, chosen, strict=True)]))
        straight = torch.stack([invert(o, c) for o, c in zip(output, chosen, strict=True)])
        return F.l1_loss(straight, self.look(tile))
