"""The exponential moving average of the weights (beyond the paper)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Take the weights of update ``step`` (from 1) into their exponential moving average.

    The weights of update ``i`` have the share ``decay ** (step - i)``, over the sum of all shares: the random weights
    before the first update have none, as in Adam's corrected moments (Kingma and Ba 2015, Sec. 3). Without the
    correction they keep ``decay ** step``: a third after 1,100 updates at 0.999.
    """
    share = (1 - decay) / (1 - decay**step)
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), share)
