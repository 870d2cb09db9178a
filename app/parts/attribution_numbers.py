"""The numbers of an attribution: a table with a row an input, and a paragraph on how they were computed."""

from __future__ import annotations

import html
from typing import Any

from mtkd.explain.answer import Explanation
from mtkd.plugins import ATTRIBUTIONS

COLUMNS = ["input", "size", "DI", "share", "signed share", "Shapley"]
EMPTY: dict[str, Any] = {"headers": COLUMNS, "data": []}


def value(answer: Explanation) -> dict[str, Any]:
    """The table of an answer: numbers to sort by, texts to read."""
    rows = answer.row()["inputs"]
    data = [
        [one["input"], "{1} × {0}".format(*one["size"]), one["di"], one["share"], one["signed_share"], one["shapley"]]
        for one in rows
    ]
    texts = [[row[0], row[1], *("–" if value is None else f"{value:.3f}" for value in row[2:])] for row in data]
    return {"headers": COLUMNS, "data": data, "metadata": {"display_value": texts, "styling": None}}


def text(answer: Explanation) -> str:
    """What made the maps, and their completeness where the method has baselines."""
    row, window = answer.row(), answer.window
    how = ", ".join(f"{name} {_text(value)}" for name, value in answer.details.items() if value is not None)
    asked = (
        f"{html.escape(answer.model)} ×{answer.scale}, weights `{answer.weights}`; "
        f"window {window.size} × {window.size} at row {window.top}, column {window.left}; "
        f"{html.escape(ATTRIBUTIONS[answer.method].title)}{': ' if how else ''}{how}. "
    )
    if answer.before is None:
        return f"{asked}Detail in the window: {answer.after:.3f}."
    relative = row["completeness_error_relative"]
    complete = "undefined (the window is flat)" if relative is None else f"{relative:+.3%}"
    return (
        f"{asked}Detail in the window: {answer.before:.3f} with the input at its baseline, {answer.after:.3f} "
        f"as it is. Completeness error: {row['completeness_error']:+.4f}, {complete} of the change."
    )


def _text(value: Any) -> str:
    """A detail's value for people."""
    return f"{value:g}" if isinstance(value, float) else html.escape(str(value))
