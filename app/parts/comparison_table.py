"""The numbers of a comparison: one row a model, columns to sort by."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mtkd.explore import Comparison
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.colours import ERROR_RANGE

_COLUMNS = {
    "name": "model",
    "role": "role",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds (G)",
    "seconds": "seconds",
    "psnr": "PSNR-Y (dB)",
    "ssim": "SSIM-Y",
    "over_bicubic": "over bicubic (dB)",
    "over_scratch": "over scratch (dB)",
}
_REGION_COLUMNS = {"region_psnr": "region PSNR-Y", "region_ssim": "region SSIM-Y"}
_FORMS = {"parameters": ",", "multiply_adds": ".2f", "seconds": ".3f", "psnr": ".2f", "ssim": ".4f",
          "over_bicubic": "+.2f", "over_scratch": "+.2f", "region_psnr": ".2f", "region_ssim": ".4f"}  # fmt: skip
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
    quality = comparison.quality_in(region) if region else {}
    columns = _COLUMNS | (_REGION_COLUMNS if quality else {})
    rows, texts = [], []
    for row in comparison.table():
        psnr, ssim = quality.get(row["name"], (None, None))
        row |= {"region_psnr": psnr, "region_ssim": ssim}
        if row["multiply_adds"] is not None:
            row["multiply_adds"] /= 1e9
        rows.append([row[key] for key in columns])
        texts.append([_text(row[key], _FORMS.get(key, "")) for key in columns])
    return {"headers": list(columns.values()), "data": rows, "metadata": {"display_value": texts, "styling": None}}


def notes(comparison: Comparison) -> str:
    """What the columns and layers are, and the protocol."""
    protocol = f"PSNR and SSIM: {comparison.protocol}." if comparison.hr_image is not None else ""
    return f"{_HELP} {protocol}"


def _text(number: Any, form: str) -> str:
    return "" if number is None else f"{number:{form}}"
