"""The efficiency of all networks: what each costs and gives, and which no other beats."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.events import api

from mtkd.experiments import efficiency
from mtkd.explore.evidence.efficiency import COSTS, QUALITY, figure, titles
from mtkd.explore.evidence.results import SCALES

from ..parts.messages import alert, errors_in
from ..state import PRIVATE, Shared, Tab, errors_shown, scale_choices

_HELP = (
    "Costs are of an LR image of 256 × 256 pixels. The line joins the models that no other beats: none is as cheap "
    "and better. Point at one for its name; the table has them in bold. An aggregator is charged for its teachers "
    "too. `mtkd matrix efficiency` prints this table, and measures models of yours; `--anew` measures all of it on "
    "your computer."
)


@dataclass(frozen=True, eq=False)
class Efficiency:
    """The components of the view; its methods answer their events."""

    shared: Shared
    scale: gr.Radio
    cost: gr.Radio
    quality: gr.Radio
    plot: gr.Plot
    table: gr.HTML
    csv: gr.DownloadButton
    conditions: gr.Markdown

    def fill(self, scale: int, cost: str, quality: str) -> dict[Any, Any]:
        """The figure and the table of one scale."""
        with errors_shown():
            rows = efficiency.table(scale)
            best = efficiency.front(rows, cost, quality)
            text = efficiency.as_csv(rows)
        name = f"efficiency_x{scale}.csv"
        titled = titles(rows, scale)
        return {
            self.plot: figure(rows, cost, quality, f"{efficiency.SET} ×{scale}", titled),
            self.table: _table(rows, best, (cost, quality), scale, titled),
            self.csv: gr.DownloadButton(value=self.shared.pictures.group("efficiency").text(name, text)),
            self.conditions: "\n".join(f"- {sentence}" for sentence in efficiency.conditions(rows)),
        }

    def fail(self, message: str) -> dict[Any, Any]:
        """Records that cannot be read: why, in place of the table."""
        return {self.table: alert(message), self.plot: None}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; records are read when it is opened."""
    connect(layout(shared), tab)
    api(_rows, api_name="efficiency_table")


def layout(shared: Shared) -> Efficiency:
    """Lay out the view: choices, a figure, a table."""
    with gr.Column(elem_id="efficiency", elem_classes="figures"):
        with gr.Row():
            scale = gr.Radio(scale_choices(SCALES), value=4, label="Scale", elem_id="efficiency-scale", min_width=205)
            costs = [(title, name) for name, (title, *_) in COSTS.items()]
            cost = gr.Radio(costs, value="milliseconds", label="Cost", elem_id="efficiency-cost", scale=2,
                            min_width=340)  # fmt: skip
            qualities = [(title, name) for name, (title, *_) in QUALITY.items()]
            quality = gr.Radio(qualities, value="psnr", label="Quality", elem_id="efficiency-quality", min_width=205)
        plot = gr.Plot(show_label=False, elem_id="efficiency-plot")
        gr.Markdown(_HELP, elem_classes="help")
        table = gr.HTML(elem_id="efficiency-table", apply_default_css=False)
        csv = gr.DownloadButton("Download table (CSV)", size="sm", elem_id="efficiency-csv")
        conditions = gr.Markdown(elem_classes="help", elem_id="efficiency-conditions")
    return Efficiency(shared, scale, cost, quality, plot, table, csv, conditions)


def connect(of: Efficiency, tab: gr.Tab) -> None:
    """Connect the view's events."""
    fill, filters = errors_in(of.fill, of.fail), [of.scale, of.cost, of.quality]
    outputs = [of.plot, of.table, of.csv, of.conditions]
    tab.select(fill, filters, outputs, show_progress_on=[of.plot], **PRIVATE)
    for changed in filters:
        changed.input(fill, filters, outputs, show_progress_on=[of.plot], **PRIVATE)


_COLUMNS = {
    "parameters": ("parameters", ",.0f", 1),
    "multiply_adds": ("multiply-adds, G", ".2f", 1e9),
    "memory": ("memory, MiB", ",.0f", 1),
    "milliseconds": ("time, ms", ",.0f", 1),
    "psnr": ("PSNR-Y, dB", ".3f", 1),
    "ssim": ("SSIM-Y", ".4f", 1),
    "flip": ("FLIP", ".4f", 1),
}
"""Head, digits and unit of the numbers."""


def _table(
    rows: list[dict[str, Any]], best: list[str], chosen: tuple[str, str], scale: int, titled: dict[str, str]
) -> str:
    """The rows, those on the front in bold. A phone has place for the two columns ``chosen``."""
    shown = {key: "" if key in chosen else ' class="wide"' for key in _COLUMNS}
    head = "".join(f'<th scope="col"{shown[key]}>{title}</th>' for key, (title, *_) in _COLUMNS.items())
    body = []
    for row in rows:
        name = escape(titled[row["model"]]) + (" <small>(measured here)</small>" if row["where"] == "here" else "")
        first = f"<b>{name}</b>" if row["model"] in best else name
        cells = "".join(
            f"<td{shown[key]}>{'–' if row[key] is None else format(row[key] / unit, form)}</td>"
            for key, (_, form, unit) in _COLUMNS.items()
        )
        body.append(f'<tr><td title="{escape(row["model"])}">{first}</td>{cells}</tr>')
    return (
        f'<table aria-label="Efficiency, ×{scale}"><thead><tr><th scope="col">model</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _rows(scale: int = 4) -> list[dict[str, Any]]:
    """What every model of a scale costs and gives; which are on the front of time and PSNR."""
    with errors_shown():
        return efficiency.table(scale)


TAB = Tab("Efficiency", order=65, build=build, within="Evidence")
