"""The numbers of an attribution: a table with a row an input, and a paragraph on how they were computed."""

from __future__ import annotations

import html
from typing import Any

from mtkd.explain.answer import Explanation
from mtkd.explain.curves import Curves
from mtkd.explore.inside.side_by_side import SideBySide
from mtkd.numbers import signed
from mtkd.plugins import ATTRIBUTIONS

COLUMNS = ["input", "size", "DI", "share", "signed share", "Shapley"]
SEVERAL = ["model", "DI", "deletion area", "insertion area", "random pixels", "difference from the first"]
EMPTY: dict[str, Any] = {"headers": COLUMNS, "data": []}


def value(answer: Explanation) -> dict[str, Any]:
    """The table of an answer: numbers to sort by, texts to read."""
    rows = answer.row()["inputs"]
    data = [
        [one["input"], "{1} × {0}".format(*one["size"]), one["di"], one["share"], one["signed_share"], one["shapley"]]
        for one in rows
    ]
    texts = [[row[0], row[1], *("–" if value is None else signed(value, ".3f") for value in row[2:])] for row in data]
    return {"headers": COLUMNS, "data": data, "metadata": {"display_value": texts, "styling": None}}


def values(together: SideBySide) -> dict[str, Any]:
    """The table of several models' answers: a row a model."""
    data = []
    for one in together.row()["models"]:
        curves = one["curves"] or {"random": {}}
        areas = [curves.get("deletion_area"), curves.get("insertion_area"), curves["random"].get("deletion_area")]
        data.append([one["model"], one["inputs"][0]["di"], *areas, one["difference"]])
    texts = [[row[0], *("–" if value is None else signed(value, ".3f") for value in row[1:])] for row in data]
    return {"headers": SEVERAL, "data": data, "metadata": {"display_value": texts, "styling": None}}


def text(answer: Explanation) -> str:
    """What made the maps, and their completeness where the method has baselines."""
    row, window = answer.row(), answer.window
    how = ", ".join(
        f"{name.replace('_', ' ')} {_text(value)}" for name, value in answer.details.items() if value is not None
    )
    asked = (
        f"{html.escape(answer.model)} ×{answer.scale}, weights `{answer.weights}`; "
        f"window {window.size} × {window.size} at row {window.top}, column {window.left}; "
        f"{html.escape(ATTRIBUTIONS[answer.method].title)}{': ' if how else ''}{how}. "
    )
    if answer.before is None:
        return f"{asked}Detail in the window: {answer.after:.3f}.{_curves(answer)}"
    relative = row["completeness_error_relative"]
    complete = "undefined (the window is flat)" if relative is None else signed(relative, "+.3%")
    return (
        f"{asked}Detail in the window: {answer.before:.3f} with the input at its baseline, {answer.after:.3f} "
        f"as it is. Completeness error: {signed(row['completeness_error'], '+.4f')}, {complete} of the change."
        f"{_curves(answer)}"
    )


def _curves(answer: Explanation) -> str:
    """The areas under both curves, and those of chance."""
    if answer.random_curves is None or not isinstance(answer.curves, Curves):
        return ""
    mine, chance = answer.curves, answer.random_curves
    return (
        f" Deletion area {mine.deletion_area:.3f}, insertion area {mine.insertion_area:.3f}; of random pixels "
        f"{chance.deletion_area:.3f} and {chance.insertion_area:.3f}."
    )


def _text(value: Any) -> str:
    """A detail's value for people."""
    return f"{value:g}" if isinstance(value, float) else html.escape(str(value))
