"""The Tables of the evidence: what was measured beside what the paper prints, and the runs behind every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from mtkd.explore.evidence.columns import as_csv
from mtkd.explore.evidence.curves import Line, held_out_figure
from mtkd.explore.evidence.plots import said
from mtkd.explore.evidence.result_rows import View
from mtkd.explore.evidence.results import SCALES, Results, set_choices
from mtkd.metrics import DEFAULT, spec

from ..parts import plan_choice, results_table
from ..parts.messages import alert, errors_in
from ..parts.plan_choice import PLAN
from ..state import PRIVATE, Shared, Tab, errors_shown, scale_choices

_SCRIPT = (Path(__file__).parents[1] / "assets" / "results.js").read_text(encoding="utf-8")
_CSV = "Download table (CSV)"
_TABLE = (
    "Select a row to see its runs, or a heading to sort. The **best** and second best distilled students are marked, "
    "among the measured and among the printed numbers. The paper's networks are larger and were trained longer, so "
    "compare differences, not PSNR. A combined teacher's parameters are its aggregator's, without its teachers'. "
    "± is the standard deviation over seeds; (13/14) means better on 13 of 14 images."
)


@dataclass(frozen=True, eq=False)
class Tables:
    """The components of the view; its methods answer their events.

    Attributes:
        label: state: that of the chosen row; the dropdown's own value may be of the table before.
    """

    shared: Shared
    source: gr.Markdown
    plan: gr.Dropdown
    table: gr.Dropdown
    scale: gr.Radio
    set_name: gr.Radio
    metric: gr.Radio
    shown: gr.HTML
    notes: gr.Markdown
    csv: gr.DownloadButton
    row: gr.Dropdown
    runs: gr.HTML
    curve: gr.Plot
    label: gr.State

    def fill(
        self, plan: str, table: str, scale: int, set_name: str | None, metric: str, label: str | None
    ) -> dict[Any, Any]:
        """The chosen table, and the runs behind one of its rows; a scale or set without data gives way to another."""
        results = plan_choice.results(plan)
        with errors_shown():
            scales = results.scales_with_data(table)
            scale = scale if scale in scales else scales[-1]
            measured, printed = results.sets_with_data(table, scale)
            sets = [*measured, *printed]
            usual = results.default_set(scale)
            images = set_name if set_name in sets else usual if usual in sets else sets[0]
            view = results.view(table, scale, images, metric)
        labels = [row.label for row in view.rows]
        chosen = label if label in labels else _first(labels)
        missing = view.missing if not view.empty else ""
        choices = [(name, name) for name in measured] + [(f"{name} (paper alone)", name) for name in printed]
        return {
            self.scale: gr.Radio(scale_choices(scales), value=scale),
            self.set_name: gr.Radio(choices, value=images),
            self.shown: results_table.table(view, chosen),
            self.notes: _notes(missing, *view.notes, f"Protocol: {results.protocol}."),
            self.csv: gr.DownloadButton(value=self._csv(view), interactive=not view.empty),
            self.row: gr.Dropdown([(row.title, row.label) for row in view.rows], value=chosen),
            **self.look(plan, table, scale, chosen),
        }

    def _csv(self, view: View) -> str:
        name = f"{view.table}_x{view.scale}_{view.set_name.replace(' ', '-')}_{view.metric}.csv"
        return self.shared.pictures.group("results").text(name, as_csv(view))

    def look(self, plan: str, table: str, scale: int, label: str | None) -> dict[Any, Any]:
        """The runs behind one row."""
        if label is None:
            return {self.label: None, self.runs: "", self.curve: None}
        results = plan_choice.results(plan)
        with errors_shown():
            runs = results.runs(table, scale, label)
        lines = [Line(f"seed {run['seed']}", _steps(run), run["curve_note"] or "") for run in runs if run["curve"]]
        return {
            self.label: label,
            self.runs: results_table.runs(runs, table, scale, label),
            self.curve: held_out_figure(lines) if lines else said("No training curve was recorded.") if runs else None,
        }

    def click(self, plan: str, table: str, scale: int, event: gr.EventData) -> dict[Any, Any]:
        """The runs behind the row that was clicked."""
        return {self.row: event.label, **self.look(plan, table, scale, event.label)}

    def fail(self, message: str) -> dict[Any, Any]:
        """Records that cannot be read: why, in place of the table."""
        return {self.shown: alert(message), self.notes: "", self.runs: "", self.curve: None}

    def change_plan(self, plan: str, scale: int, metric: str) -> dict[Any, Any]:
        """The tables of another plan, the first one shown; its sets and rows are chosen anew."""
        tables = _tables(plan_choice.results(plan))
        first = tables[0][1]
        return {self.table: gr.Dropdown(tables, value=first), **self.open(plan, first, scale, None, metric, None)}

    def open(
        self, plan: str, table: str, scale: int, set_name: str | None, metric: str, label: str | None
    ) -> dict[Any, Any]:
        """Everything that the view shows."""
        results = plan_choice.results(plan)
        metric = metric if metric in results.metrics else "psnr"
        return {
            self.metric: gr.Radio(_metrics(results), value=metric, visible=len(results.metrics) > 1),
            self.source: f"Shown: {results.source} (`mtkd matrix --size {escape(plan)}` makes them).",
            **self.fill(plan, table, scale, set_name, metric, label),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; records are read when it is opened."""
    connect(layout(shared), tab)
    api(_table_rows, api_name="results_table")
    api(_run_records, api_name="results_runs")


