"""Cost against quality of every network: the figure with its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from mtkd import networks
from mtkd.errors import UserError
from mtkd.experiments.efficiency import front
from mtkd.explore.comparison.choices import title
from mtkd.explore.draw.colours import SERIES
from mtkd.explore.draw.theme import INK, blank
from mtkd.explore.evidence.plots import said

COSTS = {
    "milliseconds": ("Time", "time, ms", 1.0),
    "multiply_adds": ("Multiply-adds", "multiply-adds, G", 1e9),
    "memory": ("Memory", "peak memory, MiB", 1.0),
    "parameters": ("Parameters", "parameters, thousands", 1e3),
}
"""Title, axis and unit of what a network costs."""
QUALITY = {"psnr": ("PSNR", "PSNR-Y, dB", ".2f"), "ssim": ("SSIM", "SSIM-Y", ".4f"), "flip": ("FLIP", "FLIP", ".4f")}
"""Title, axis and digits of what it gives."""


def titles(rows: Sequence[Mapping[str, Any]], scale: int) -> dict[str, str]:
    """What people read in place of the models' names; a network that has no weights here says its architecture."""
    return {row["model"]: _title(row["model"], scale) for row in rows}


def _title(name: str, scale: int) -> str:
    try:
        return title(name, scale)
    except UserError:
        return f"{networks.specs()[name].title}, {name} (no weights)"


def figure(
    rows: Sequence[Mapping[str, Any]], cost: str, quality: str, where: str, titled: Mapping[str, str]
) -> go.Figure:
    """A point a model; those that no other beats in colour and joined by a line, FLIP upside down: up is better.

    Args:
        rows: of :func:`mtkd.experiments.efficiency.table`.
        where: the set of images, for the axis.
        titled: the models' titles, by name.
    """
    _, across, unit = COSTS[cost]
    _, up, digits = QUALITY[quality]
    shown = [row for row in rows if row[cost] and row[quality] is not None]  # 0 has no place on a logarithmic axis
    if not shown:
        return said("Nothing is measured at this scale yet.")
    drawn = blank(across, f"{up} on {where}", 430)
    best = front([dict(row) for row in shown], cost, quality)
    order = {name: number for number, name in enumerate(best)}
    of_front = sorted((row for row in shown if row["model"] in order), key=lambda row: order[row["model"]])
    texts = [titled[row["model"]].replace(", ", ",<br>") for row in of_front]
    others = [row for row in shown if row["model"] not in order]
    for part, name, look in (
        (others, "other models", {"mode": "markers", "marker": {"color": INK, "size": 7, "opacity": 0.55}}),
        (of_front, "no other is as cheap and better", {"mode": "lines+markers+text", "marker": {"size": 11},
         "line": {"color": SERIES[0], "shape": "hv"}, "text": texts,
         "textposition": _beside(len(best))}),
    ):  # fmt: skip
        drawn.add_scatter(
            x=[row[cost] / unit for row in part],
            y=[row[quality] for row in part],
            name=name,
            customdata=[[titled[row["model"]]] for row in part],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{x:.4~g}}, %{{y:{digits}}}<extra></extra>",
            **look,
        )
    values = [row[cost] / unit for row in shown]
    ticks = [
        m * 10.0**power for power in range(-3, 8) for m in (1, 3) if min(values) / 3 < m * 10**power < max(values) * 3
    ]
    ticked = [f"{tick:,.4g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks]
    drawn.update_xaxes(
        type="log", tickvals=ticks, ticktext=ticked, range=[math.log10(min(values) / 2), math.log10(max(values) * 2)]
    )
    drawn.update_yaxes(tickformat=digits, autorange="reversed" if quality == "flip" else True)
    return drawn


def _beside(count: int) -> list[str]:
    """Where texts stand beside points, from left to right: towards the middle, above and below in turn."""
    return [f"{'bottom' if n % 2 else 'top'} {'right' if 2 * n < count else 'left'}" for n in range(count)]
