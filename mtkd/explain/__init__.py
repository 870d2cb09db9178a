"""Why a network's image looks as it does: local attribution maps (Sec. 5.3.1, Fig. 4). Captum is imported when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtkd.explain.explanation import Explanation, explain
    from mtkd.explain.lam import LocalAttributionMap

__all__ = ["Explanation", "LocalAttributionMap", "explain"]

_HOMES = {"Explanation": "explanation", "explain": "explanation", "LocalAttributionMap": "lam"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
