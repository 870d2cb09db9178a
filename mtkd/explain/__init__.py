"""Why a network's image looks as it does: attribution of its detail to its inputs (Sec. 5.3.1, Fig. 4).

A :class:`Question` asks for the detail in a window; an attribution method, one a file, answers with one tensor an
input. A file here, or of a user, that declares one with :func:`mtkd.plugins.attribution` is all that a method takes.
Captum is imported when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtkd.explain._lam import LocalAttributionMap
    from mtkd.explain.answer import Attributions, Explanation, explain
    from mtkd.explain.question import Question, Window, ask

__all__ = ["Attributions", "Explanation", "LocalAttributionMap", "Question", "Window", "ask", "explain"]

_HOMES = {
    "Attributions": "answer",
    "Explanation": "answer",
    "LocalAttributionMap": "_lam",
    "Question": "question",
    "Window": "question",
    "ask": "question",
    "explain": "answer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
