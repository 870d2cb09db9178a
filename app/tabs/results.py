"""The Results tab: what was measured beside what the paper prints, and the runs behind every number."""

from __future__ import annotations

import os
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import unknown_name
from mtkd.experiments.plan import available_plans
from mtkd.explore.evidence import plots
from mtkd.explore.evidence.result_rows import View
from mtkd.explore.evidence.results import SCALES, SET_NAMES, Results, load, titles
from mtkd.home import runs_folder

from ..parts import results_table as made
from ..state import PRIVATE, QUIET, Shared, errors_shown, scale_choices

PLAN = "mini"
"""The plan that is shown at first."""
AXES = ["multiply-adds", "parameters", "seconds"]
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


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; records are read when it is opened."""
    with gr.Column(elem_id="results-figures"):
        source = gr.Markdown(elem_classes="help", elem_id="results-source")
        with gr.Row():
            plan = gr.Dropdown(list(available_plans()), value=PLAN, label="Plan", elem_id="results-plan",
                               min_width=120)  # fmt: skip
            scale = gr.Radio(scale_choices(SCALES), value=4, label="Scale", elem_id="results-scale", scale=2)
            set_name = gr.Radio(SET_NAMES, label="Images", elem_id="results-set", scale=5)
            axis = gr.Radio(AXES, value=AXES[0], label="Cost", elem_id="results-axis", scale=4)
        tradeoff = gr.Plot(show_label=False, elem_id="results-tradeoff")
        gr.Markdown(_COST, elem_classes="help")
        with gr.Row():
            table = gr.Dropdown(_tables(PLAN), label="Table", elem_id="results-name", scale=3)
            metric = gr.Radio(["PSNR", "SSIM"], value="PSNR", label="Numbers", elem_id="results-metric", scale=1)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=640):
                shown = gr.HTML(elem_id="results-table", js_on_load=_SCRIPT, apply_default_css=False)
                gr.Markdown(_TABLE, elem_classes="help")
                notes = gr.Markdown(elem_classes="help", elem_id="results-notes")
                csv = gr.DownloadButton(_CSV, interactive=False, size="sm", elem_id="results-csv")
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

    label = gr.State(None)  # of the chosen row; the dropdown's own value may be of the table before
    filters = [plan, table, scale, set_name, metric, label]
    of_row = [label, runs, curve]
    of_table = [shown, notes, csv, row, *of_row]

    def draw(
        plan: str,
        scale: int,
        set_name: str | None,
        axis: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Any:
        """PSNR against cost."""

        def tell(name: str, done: int, of: int) -> None:
            progress((done, of), desc=f"running {name}", unit="networks")

        results = _results(plan)
        images = set_name or results.default_set(scale)
        points = results.points(scale, images)
        seconds = None
        if axis == "seconds":
            with shared.turns:
                seconds = results.seconds(points, scale, shared.turns.between(tell))
        return plots.tradeoff(points, axis, f"{images} ×{scale}", seconds)

    def fill(plan: str, table: str, scale: int, set_name: str, metric: Any, label: str | None) -> list[Any]:
        """The chosen table, and the runs behind one of its rows."""
        results = _results(plan)
        with errors_shown():
            view = results.view(table, scale, set_name, metric)
        labels = [r.label for r in view.rows]
        chosen = label if label in labels else _first(labels)
        return [
            made.table(view, chosen),
            _notes(view.missing if not view.empty else "", *view.notes, f"Protocol: {results.protocol}."),
            gr.DownloadButton(value=_csv(shared, view), interactive=not view.empty),
            gr.Dropdown([(r.title, r.label) for r in view.rows], value=chosen),
            *look(plan, table, scale, chosen),
        ]

    def look(plan: str, table: str, scale: int, label: str | None) -> list[Any]:
        """The runs behind one row."""
        if label is None:
            return [None, "", None]
        results = _results(plan)
        with errors_shown():
            found = results.runs(table, scale, label)
        return [label, made.runs(found, table, scale, label), plots.curves(found) if found else None]

    def click(plan: str, table: str, scale: int, event: gr.EventData) -> list[Any]:
        return [event.label, *look(plan, table, scale, event.label)]

    def other_plan(plan: str) -> dict[Any, Any]:
        """The tables of another plan; its sets and rows are chosen anew."""
        with errors_shown(f"{runs_folder()}{os.sep}"):
            tables = _tables(plan)
        return {table: gr.Dropdown(tables, value=tables[0][1]), set_name: None, label: None}

    def opened(plan: str, table: str, scale: int, chosen: str | None, metric: str, label: str | None) -> list[Any]:
        """Everything that the tab shows but the first picture."""
        results = _results(plan)
        at = chosen or results.default_set(scale)
        return [
            f"Shown: {results.source} (`mtkd matrix --size {escape(plan)}` makes them).",
            at,
            *fill(plan, table, scale, at, metric, label),
            plots.agreement(results.gains()),
            made.claims(results.claims(), results.claims_at),
        ]

    tab.select(draw, [plan, scale, set_name, axis], tradeoff, api_visibility="private")
    tab.select(lambda plan: gr.Dropdown(list(available_plans()), value=plan), plan, plan, **QUIET)
    everything = [source, set_name, *of_table, agreement, claims]
    chosen_plan = plan.input(other_plan, plan, [table, set_name, label], **QUIET)
    chosen_plan.then(opened, filters, everything, show_progress_on=[shown, agreement, claims], **PRIVATE).then(
        draw, [plan, scale, set_name, axis], tradeoff, **PRIVATE
    )
    tab.select(
        opened,
        filters,
        everything,
        api_visibility="private",
        show_progress_on=[shown, agreement, claims],
    )
    for control in (scale, set_name, axis):
        control.input(draw, [plan, scale, set_name, axis], tradeoff, api_visibility="private")
    for control in (table, scale, set_name, metric):
        control.input(fill, filters, of_table, api_visibility="private", show_progress_on=[shown])
    row.input(look, [plan, table, scale, row], of_row, api_visibility="private", show_progress_on=[runs])
    shown.select(click, [plan, table, scale], [row, *of_row], api_visibility="private", show_progress_on=[runs])
    gr.api(_table_rows, api_name="results_table")
    gr.api(_run_records, api_name="results_runs")
    gr.api(_claims, api_name="results_claims")


def _results(plan: str) -> Results:
    with errors_shown(f"{runs_folder()}{os.sep}"):
        return load(_plan(plan))


def _plan(name: str) -> str:
    """What the plan of this name is loaded from."""
    if name not in (plans := available_plans()):
        raise unknown_name("plan", name, plans)
    return plans[name]


def _tables(plan: str) -> list[tuple[str, str]]:
    """Titles and names of the plan's tables; those of the paper by their number."""
    return [(title if (number := name.removeprefix("table")) == name else f"Table {number}: {title}", name)
            for name, title in titles(_plan(plan)).items()]  # fmt: skip


