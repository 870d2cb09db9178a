"""Stage 1: the aggregator learns to merge its teachers' images (Eq. 1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.methods.base import Method
from mtkd.plugins import method


@method("aggregate", title="Aggregation of the teachers (Eq. 1)")
class Aggregate(Method):
    """L_KA = |I_GT - I_MT|, mean absolute error (Eq. 1).

    Args:
        outputs: the teachers, in the order that the aggregator was built with.
    """

    def __init__(self, outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.outputs = outputs

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        mt_image = network(tuple(batch.outputs[name] for name in self.outputs))
        return {"L_KA": F.l1_loss(mt_image, batch.hr_image)}
