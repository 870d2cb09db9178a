"""The Results tab: what was measured beside what the paper prints, and the runs behind every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from gradio.events import api

from mtkd.explore.evidence import plots
from mtkd.explore.evidence.columns import as_csv
from mtkd.explore.evidence.result_rows import View
from mtkd.explore.evidence.results import SCALES, Results, set_choices
from mtkd.metrics import spec

from ..parts import plan_choice, results_table
from ..parts.plan_choice import PLAN
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown, scale_choices

_SCRIPT = (Path(__file__).parents[1] / "assets" / "results.js").read_text(encoding="utf-8")
_COST = (
    "Every point is a model; point at one for its numbers. **MT costs all of its teachers too**: its point stands at "
    "the sum of the aggregator and its teachers. A student costs the same however it was taught. Multiply-adds are "
    "counted exactly, for an image of 1280 × 720; *seconds* runs every network once here, which takes a while."
)
_CSV = "Download this table (CSV)"
_TABLE = (
    "Click a row for its runs, a heading to sort. **Best** in bold red, second underlined in blue, as in the paper "
    "among distilled students alone, for measured and printed numbers each. The paper's networks are larger and "
    "trained longer: compare differences, not PSNR. ± is the standard deviation over seeds; (13/14): on 13 of 14 "
    "images better."
)
_VERDICTS = (
    "**Verdicts.** *Holds*: with three seeds or more, the 95 % interval of every difference lies above 0. *Does not "
    "hold*: one lies below 0 by a two-sided test at 5 %, Bonferroni-corrected: 5 % shared among all differences. "
    "Otherwise more seeds, or runs, are needed. Seeds are the students': of each aggregator they share the same one, "
    "so that claims about aggregators are not decided by them alone."
)
_AGREEMENT = (
    "**The picture.** Gain in PSNR over the same student without distillation. On the dashed line the paper's gain is "
    "found again; hollow: one seed, so that nothing is known of chance."
)


@dataclass(frozen=True, eq=False)
class ResultsTab:
    """The components of the tab; its methods answer their events.

    Attributes:
        label: state: that of the chosen row; the dropdown's own value may be of the table before.
    """

    shared: Shared
    source: gr.Markdown
    plan: gr.Dropdown
    scale: gr.Radio
    set_name: gr.Radio
    axis: gr.Radio
    tradeoff: gr.Plot
    table: gr.Dropdown
    metric: gr.Radio
    shown: gr.HTML
    notes: gr.Markdown
    csv: gr.DownloadButton
    row: gr.Dropdown
    runs: gr.HTML
    curve: gr.Plot
    agreement: gr.Plot
    claims: gr.HTML
    label: gr.State

    def draw(
        self,
        plan: str,
        scale: int,
        set_name: str | None,
        axis: plots.Axis,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """PSNR against cost."""

        def tell(name: str, done: int, of: int) -> None:
            progress((done, of), desc=f"running {name}", unit="networks")

        turns, results = self.shared.turns, plan_choice.results(plan)
        images = set_name or results.default_set(scale)
        points = results.points(scale, images)
        seconds = None
        if axis == "seconds":
            with turns:
                seconds = results.seconds(points, scale, turns.between(tell))
        return {self.tradeoff: plots.tradeoff(points, axis, f"{images} ×{scale}", seconds)}

    def fill(self, plan: str, table: str, scale: int, set_name: str, metric: str, label: str | None) -> dict[Any, Any]:
        """The chosen table, and the runs behind one of its rows."""
        results = plan_choice.results(plan)
        with errors_shown():
            view = results.view(table, scale, set_name, metric)
        labels = [row.label for row in view.rows]
        chosen = label if label in labels else _first(labels)
        missing = view.missing if not view.empty else ""
        return {
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
        return {
            self.label: label,
            self.runs: results_table.runs(runs, table, scale, label),
            self.curve: plots.curves(runs) if runs else None,
        }

    def click(self, plan: str, table: str, scale: int, event: gr.EventData) -> dict[Any, Any]:
        """The runs behind the row that was clicked."""
        return {self.row: event.label, **self.look(plan, table, scale, event.label)}

    def change_plan(self, plan: str) -> dict[Any, Any]:
        """The tables of another plan; its sets and rows are chosen anew."""
        tables = _tables(plan)
        return {self.table: gr.Dropdown(tables, value=tables[0][1]), self.set_name: None, self.label: None}

    def open(
        self, plan: str, table: str, scale: int, set_name: str | None, metric: str, label: str | None
    ) -> dict[Any, Any]:
        """Everything that the tab shows but the first picture."""
        results = plan_choice.results(plan)
        images = set_name or results.default_set(scale)
        metric = metric if metric in results.metrics else "psnr"
        return {
            self.metric: gr.Radio(_metrics(results), value=metric),
            self.source: f"Shown: {results.source} (`mtkd matrix --size {escape(plan)}` makes them).",
            self.set_name: images,
            **self.fill(plan, table, scale, images, metric, label),
            self.agreement: plots.agreement(results.gains()),
            self.claims: results_table.claims(results.claims(), results.claims_at),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; records are read when it is opened."""
    connect(layout(shared), tab)
    api(_table_rows, api_name="results_table")
    api(_run_records, api_name="results_runs")
    api(_claims, api_name="results_claims")


