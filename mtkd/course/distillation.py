"""The lesson on distillation: recorded gains, and snapshots of students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from mtkd.experiments.tables import find
from mtkd.explore.comparison.core import TRUTH, compare
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.evidence.ablations import at_step, held_out_by_step, kept
from mtkd.images import UInt8Image

__all__ = ["after_steps", "held_out_by_step", "measured_gains"]


def measured_gains(report: Mapping[str, Any], tables: Mapping[str, str], scale: int = 4) -> dict[str, tuple[str, str]]:
    """The rows of tables with a recorded gain over the student alone: (table, label) by title.

    Args:
        tables: names of tables, each with what its student is called in the titles.
    """
    gains: dict[str, tuple[str, str]] = {}
    for table, student in tables.items():
        content = find(report, table, scale)
        over = {row["first"] for row in content["differences"] if row["second"] == "scratch"}
        for row in content["rows"]:
            if row["label"] in over:
                gains.setdefault(f"{student}: {row['title']}", (table, row["label"]))
    return gains


def after_steps(image: UInt8Image, names: Mapping[str, str], step: int, scale: int = 4, zoom: int = 2) -> Image.Image:
    """Results of models on one image after ``step`` training steps, with PSNR, and the ground truth.

    Args:
        image: (H, W, 3) uint8, the ground truth.
        names: models with snapshots, and their titles.
    """
    steps = kept(scale)
    there = {title: at for name, title in names.items() if (at := at_step(name, steps[name], step))}
    comparison = compare(image, list(there.values()), scale)
    cells = [
        (f"{title}, step {step:,}", f"{result.psnr:.2f} dB here", result.image)
        for title, result in zip(there, comparison.results, strict=True)
    ]
    assert comparison.hr_image is not None
    return sheet([*cells, (TRUTH, "", comparison.hr_image)], zoom, columns=len(cells) + 1)
