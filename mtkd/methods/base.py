"""What every training method offers, and how one is made from its name and options."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError, unknown_name


class Method(ABC):
    """One way to train a network.

    Attributes:
        outputs: names of the frozen networks whose outputs the batch must hold.
    """

    outputs: tuple[str, ...] = ()

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms, already weighted; the total is their sum."""


METHODS = {
    "scratch": ("mtkd.methods.scratch", "Scratch"),
    "aggregate": ("mtkd.methods.aggregate", "Aggregate"),
    "mtkd": ("mtkd.methods.mtkd", "MTKD"),
}


def create(name: str, options: Mapping[str, Any], outputs: tuple[str, ...] = ()) -> Method:
    """The method ``name``; ``outputs`` are the networks it learns from, in order.

    Raises:
        UserError: unknown method, or an option that it does not have.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    module, class_name = METHODS[name]
    cls = getattr(import_module(module), class_name)
    known = set(inspect.signature(cls).parameters) - {"outputs"}
    for option in options:
        if option not in known:
            raise unknown_name(f"option of method {name}", option, known)
    try:
        method: Method = cls(**options, **({"outputs": outputs} if outputs else {}))
    except TypeError as error:
        raise UserError(f"method {name}: {error}") from error
    return method
