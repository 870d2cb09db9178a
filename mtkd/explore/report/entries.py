"""What a report holds of one picture: panes, numbers, errors by cell; plain data, pictures apart."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mtkd.explore.comparison.core import TRUTH, Comparison, data_uri
from mtkd.explore.draw.colours import luma_error
from mtkd.images import UInt8Image

CELL = 32
"""Pixels a side of the cells whose errors are kept; a crop is two cells a side."""
THUMBNAIL = 112
"""Pixels of the longer side of a thumbnail."""


@dataclass(frozen=True)
class Entry:
    """One picture of a report.

    Attributes:
        content: title, size, panes, numbers; plain JSON. A layer of a pane names one of ``pictures``.
        pictures: PNG data URIs by name.
    """

    content: dict[str, Any]
    pictures: dict[str, str]


def entry(title: str, comparison: Comparison) -> Entry:
    """A comparison as plain data."""
    pictures: dict[str, str] = {}

    def save(name: str, image: UInt8Image) -> str:
        pictures[name] = data_uri(name, image)
        return name

    panes = comparison.panes(save)
    for pane in panes:
        pane.pop("download", None)
    rows = {str(row["name"]): row for row in comparison.table()}
    numbers = {name: {key: _finite(row.get(key)) for key in comparison.metrics} for name, row in rows.items()}
    shown = comparison.hr_image if comparison.hr_image is not None else comparison.lr_image
    content = {
        "title": title,
        "size": list(shown.shape[:2]),
        "thumbnail": _thumbnail(shown),
        "panes": panes,
        "numbers": numbers,
        "seconds": {name: row["seconds"] for name, row in rows.items()},
        "cells": cells(comparison),
    }
    return Entry(content, pictures)


def cells(comparison: Comparison) -> dict[str, Any] | None:
    """Squared luma error of every result, summed over square cells: ``side``, ``columns``, and ``errors`` by name,
    little-endian float32 in base64, row by row. None without ground truth; what is left at the right and at the bottom
    belongs to no cell."""
    if comparison.hr_image is None:
        return None
    height, width = comparison.hr_image.shape[:2]
    side = max(1, min(CELL, height // 2, width // 2))
    rows, columns = height // side, width // side
    errors = {}
    for result in comparison.results:
        squared = luma_error(result.image, comparison.hr_image)[: rows * side, : columns * side] ** 2
        sums = squared.reshape(rows, side, columns, side).sum(axis=(1, 3))
        errors[result.name] = base64.b64encode(sums.astype("<f4").tobytes()).decode()
    return {"side": side, "columns": columns, "errors": errors}


def baselines(comparison: Comparison) -> list[str]:
    """Names of results, the likeliest baseline first: a student alone, bicubic, then as they stand."""

    def rank(number: int) -> tuple[int, int]:
        result = comparison.results[number]
        return 0 if result.method == "scratch" else 1 if result.role == "interpolation" else 2, number

    return [comparison.results[number].name for number in sorted(range(len(comparison.results)), key=rank)]


def models(comparison: Comparison) -> list[dict[str, Any]]:
    """What is known of every model of a comparison, in order."""
    keys = ("name", "title", "role", "parameters", "multiply_adds", "network", "method")
    return [{key: getattr(result, key) for key in keys} for result in comparison.results]


def names(contents: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the results that every picture has, in the order of the first."""
    panes = [[pane["name"] for pane in one["panes"]] for one in contents]
    return [name for name in panes[0] if name not in (TRUTH, "LR") and all(name in other for other in panes)]


def _finite(value: float | None) -> float | str | None:
    """JSON knows no infinity: the PSNR of an image that equals the ground truth is the text "inf"."""
    return "inf" if value is not None and math.isinf(value) else value


def _thumbnail(image: UInt8Image) -> str:
    small = Image.fromarray(np.ascontiguousarray(image))
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
