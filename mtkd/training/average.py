"""The exponential moving average of the weights (beyond the paper)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Update the exponential moving average with the weights of update ``step`` (from 1).

    The weights of update ``i`` count ``decay ** (step - i)``, divided by the sum over all updates. The initial random
    weights do not count, as in Adam's bias correction (Kingma and Ba 2015, Sec. 3); without it they would count ``decay
    ** step``: a third after 1,100 updates at 0.999.
    """
    share = (1 - decay) / (1 - decay**step)
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), share)