def _first(labels: list[str]) -> str | None:
    return next((label for label in ("mtkd", "MT", *labels) if label in labels), None)


def _notes(*sentences: str) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences if sentence)


def _csv(shared: Shared, view: View) -> str:
    name = f"{view.table}_x{view.scale}_{view.set_name.replace(' ', '-')}_{view.metric}.csv"
    return shared.pictures.group("results").text(name, view.csv())


# --- for programs


def _table_rows(table: str, scale: int, set_name: str, metric: str = "PSNR", plan: str = PLAN) -> list[dict[str, Any]]:
    """Rows of a table (table2 ... table5, aggregators, controls, ...): measured beside printed numbers."""
    with errors_shown():
        return [asdict(row) for row in _results(plan).view(table, scale, set_name, metric).rows]  # type: ignore[arg-type]


def _run_records(table: str, scale: int, label: str, plan: str = PLAN) -> list[dict[str, Any]]:
    """All that was recorded of the runs behind a row of a table; labels are those of its rows."""
    with errors_shown():
        return _results(plan).runs(table, scale, label)


def _claims(plan: str = PLAN) -> list[dict[str, Any]]:
    """The paper's sentences with their verdicts."""
    with errors_shown():
        return [asdict(claim) for claim in _results(plan).claims()]
