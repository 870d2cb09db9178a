"""MTKD: multi-teacher knowledge distillation for image super-resolution.

``mtkd.build(name, scale)`` makes a network with fresh weights, ``mtkd.load(name, scale)`` a trained one.
Everything else lives in the submodules, imported when first used, so that ``import mtkd`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mtkd.data.patches import Batch as Batch
    from mtkd.methods import Method as Method
    from mtkd.methods import Terms as Terms
    from mtkd.networks import build as build
    from mtkd.zoo import load as load

_HOME = {
    "Batch": "mtkd.data.patches",
    "Method": "mtkd.methods",
    "Terms": "mtkd.methods",
    "build": "mtkd.networks",
    "load": "mtkd.zoo",
}
_SUBMODULES = {
    "data",
    "evaluate",
    "explain",
    "explore",
    "images",
    "infer",
    "losses",
    "metrics",
    "networks",
    "plugins",
    "resize",
    "zoo",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _SUBMODULES:
        module: ModuleType = import_module(f"mtkd.{name}")
        return module
    raise AttributeError(f"module 'mtkd' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_SUBMODULES])
