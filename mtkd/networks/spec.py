"""What a network module declares about each network it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn


@dataclass(frozen=True)
class NetworkSpec:
    """One entry of the network catalogue (SPEC section 1, Table 1 of the paper).

    ``build`` takes ``scale: int`` by keyword, aggregators also ``teachers``, the names in their fixed order.
    ``size`` is "paper" for the published configuration, "mini" for one that trains in minutes on a CPU.
    ``deviations`` are sentences, shown to users, that say where the network departs from the published one.
    """

    name: str
    role: Literal["teacher", "student", "aggregator"]
    family: str
    build: Callable[..., nn.Module]
    scales: tuple[int, ...] = (2, 3, 4)
    size: Literal["paper", "mini"] = "paper"
    deviations: tuple[str, ...] = ()