def layout(shared: Shared) -> Tables:
    """Lay out the view: a table, and the runs behind one of its rows."""
    results = plan_choice.readable(PLAN)
    images = results.default_set(4) if results else None
    with gr.Column(elem_id="results-figures", elem_classes="figures"):
        with gr.Row():
            plan = plan_choice.layout("results-plan")
            table = gr.Dropdown(_tables(results), label="Table", elem_id="results-name", scale=3, min_width=300)
            scale = gr.Radio(scale_choices(SCALES), value=4, label="Scale", elem_id="results-scale", min_width=205)
            set_name = gr.Radio(set_choices(), value=images, label="Images", elem_id="results-set",
                                scale=4, min_width=340)  # fmt: skip
            metric = gr.Radio(_metrics(results), value="psnr", label="Metric", elem_id="results-metric",
                              scale=1, min_width=190)  # fmt: skip
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=360):
                shown = gr.HTML(elem_id="results-table", js_on_load=_SCRIPT, apply_default_css=False)
                gr.Markdown(_TABLE, elem_classes="help")
                notes = gr.Markdown(elem_classes="help", elem_id="results-notes")
                csv = gr.DownloadButton(_CSV, interactive=False, size="sm", elem_id="results-csv")
            with gr.Column(scale=2, min_width=360):
                row = gr.Dropdown([], label="Show runs for", elem_id="results-row")
                runs = gr.HTML(elem_id="results-runs", apply_default_css=False)
                curve = gr.Plot(show_label=False, elem_id="results-curve")
        source = gr.Markdown(elem_classes="help", elem_id="results-source")
    return Tables(
        shared, source, plan, table, scale, set_name, metric, shown, notes, csv, row, runs, curve, gr.State(None)
    )


def connect(of: Tables, tab: gr.Tab) -> None:
    """Connect the view's events."""
    plan_choice.connect(tab, of.plan)
    filters = [of.plan, of.table, of.scale, of.set_name, of.metric, of.label]
    of_row = [of.label, of.runs, of.curve]
    of_table = [of.scale, of.set_name, of.shown, of.notes, of.csv, of.row, *of_row]
    everything = [of.source, of.metric, *of_table]
    show, fill = errors_in(of.open, of.fail), errors_in(of.fill, of.fail)
    look, click = (errors_in(handler, lambda message: {of.runs: alert(message)}) for handler in (of.look, of.click))
    # Answered in the order of asking: what was chosen last is what is shown.
    filling: dict[str, Any] = {"show_progress_on": [of.shown], "concurrency_id": "tables", **PRIVATE}
    tab.select(show, filters, everything, **filling)
    change_plan = errors_in(of.change_plan, of.fail)
    of.plan.input(change_plan, [of.plan, of.scale, of.metric], [of.table, *everything], **filling)
    for changed in (of.table.input, of.scale.input, of.set_name.input, of.metric.input):
        changed(fill, filters, of_table, **filling)
    place = [of.plan, of.table, of.scale]
    of.row.input(look, [*place, of.row], of_row, show_progress_on=[of.runs], **PRIVATE)
    of.shown.select(click, place, [of.row, *of_row], show_progress_on=[of.runs], **PRIVATE)


def _tables(results: Results | None) -> list[tuple[str, str]]:
    """Titles and names of the plan's tables that have data; those of the paper by their number."""
    if results is None:
        return []
    titles = {name: table.title for name, table in results.plan.tables.items() if results.scales_with_data(name)}
    return [(title if (number := name.removeprefix("table")) == name else f"Table {number}: {title}", name)
            for name, title in titles.items()]  # fmt: skip


def _metrics(results: Results | None) -> list[tuple[str, str]]:
    """Titles and names of the metrics that were recorded."""
    return [(spec(name).title, name) for name in (results.metrics if results else DEFAULT)]


def _steps(run: dict[str, Any]) -> tuple[list[int], list[float]]:
    return [step for step, _ in run["curve"]], [psnr for _, psnr in run["curve"]]


def _first(labels: list[str]) -> str | None:
    return next((label for label in ("mtkd", "MT", *labels) if label in labels), None)


def _notes(*sentences: str) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences if sentence)


# --- for programs


def _table_rows(table: str, scale: int, set_name: str, metric: str = "psnr", plan: str = PLAN) -> list[dict[str, Any]]:
    """Rows of a table (table2 ... table5, aggregators, controls, ...): measured beside printed numbers."""
    with errors_shown():
        return [asdict(row) for row in plan_choice.results(plan).view(table, scale, set_name, metric).rows]


def _run_records(table: str, scale: int, label: str, plan: str = PLAN) -> list[dict[str, Any]]:
    """All that was recorded of the runs behind a row of a table; labels are those of its rows."""
    with errors_shown():
        return plan_choice.results(plan).runs(table, scale, label)


TAB = Tab("Tables", order=60, build=build, within="Evidence")
