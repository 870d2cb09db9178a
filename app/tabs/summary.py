"""The Summary of the evidence: three answers, gains and cost, when distillation pays, the paper's claims."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
from gradio.events import api

from mtkd.experiments.statistics import VERDICTS
from mtkd.explore.evidence import plots, summary
from mtkd.explore.evidence.results import SCALES, Results
from mtkd.explore.evidence.summary import Panel

from ..parts import claims_list, plan_choice
from ..parts.messages import alert, errors_in
from ..parts.plan_choice import PLAN
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown, scale_choices

_PANELS: tuple[Panel, ...] = ("images", "steps", "parameters")
_GAINS = (
    "**Gain over the student alone** on these images, with 95 % intervals over seeds (hollow: one seed), beside the "
    "paper's numbers. The answers above need Set14 and held-out images together"
)
_COST = (
    "**Quality and compute** of a student alone, with KD and with MTKD; grey: all other models. The combined teacher "
    "(MT) is charged for its teachers too"
)
_PAYS = """## When does distillation pay?
The RCAN student at ×4, one thing varied at a time; the gain is measured on Set14 and the held-out images together,
with 97.5 % intervals. Few seeds, wide intervals: a point is no verdict."""


@dataclass(frozen=True, eq=False)
class Summary:
    """The components of the view; its methods answer their events.

    Attributes:
        body: all below the choices; it appears with its text.
        places: a style sheet that keeps the figures' places, until they are drawn.
    """

    plan: gr.Dropdown
    scale: gr.Radio
    set_name: gr.Radio
    answers: gr.HTML
    body: gr.Column
    places: gr.HTML
    gains: gr.Plot
    tradeoff: gr.Plot
    panels: dict[Panel, gr.Plot]
    readings: dict[Panel, gr.Markdown]
    pays: gr.Markdown
    points: gr.HTML
    claims: gr.HTML

    def change_plan(self, plan: str) -> dict[Any, Any]:
        """The scales that another plan has data for."""
        scales = plan_choice.results(plan).measured_scales() or SCALES
        return {self.scale: gr.Radio(scale_choices(scales), value=scales[-1]), self.set_name: None}

    def tell(self, plan: str, scale: int, set_name: str | None) -> dict[Any, Any]:
        """All that is text; the figures, which take longer, have their places."""
        results = plan_choice.results(plan)
        with errors_shown():
            panels, claims = summary.pays(results), results.claims()
            gains = _gains(results, scale, _images(results, scale, set_name))
            return {
                self.answers: claims_list.answers(summary.answers(results)),
                self.body: gr.Column(visible=True),
                self.places: f"<style>#summary-gains {{ min-height: {plots.dots_height(gains) + 2}px }}</style>",
                self.pays: gr.Markdown(visible=bool(panels)),
                **{plot: gr.Plot(visible=panel in panels) for panel, plot in self.panels.items()},
                **{text: summary.reading(panels.get(panel, ()), panel) for panel, text in self.readings.items()},
                self.points: claims_list.points(panels),
                self.claims: claims_list.claims(claims, results.claims_at),
            }

    def fail(self, message: str) -> dict[Any, Any]:
        """Records that cannot be read: why, in place of the answers."""
        return {self.answers: alert(message), self.body: gr.Column(visible=False)}

    def draw_all(self, plan: str, scale: int, set_name: str | None) -> dict[Any, Any]:
        """Every figure."""
        results = plan_choice.results(plan)
        drawn = {self.panels[panel]: plots.paying(points, panel) for panel, points in summary.pays(results).items()}
        return {**self.draw(plan, scale, set_name), **drawn}

    def draw(self, plan: str, scale: int, set_name: str | None) -> dict[Any, Any]:
        """The two figures of one scale and set; what has no data cannot be chosen."""
        results = plan_choice.results(plan)
        images = _images(results, scale, set_name)
        gains = _gains(results, scale, images)
        nothing = f"No gain is measured on {images} at ×{scale} yet."
        return {
            self.set_name: gr.Radio(results.measured_sets(scale), value=images),
            self.gains: plots.dots(gains, "gain in PSNR-Y, dB") if gains else plots.said(nothing),
            self.tradeoff: plots.tradeoff(results.points(scale, images), f"{images} ×{scale}"),
        }


def _images(results: Results, scale: int, set_name: str | None) -> str:
    """The set that was chosen, or the first with data."""
    return set_name if set_name in results.measured_sets(scale) else results.default_set(scale)


def _gains(results: Results, scale: int, images: str) -> dict[str, list[plots.Dot]]:
    rows = summary.gains(results, scale, images)
    return {title: [plots.row_dot(row) for row in of] for title, of in rows.items()}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; records are read when it is opened."""
    connect(layout(), tab)
    api(_claims, api_name="results_claims")
    api(_answers, api_name="evidence_answers")


