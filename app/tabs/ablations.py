"""The Ablations tab: Table 5 as pictures, and a training step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.explore import Comparison, compare
from mtkd.explore.comparison.core import TITLES, TRUTH
from mtkd.explore.evidence.ablations import TABLES, Variant, gain_against_cost, panes
from mtkd.explore.inside.losses import losses

from ..parts import ablation_numbers, plan_choice, training_steps, viewer_part
from ..parts.ablation_numbers import HEADERS, Recorded
from ..parts.messages import errors_in, no_comparison, telling
from ..parts.picture import models_folder
from ..parts.plan_choice import PLAN
from ..parts.training_steps import TrainingSteps
from ..server.queue import COMPUTING
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown


class Reference(StrEnum):
    """What the pictures are compared with."""

    MTKD = "MTKD"
    MT = "MT"
    TRUTH = TRUTH

    @property
    def label(self) -> str:
        """What people read."""
        return TITLES.get(self.value, self.value)


_FIRST = ("scratch", "kd", "mtkd")
"""Checked at first, with the variants that differ in the loss."""
_EMPTY = "The variants appear here when the comparison is done."
_INTRO = """**What does each part of the method do?** Every variant is the same student, trained on the same
patches from the same start; only one thing differs."""
_COST = """**Gain and cost.** Dots: measured, with 95 % intervals over seeds (hollow: one seed); diamonds: the paper.
Cost: floating-point operations of the training, with the teachers that run beside the student; cached teacher outputs
cost nothing."""


@dataclass(frozen=True, eq=False)
class Ablations:
    """The components of the tab; its methods answer their events.

    Attributes:
        chosen: labels of the table's rows.
        steps: the students on their way.
    """

    shared: Shared
    plan: gr.Dropdown
    table: gr.Radio
    against: gr.Radio
    chosen: gr.CheckboxGroup
    viewer: gr.HTML
    note: gr.Markdown
    numbers: gr.Dataframe
    cost: gr.Plot
    steps: TrainingSteps
    program: gr.Button

    def fill(self, comparison: Comparison, table: str, plan: str) -> dict[Any, Any]:
        """Another comparison: what there is at its scale."""
        return {**self.change_table(comparison, table, plan), **self.steps.fill(comparison, plan)}

    def change_plan(self, comparison: Comparison | None, plan: str) -> dict[Any, Any]:
        """The tables of another plan, and the variants of its first one."""
        tables = _tables(plan)
        first = tables[0][1] if tables else None
        changed = self.change_table(comparison, first, plan) if first else {self.chosen: gr.CheckboxGroup([], value=[])}
        ways = self.steps.fill(comparison, plan) if comparison else {}
        return {self.table: gr.Radio(tables, value=first), **changed, **ways}

    def change_table(self, comparison: Comparison | None, table: str, plan: str) -> dict[Any, Any]:
        """The variants of another table."""
        if comparison is None:
            return {self.chosen: gr.skip()}
        recorded = Recorded.of(plan, table, comparison.scale)
        with errors_shown(models_folder()):
            variants = recorded.variants
        labels = [variant.row.label for variant in variants]
        value = [label for label in labels if label in {*_FIRST, *losses(recorded.results.plan)}] or labels[:6]
        choices = [(v.title, v.row.label) for v in variants]
        return {self.chosen: gr.CheckboxGroup(choices, value=value, visible=bool(choices))}

    def show(
        self,
        comparison: Comparison | None,
        table: str | None,
        against: str,
        names: list[str],
        plan: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """The chosen variants on the compared picture, and their recorded numbers."""
        if comparison is None:
            raise no_comparison()
        recorded = Recorded.of(plan, table, comparison.scale) if table else None
        with errors_shown(models_folder()):
            trained = recorded.variants if recorded else []
        if recorded is None or not trained:
            text = f"This table has no trained student at ×{comparison.scale}. Choose another scale or table."
            return {self.viewer: {"panes": []}, self.note: text, self.numbers: None, self.cost: None}
        turns, tell = self.shared.turns, telling(progress, comparison.scale, recorded.sources)
        with errors_shown(models_folder()), turns.for_size(comparison.pixels):
            reference, note = _reference(comparison, trained, Reference(against))
            picked = [variant for variant in trained if variant.row.label in names]
            seen = _run(comparison, picked, reference, turns.between(tell), recorded.sources)
            save = turns.between(self.shared.pictures.group("variants").save)
            drawn = panes(seen, [variant.name for variant in picked], reference, _captions(seen, picked), save)
            return {
                self.viewer: {"panes": drawn, "reference": TRUTH, "baseline": reference},
                self.note: f"{note} {recorded.note}",
                self.numbers: ablation_numbers.value(seen, picked, recorded),
                self.cost: gain_against_cost(trained, comparison.scale, recorded.where, recorded.sources),
            }

    def show_differences(
        self,
        comparison: Comparison | None,
        table: str | None,
        against: str,
        names: list[str],
        plan: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """The same, differences at first: students differ by less than the eye sees."""
        shown = self.show(comparison, table, against, names, plan, progress)
        return shown | {self.viewer: shown[self.viewer] | {"view": {"layer": "difference"}}}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the picture of the comparison that the Compare tab shows."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Ablations:
    """Lay out the tab: a table's variants on the picture, then the same students on their way."""
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=False):
        plan = plan_choice.layout("ablation-plan")
        table = gr.Radio(_tables(PLAN), value="table5", label="Table", scale=4, elem_id="ablation-table")
        against = gr.Radio([(reference.label, reference.value) for reference in Reference], value=Reference.MTKD.value,
                           label="Difference to", scale=3, elem_id="ablation-against")  # fmt: skip
    # All labels there are, for programs; a page is shown those that can be looked at.
    tables = plan_choice.plan(PLAN).tables
    labels = sorted({label for _, name in _tables(PLAN) for label in tables[name].variants})
    chosen = gr.CheckboxGroup(labels, label="Variants", elem_id="ablation-variants", visible=False)
    viewer = viewer_part.layout("ablation-viewer", {"empty": _EMPTY})
    note = gr.Markdown(elem_classes="help", elem_id="ablation-note")
    numbers = gr.Dataframe(headers=HEADERS, interactive=False, label="Numbers", wrap=True, elem_id="ablation-numbers")
    gr.Markdown(_COST, elem_classes="help")
    with gr.Column(elem_classes="figures"):
        cost = gr.Plot(show_label=False, elem_id="ablation-gains")
    steps = training_steps.layout(shared)
    return Ablations(shared, plan, table, against, chosen, viewer, note, numbers, cost, steps, gr.Button(visible=False))


