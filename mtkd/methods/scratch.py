"""Training on the ground truth only: teachers, and the students that every method is compared with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.methods.base import Method
from mtkd.plugins import method


@method("scratch", title="Scratch, ground truth only")
class Scratch(Method):
    """Mean absolute error to the ground truth, |S - GT| (Eq. 2 alone)."""

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"L1": F.l1_loss(network(batch.lr_image), batch.hr_image)}