def layout(shared: Shared) -> ResultsTab:
    """Lay out the tab: cost, a table with the runs behind it, gains and claims."""
    with gr.Column(elem_id="results-figures"):
        source = gr.Markdown(elem_classes="help", elem_id="results-source")
        with gr.Row():
            plan = plan_choice.layout("results-plan")
            scale = gr.Radio(scale_choices(SCALES), value=4, label="Scale", elem_id="results-scale", scale=2)
            set_name = gr.Radio(set_choices(), label="Images", elem_id="results-set", scale=5)
            axis = gr.Radio(get_args(plots.Axis), value=get_args(plots.Axis)[0], label="Cost", elem_id="results-axis",
                            scale=4)  # fmt: skip
        tradeoff = gr.Plot(show_label=False, elem_id="results-tradeoff")
        gr.Markdown(_COST, elem_classes="help")
        with gr.Row():
            table = gr.Dropdown(_tables(PLAN), label="Table", elem_id="results-name", scale=3)
            metric = gr.Radio(_metrics(plan_choice.results(PLAN)), value="psnr", label="Numbers",
                              elem_id="results-metric", scale=1)  # fmt: skip
        with gr.Row(equal_height=False):
            shown, notes, csv = _table_column()
            with gr.Column(scale=2, min_width=420):
                row = gr.Dropdown([], label="Runs behind", elem_id="results-row")
                runs = gr.HTML(elem_id="results-runs", apply_default_css=False)
                curve = gr.Plot(show_label=False, elem_id="results-curve")
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=480):
                gr.Markdown("### Gains: measured against the paper's")
                agreement = gr.Plot(show_label=False, elem_id="results-agreement")
                gr.Markdown(f"{_AGREEMENT}\n\n{_VERDICTS}", elem_classes="help")
            with gr.Column(scale=1, min_width=480):
                claims = gr.HTML(elem_id="results-claims", apply_default_css=False)
    return ResultsTab(
        shared, source, plan, scale, set_name, axis, tradeoff, table, metric, shown, notes, csv, row, runs, curve,
        agreement, claims, gr.State(None),
    )  # fmt: skip


def _table_column() -> tuple[gr.HTML, gr.Markdown, gr.DownloadButton]:
    with gr.Column(scale=3, min_width=640):
        shown = gr.HTML(elem_id="results-table", js_on_load=_SCRIPT, apply_default_css=False)
        gr.Markdown(_TABLE, elem_classes="help")
        notes = gr.Markdown(elem_classes="help", elem_id="results-notes")
        csv = gr.DownloadButton(_CSV, interactive=False, size="sm", elem_id="results-csv")
    return shown, notes, csv


def connect(of: ResultsTab, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    plan_choice.connect(tab, of.plan)
    drawn = [of.plan, of.scale, of.set_name, of.axis]
    filters = [of.plan, of.table, of.scale, of.set_name, of.metric, of.label]
    of_row = [of.label, of.runs, of.curve]
    of_table = [of.shown, of.notes, of.csv, of.row, *of_row]
    everything = [of.source, of.set_name, of.metric, *of_table, of.agreement, of.claims]
    opening: dict[str, Any] = {"show_progress_on": [of.shown, of.agreement, of.claims], **PRIVATE}
    tab.select(of.draw, drawn, of.tradeoff, **PRIVATE)
    tab.select(of.open, filters, everything, **opening)
    chosen = of.plan.input(of.change_plan, of.plan, [of.table, of.set_name, of.label], **QUIET)
    chosen.then(of.open, filters, everything, **opening).then(of.draw, drawn, of.tradeoff, **PRIVATE)
    for changed in (of.scale.input, of.set_name.input, of.axis.input):
        changed(of.draw, drawn, of.tradeoff, **PRIVATE)
    for changed in (of.table.input, of.scale.input, of.set_name.input, of.metric.input):
        changed(of.fill, filters, of_table, show_progress_on=[of.shown], **PRIVATE)
    place = [of.plan, of.table, of.scale]
    of.row.input(of.look, [*place, of.row], of_row, show_progress_on=[of.runs], **PRIVATE)
    of.shown.select(of.click, place, [of.row, *of_row], show_progress_on=[of.runs], **PRIVATE)


def _tables(plan: str) -> list[tuple[str, str]]:
    """Titles and names of the plan's tables; those of the paper by their number."""
    titles = {name: table.title for name, table in plan_choice.plan(plan).tables.items()}
    return [(title if (number := name.removeprefix("table")) == name else f"Table {number}: {title}", name)
            for name, title in titles.items()]  # fmt: skip


def _metrics(results: Results) -> list[tuple[str, str]]:
    """Titles and names of the metrics that were recorded."""
    return [(spec(name).title, name) for name in results.metrics]


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


def _claims(plan: str = PLAN) -> list[dict[str, Any]]:
    """The paper's sentences with their verdicts."""
    with errors_shown():
        return [asdict(claim) for claim in plan_choice.results(plan).claims()]


TAB = Tab("Results", order=60, build=build)