def layout() -> Summary:
    """Lay out the view: answers, two figures, panels, claims."""
    results = plan_choice.readable(PLAN)
    scales = (results and results.measured_scales()) or SCALES
    sets, images = (results.measured_sets(scales[-1]), results.default_set(scales[-1])) if results else ([], None)
    with gr.Column(elem_id="summary", elem_classes="figures"):
        answers = gr.HTML(elem_id="summary-answers", apply_default_css=False)
        with gr.Row():
            plan = plan_choice.layout("summary-plan")
            label = "Scale of the two plots below"
            scale = gr.Radio(scale_choices(scales), value=scales[-1], label=label, elem_id="summary-scale")
            set_name = gr.Radio(sets, value=images, label="Images of the two plots below", elem_id="summary-set")
        with gr.Column(visible=False) as body:
            places = gr.HTML(apply_default_css=False, visible="hidden")
            with gr.Row(equal_height=False):
                with gr.Column(min_width=360):
                    gr.Markdown(_GAINS)
                    gains = gr.Plot(show_label=False, elem_id="summary-gains")
                with gr.Column(min_width=360):
                    gr.Markdown(_COST)
                    tradeoff = gr.Plot(show_label=False, elem_id="summary-tradeoff")
            pays = gr.Markdown(_PAYS, elem_id="summary-pays")
            panels, readings = {}, {}
            with gr.Row(equal_height=False):
                for panel in _PANELS:
                    with gr.Column(min_width=320):
                        panels[panel] = gr.Plot(show_label=False, elem_id=f"summary-{panel}", elem_classes="panel")
                        readings[panel] = gr.Markdown(elem_classes="help")
            points = gr.HTML(elem_id="summary-points", apply_default_css=False)
            gr.Markdown("## Claims of the paper, tested")
            claims = gr.HTML(elem_id="summary-claims", apply_default_css=False)
            with gr.Accordion("How verdicts are reached", open=False):
                gr.Markdown(VERDICTS)
    return Summary(
        plan, scale, set_name, answers, body, places, gains, tradeoff, panels, readings, pays, points, claims
    )


def connect(of: Summary, tab: gr.Tab) -> None:
    """Connect the view's events."""
    plan_choice.connect(tab, of.plan)
    chosen = [of.plan, of.scale, of.set_name]
    figures = [of.set_name, of.gains, of.tradeoff]
    texts = [of.answers, of.body, of.places, of.pays, *of.panels.values(), *of.readings.values(), of.points, of.claims]
    tell, draw = errors_in(of.tell, of.fail), errors_in(of.draw, of.fail)
    draw_all = errors_in(of.draw_all, lambda _: {of.set_name: gr.skip()})  # the answers say it
    planned = of.plan.input(errors_in(of.change_plan, of.fail), of.plan, [of.scale, of.set_name, *texts], **QUIET)
    for opened in (tab.select, planned.then):
        told = opened(tell, chosen, texts, show_progress_on=[of.answers], **PRIVATE)
        told.then(draw_all, chosen, [*figures, *of.panels.values()], **QUIET)
    for changed in (of.scale.input, of.set_name.input):
        changed(draw, chosen, [*figures, *texts], show_progress_on=[of.gains, of.tradeoff], **PRIVATE)


# --- for programs


def _claims(plan: str = PLAN) -> list[dict[str, Any]]:
    """The paper's claims: what was found on each, and the comparisons behind it."""
    with errors_shown():
        return [asdict(claim) for claim in plan_choice.results(plan).claims()]


def _answers(plan: str = PLAN) -> list[dict[str, Any]]:
    """Does distillation help, is it better than KD, what does it cost: with the numbers behind each answer."""
    with errors_shown():
        return [asdict(answer) for answer in summary.answers(plan_choice.results(plan))]


TAB = Tab("Summary", order=50, build=build, within="Evidence")
