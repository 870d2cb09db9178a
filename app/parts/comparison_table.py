"""The numbers of a comparison: one row a model, columns to sort by."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mtkd.explore import Comparison
from mtkd.explore.comparison.columns import columns
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.colours import ERROR_RANGE

_HELP = (
    f"Error: difference to the ground truth in luma, black is 0, pale yellow {ERROR_RANGE} levels or more. "
    "Signed error: blue is too dark, red too bright. Wavelet error: the error's Haar bands, LL of level 2 top left, "
    "fine ones outside. Multiply-adds: at 1280 × 720 output, in thousand millions. Seconds: one run on this machine. "
    "Both of an aggregator include its teachers', its parameters do not. Over scratch: over the same student trained "
    "without distillation."
)


def layout() -> gr.Dataframe:
    """An empty table."""
    return gr.Dataframe(
        interactive=False,
        label="Numbers (click a heading to sort)",
        buttons=["copy"],
        elem_id="table",
        wrap=True,
        max_height=430,
    )


def value(comparison: Comparison, region: Region | None = None) -> dict[str, Any]:
    """The table; with a region, its columns too. Numbers to sort by, texts to read.

    Raises:
        UserError: the region leaves the image.
    """
    rows = comparison.table(region)
    shown = columns(comparison.metrics, region is not None and comparison.hr_image is not None)
    return {
        "headers": [column.title for column in shown],
        "data": [[column.number(row) for column in shown] for row in rows],
        "metadata": {"display_value": [[column.text(row) for column in shown] for row in rows], "styling": None},
    }


def notes(comparison: Comparison) -> str:
    """What the columns and layers are, and the protocol."""
    protocol = f"Measured with {comparison.protocol}." if comparison.hr_image is not None else ""
    return f"{_HELP} {protocol}"
