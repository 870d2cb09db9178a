"""What every training method offers, and how one is made from its name and options."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
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
        UserError: unknown method, an option that it does not have or of the wrong type, or networks to learn
            from where there are none to be, or none where there must be.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    module, class_name = METHODS[name]
    cls = getattr(import_module(module), class_name)
    parameters = inspect.signature(cls).parameters.keys()
    if ("outputs" in parameters) != bool(outputs):
        raise UserError(
            f"method {name} learns from no other network: leave out teachers"
            if outputs
            else f"method {name} learns from other networks: name them as teachers"
        )
    checked = _check(name, options, get_type_hints(cls.__init__), parameters - {"outputs"})
    try:
        method: Method = cls(**checked, **({"outputs": outputs} if outputs else {}))
    except TypeError as error:
        raise UserError(f"method {name}: {error}") from error
    return method


def _check(method: str, options: Mapping[str, Any], types: Mapping[str, Any], known: Set[str]) -> dict[str, Any]:
    """The options with their values converted to the types that the method declares."""
    checked = {}
    for option, value in options.items():
        if option not in known:
            raise unknown_name(f"option of method {method}", option, known)
        try:
            checked[option] = TypeAdapter(types[option]).validate_python(value)
        except ValidationError as error:
            raise UserError(f"method.options.{option}: {error.errors()[0]['msg']} (got {value!r})") from error
    return checked
