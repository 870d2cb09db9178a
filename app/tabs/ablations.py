"""The Ablations tab: Table 5 as pictures, and a training step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.explore import Comparison, compare
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.evidence.ablations import (
    DIFFERENCE_RANGE,
    TABLES,
    Variant,
    gain_against_cost,
    kept,
    panes,
    training_curve,
    training_panes,
)
from mtkd.explore.inside.losses import losses

from ..parts import ablation_numbers, plan_choice, viewer_part
from ..parts.ablation_numbers import Recorded
from ..parts.picture import models_folder
from ..parts.plan_choice import PLAN
from ..server.queue import COMPUTING
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown


class Reference(StrEnum):
    """What the pictures are compared with."""

    MTKD = "MTKD"
    MT = "MT"
    TRUTH = TRUTH


_FIRST = ("scratch", "kd", "mtkd")
"""Checked at first, with the variants that differ in the loss."""
_INTRO = f"""**What does each part of the method do?** Every variant is the same student, trained on the same
patches from the same start; one thing differs. *Difference*: to the reference in luma, blue darker, red brighter,
full at {DIFFERENCE_RANGE} levels."""
_COST = """**Gain against cost.** Cost: floating-point operations of the student's training, teachers that run beside
it included; outputs that were computed once and kept cost nothing. Hollow: one seed, so that nothing is known of
chance."""
_STEPS = """**The same students on their way.** One slider for all panes; a model that was not kept at a step is shown
at the last one before."""


@dataclass(frozen=True, eq=False)
class Ablations:
    """The components of the tab; its methods answer their events.

    Attributes:
        chosen: labels of the table's rows.
        models, step: the students on their way, and where on it.
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
    models: gr.CheckboxGroup
    step: gr.Slider
    which: gr.Markdown
    way: gr.HTML
    curve: gr.Plot

    def fill(self, comparison: Comparison, table: str, plan: str) -> dict[Any, Any]:
        """Another comparison: what there is at its scale."""
        return {**self.change_table(comparison, table, plan), **self._ways(comparison, plan)}

    def _ways(self, comparison: Comparison, plan: str) -> dict[Any, Any]:
        """The students that were kept on their way."""
        with errors_shown(models_folder()):
            ways = kept(comparison.scale, plan_choice.models_folder(plan))
        steps = _all_steps(ways)
        return {
            self.models: gr.CheckboxGroup(list(ways), value=list(ways)[:3]),
            self.step: gr.Slider(0, max(len(steps) - 1, 1), len(steps) // 2, interactive=len(steps) > 1),
        }

    def change_plan(self, comparison: Comparison | None, plan: str) -> dict[Any, Any]:
        """The tables of another plan, and the variants of its first one."""
        tables = _tables(plan)
        first = tables[0][1] if tables else None
        changed = self.change_table(comparison, first, plan) if first else {self.chosen: gr.CheckboxGroup([], value=[])}
        ways = self._ways(comparison, plan) if comparison else {}
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
        return {self.chosen: gr.CheckboxGroup([(v.title, v.row.label) for v in variants], value=value)}

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
        comparison = _compared(comparison)
        recorded = Recorded.of(plan, table, comparison.scale) if table else None
        with errors_shown(models_folder()):
            trained = recorded.variants if recorded else []
        if recorded is None or not trained:
            text = f"No student of this table is trained at ×{comparison.scale} here."
            return {self.viewer: {"panes": []}, self.note: text, self.numbers: None, self.cost: None}
        turns = self.shared.turns

        def tell(name: str, done: int, of: int) -> None:
            progress((done, of), desc=name, unit="models")

        with errors_shown(models_folder()), turns.for_size(comparison.pixels):
            reference = _reference(comparison, trained, Reference(against))
            picked = [variant for variant in trained if variant.row.label in names]
            seen = _run(comparison, picked, reference, turns.between(tell), recorded.sources)
            save = turns.between(self.shared.pictures.group("variants").save)
            drawn = panes(seen, [variant.name for variant in picked], reference, _captions(seen, picked), save)
            return {
                self.viewer: {"panes": drawn, "reference": reference},
                self.note: recorded.note,
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

    def walk(self, comparison: Comparison | None, names: list[str], place: int, plan: str) -> dict[Any, Any]:
        """The chosen students after so many steps of their training."""
        comparison = _compared(comparison)
        sources = plan_choice.models_folder(plan)
        with errors_shown(models_folder()):
            ways = kept(comparison.scale, sources)
        steps = _all_steps(ways)
        names = [name for name in names if name in ways]
        if not steps or not names:
            why = "No student was chosen." if steps else f"No student was kept on its way at ×{comparison.scale}."
            return {self.which: why, self.way: {"panes": []}, self.curve: None}
        at, turns = steps[min(int(place), len(steps) - 1)], self.shared.turns
        with errors_shown(models_folder()), turns.for_size(comparison.pixels):
            save = turns.between(self.shared.pictures.group("steps").save)
            drawn = training_panes(comparison, names, at, save, turns.pass_on, sources)
        reference = TRUTH if comparison.hr_image is not None else None
        return {
            self.which: f"After **{at:,}** steps of {steps[-1]:,}",
            self.way: {"panes": drawn, "reference": reference, "columns": len(drawn)},
            self.curve: training_curve(names, comparison.scale, at, sources),
        }


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the picture of the comparison that the Compare tab shows."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Ablations:
    """Lay out the tab: a table's variants on the picture, then the same students on their way."""
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=False):
        plan = plan_choice.layout("ablation-plan")
        table = gr.Radio(_tables(PLAN), value="table5", label="Table", scale=2, elem_id="ablation-table")
        against = gr.Radio([reference.value for reference in Reference], value=Reference.MTKD.value, label="Reference",
                           scale=2, elem_id="ablation-against")  # fmt: skip
    # All labels there are, for programs; a page gets those that can be looked at.
    tables = plan_choice.plan(PLAN).tables
    labels = sorted({label for _, name in _tables(PLAN) for label in tables[name].variants})
    chosen = gr.CheckboxGroup(labels, label="Variants", elem_id="ablation-variants")
    viewer = viewer_part.layout("ablation-viewer")
    note = gr.Markdown(elem_classes="help", elem_id="ablation-note")
    numbers = gr.Dataframe(interactive=False, label="Numbers", wrap=True, elem_id="ablation-numbers")
    gr.Markdown(_COST, elem_classes="help")
    cost = gr.Plot(show_label=False, elem_id="ablation-cost")
    with gr.Column(elem_id="ablation-steps"):
        gr.Markdown(_STEPS, elem_classes="help")
        with gr.Row():
            all_kept = sorted({name for scale in (2, 3, 4) for name in kept(scale)})
            models = gr.CheckboxGroup(all_kept, label="Students", scale=2, elem_id="step-models")
            step = gr.Slider(0, 1, 0, step=1, label="Along the training: the steps that were kept", scale=3,
                             elem_id="step-slider")  # fmt: skip
        which = gr.Markdown(elem_id="step-which")
        way = viewer_part.layout("step-viewer")
        curve = gr.Plot(show_label=False, elem_id="step-curve")
    return Ablations(
        shared, plan, table, against, chosen, viewer, note, numbers, cost, models, step, which, way, curve
    )  # fmt: skip


def connect(of: Ablations, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    comparison = of.shared.comparison
    plan_choice.connect(tab, of.plan)
    inputs, outputs = [comparison, of.table, of.against, of.chosen, of.plan], [of.viewer, of.note, of.numbers, of.cost]
    steps, steps_out = [comparison, of.models, of.step, of.plan], [of.which, of.way, of.curve]
    shown: dict[str, Any] = {"show_progress_on": [of.viewer], **COMPUTING}
    news = of.shared.on_new_comparison(tab, "ablation-viewer")
    place = [comparison, of.table, of.plan]
    filled = news.change(of.fill, place, [of.chosen, of.models, of.step], **QUIET)
    first = filled.then(of.show_differences, inputs, outputs, **shown, **PRIVATE)
    first.then(of.walk, steps, steps_out, show_progress_on=[of.way], **PRIVATE, **COMPUTING)
    changed = of.plan.input(of.change_plan, [comparison, of.plan], [of.table, of.chosen, of.models, of.step],
                            **QUIET)  # fmt: skip
    shown_again = changed.then(of.show, inputs, outputs, **shown, **PRIVATE)
    shown_again.then(of.walk, steps, steps_out, show_progress_on=[of.way], **PRIVATE, **COMPUTING)
    of.table.input(of.change_table, place, of.chosen, **QUIET).then(of.show, inputs, outputs, **shown, **PRIVATE)
    of.chosen.input(of.show, inputs, outputs, api_name="ablations", **shown)
    of.against.input(of.show, inputs, outputs, **shown, **PRIVATE)
    of.models.input(of.walk, steps, steps_out, api_name="training_steps", show_progress="hidden", **COMPUTING)
    of.step.change(of.walk, steps, steps_out, **QUIET, **COMPUTING)


def _tables(plan: str) -> list[tuple[str, str]]:
    """Titles and names of a plan's tables of one student: those of the bundled plans, then those of its own."""
    tables, bundled = plan_choice.plan(plan).tables, plan_choice.plan(PLAN).tables
    own = [(table.title, name) for name, table in tables.items() if table.variants and name not in bundled]
    return [*((title, name) for name, title in TABLES.items() if name in tables), *own]


def _compared(comparison: Comparison | None) -> Comparison:
    if comparison is None:
        raise gr.Error("Compare something first: this tab looks at its picture.", print_exception=False)
    return comparison


def _all_steps(ways: Mapping[str, Sequence[int]]) -> list[int]:
    return sorted({step for steps in ways.values() for step in steps})


def _run(
    comparison: Comparison, variants: Sequence[Variant], reference: str, progress: Any, sources: Sequence[Path]
) -> Comparison:
    """The variants, and the reference, on the picture of a comparison."""
    image = comparison.lr_image if comparison.hr_image is None else comparison.hr_image
    names = [variant.name for variant in variants] + ([reference] if reference != TRUTH else [])
    truth = comparison.hr_image is not None
    return compare(image, list(dict.fromkeys(names)), comparison.scale, truth, progress, sources=sources)


def _reference(comparison: Comparison, variants: Sequence[Variant], against: Reference) -> str:
    """The picture to compare with; without ground truth, or where it is not trained, the first one there is."""
    if against is Reference.TRUTH and comparison.hr_image is not None:
        return TRUTH
    if against is Reference.MT:
        merged = [result.name for result in comparison.results if result.role == "aggregator"]
        if merged:
            return merged[0]
        gr.Warning("No aggregator is compared: check one in the Compare tab. MTKD is the reference now.")
    named = {variant.row.label: variant.name for variant in variants}
    return named.get("mtkd", variants[0].name)


def _captions(seen: Comparison, picked: Sequence[Variant]) -> dict[str, str]:
    quality = seen.captions()
    return quality | {variant.name: f"{variant.title} · {quality[variant.name]}" for variant in picked}


TAB = Tab("Ablations", order=50, build=build)
