"""The numbers of a comparison: one row a model, columns to sort by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from mtkd.explore import Comparison
from mtkd.explore.comparison.columns import Column, columns
from mtkd.explore.comparison.region import Region
from mtkd.metrics import shown

_HELP = (
    "Multiply-adds: for 1280 × 720 output, in billions. Seconds: one run on this computer. Both, and the parameters, "
    "of a combined teacher include its teachers. Gain over student alone: over the same network trained without "
    "distillation."
)


def layout() -> gr.Dataframe:
    """An empty table under its headings."""
    return gr.Dataframe(
        {"headers": [column.title for column in _columns(shown())], "data": []},
        interactive=False,
        label="Metrics (the menu ⋮ of a heading sorts)",
        buttons=["copy"],
        elem_id="table",
        wrap=True,
        column_widths=["170px"],  # of the names: a phone shows numbers beside them
        max_height=430,
    )


def value(comparison: Comparison, region: Region | None = None) -> dict[str, Any]:
    """The table, without empty columns; with a region, its columns too. Numbers to sort by, texts to read.

    Raises:
        UserError: the region leaves the image.
    """
    rows = comparison.table(region)
    every = _columns(comparison.metrics, region is not None and comparison.hr_image is not None)
    seen = [column for column in every if any(column.number(row) is not None for row in rows)]
    return {
        "headers": [column.title for column in seen],
        "data": [[column.number(row) for column in seen] for row in rows],
        "metadata": {"display_value": [[column.text(row) for column in seen] for row in rows], "styling": None},
    }


def _columns(metrics: Sequence[str], region: bool = False) -> list[Column]:
    """Without ids, which are for files and programs."""
    return [column for column in columns(metrics, region) if column.key != "name"]


def notes(comparison: Comparison) -> str:
    """What the columns are, and the protocol."""
    protocol = f"Measured with {comparison.protocol}." if comparison.hr_image is not None else ""
    return f"{_HELP} {protocol}"