def connect(of: Ablations, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    comparison = of.shared.comparison
    plan_choice.connect(tab, of.plan)
    inputs, outputs = [comparison, of.table, of.against, of.chosen, of.plan], [of.viewer, of.note, of.numbers, of.cost]
    shown: dict[str, Any] = {"show_progress_on": [of.viewer], **COMPUTING}

    def failed(message: str) -> dict[Any, Any]:
        return {of.viewer: viewer_part.failed(message)}

    show, walk_after = errors_in(of.show, failed), training_steps.connect(of.steps, of.plan)
    news = of.shared.on_new_comparison(tab, "ablation-viewer")
    place = [comparison, of.table, of.plan]
    filled = news.change(errors_in(of.fill, failed), place, [of.chosen, *of.steps.choices, of.viewer], **QUIET)
    walk_after(filled.then(errors_in(of.show_differences, failed), inputs, outputs, **shown, **PRIVATE))
    changed = of.plan.input(errors_in(of.change_plan, failed), [comparison, of.plan],
                            [of.table, of.chosen, *of.steps.choices, of.viewer], **QUIET)  # fmt: skip
    walk_after(changed.then(show, inputs, outputs, **shown, **PRIVATE))
    other_table = of.table.input(errors_in(of.change_table, failed), place, [of.chosen, of.viewer], **QUIET)
    other_table.then(show, inputs, outputs, **shown, **PRIVATE)
    for control in (of.chosen, of.against):
        control.input(show, inputs, outputs, **shown, **PRIVATE)
    of.program.click(of.show, inputs, outputs, api_name="ablations", **COMPUTING)


def _tables(plan: str) -> list[tuple[str, str]]:
    """Titles and names of a plan's tables of one student: those of the bundled plans, then those of its own."""
    tables, bundled = plan_choice.plan(plan).tables, plan_choice.plan(PLAN).tables
    own = [(table.title, name) for name, table in tables.items() if table.variants and name not in bundled]
    return [*((title, name) for name, title in TABLES.items() if name in tables), *own]


def _run(
    comparison: Comparison, variants: Sequence[Variant], reference: str, progress: Any, sources: Sequence[Path]
) -> Comparison:
    """The variants, and the reference, on the picture of a comparison."""
    image = comparison.lr_image if comparison.hr_image is None else comparison.hr_image
    names = [variant.name for variant in variants] + ([reference] if reference != TRUTH else [])
    truth = comparison.hr_image is not None
    return compare(image, list(dict.fromkeys(names)), comparison.scale, truth, progress, sources=sources)


def _reference(comparison: Comparison, variants: Sequence[Variant], against: Reference) -> tuple[str, str]:
    """The picture to compare with; without ground truth, or where it is not trained, the first one there is.

    With what is to be said about it.
    """
    named, note = {variant.row.label: variant.name for variant in variants}, ""
    if against is Reference.TRUTH and comparison.hr_image is not None:
        return TRUTH, note
    if against is Reference.MT:
        merged = [result.name for result in comparison.results if result.role == "aggregator"]
        if merged:
            return merged[0], note
        note = "No combined teacher is compared: the reference is MTKD. Add one to the models above."
    return named.get("mtkd", variants[0].name), note


def _captions(seen: Comparison, picked: Sequence[Variant]) -> dict[str, str]:
    quality = seen.captions()
    return quality | {variant.name: f"{variant.title} · {quality[variant.name]}" for variant in picked}


TAB = Tab("Ablations", order=70, build=build, within="Evidence")
