"""The Ablations tab: Table 5 as pictures, and a training step by step."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mtkd.experiments.plan import load_plan
from mtkd.explore import Comparison, compare
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.evidence.ablations import (
    DIFFERENCE_RANGE,
    TABLES,
    Variant,
    gain_against_cost,
    kept,
    panes,
    students,
    training_curve,
    training_panes,
)
from mtkd.explore.evidence.result_rows import Row
from mtkd.explore.evidence.results import Results, load
from mtkd.explore.inside.losses import losses
from mtkd.explore.viewer import gradio_parts

from ..server.queue import COMPUTING
from ..state import Shared, errors_shown

SIZE = "mini"
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


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it works on the picture of the comparison that the Compare tab shows."""
    gr.Markdown(_INTRO, elem_classes="help")
    with gr.Row(equal_height=False):
        table = gr.Radio([(title, name) for name, title in TABLES.items()], value="table5", label="Table", scale=2,
                         elem_id="ablation-table")  # fmt: skip
        against = gr.Radio(["MTKD", "MT", "ground truth"], value="MTKD", label="Reference", scale=2,
                           elem_id="ablation-against")  # fmt: skip
    # All labels there are, for programs; a page gets those that can be looked at.
    labels = sorted({label for name in TABLES for label in load_plan(SIZE).tables[name].variants})
    chosen = gr.CheckboxGroup(labels, label="Variants", elem_id="ablation-variants")
    viewer = gr.HTML(None, apply_default_css=False, elem_id="ablation-viewer", **gradio_parts())
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
        way = gr.HTML(None, apply_default_css=False, elem_id="step-viewer", **gradio_parts())
        curve = gr.Plot(show_label=False, elem_id="step-curve")

    def fill(comparison: Comparison, table: str) -> list[Any]:
        """Another comparison: what there is at its scale."""
        ways = kept(comparison.scale)
        steps = _all_steps(ways)
        slider = gr.Slider(0, max(len(steps) - 1, 1), len(steps) // 2, interactive=len(steps) > 1)
        return [_variants(comparison, table), gr.CheckboxGroup(list(ways), value=list(ways)[:3]), slider]

    def show(
        comparison: Comparison | None,
        table: str,
        against: str,
        names: list[str],
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        """The chosen variants on the compared picture, and their recorded numbers."""
        if comparison is None:
            raise gr.Error("Compare something first: this tab looks at its picture.", print_exception=False)
        with errors_shown(), shared.turns.for_size(comparison.pixels):
            found = _found(comparison, table)
            if not found:
                text = f"No student of this table is trained at ×{comparison.scale} here."
                return [{"panes": []}, text, None, None]
            results, where = _results(comparison)
            printed = results.printed_set(table, comparison.scale, where)
            reference = _reference(comparison, found, against)
            picked = [v for v in found if v.row.label in names]
            needed = [v.name for v in picked] + ([reference] if reference != TRUTH else [])
            image = comparison.lr_image if comparison.hr_image is None else comparison.hr_image
            truth = comparison.hr_image is not None
            tell = shared.turns.between(lambda name, done, of: progress((done, of), desc=name, unit="models"))
            seen = compare(image, list(dict.fromkeys(needed)), comparison.scale, truth, tell)
            drawn = panes(seen, [v.name for v in picked], reference, _captions(seen, picked),
                          shared.turns.between(shared.pictures.group("variants").save))  # fmt: skip
        marked = {"panes": drawn, "reference": reference}
        text = f"Measured: mean PSNR-Y over {where}, ± standard deviation over seeds ({results.protocol})."
        if printed and printed != where:
            text += f" The paper prints this table for {printed}: compare differences."
        paper = students(results, table, comparison.scale, printed) if printed else []
        rows = _rows(seen, picked, {v.name: v.row for v in paper}, where, printed)
        return [marked, text, rows, gain_against_cost(found, comparison.scale, where)]

    def first(*arguments: Any) -> list[Any]:
        """The same, differences at first: students differ by less than the eye sees."""
        value, *rest = show(*arguments)
        return [value | {"view": {"layer": "difference"}}, *rest]

    def walk(comparison: Comparison | None, names: list[str], place: int) -> list[Any]:
        """The chosen students after so many steps of their training."""
        if comparison is None:
            raise gr.Error("Compare something first: this tab looks at its picture.", print_exception=False)
        ways = kept(comparison.scale)
        steps = _all_steps(ways)
        names = [name for name in names if name in ways]
        if not steps or not names:
            why = "No student was chosen." if steps else f"No student was kept on its way at ×{comparison.scale}."
            return [why, {"panes": []}, None]
        at = steps[min(int(place), len(steps) - 1)]
        with errors_shown(), shared.turns.for_size(comparison.pixels):
            save = shared.turns.between(shared.pictures.group("steps").save)
            drawn = training_panes(comparison, names, at, save, shared.turns.pass_on)
        value = {"panes": drawn, "reference": TRUTH if comparison.hr_image is not None else None, "columns": len(drawn)}
        return [f"After **{at:,}** steps of {steps[-1]:,}", value, training_curve(names, comparison.scale, at)]

    private = {"api_visibility": "private"}
    inputs, outputs = [shared.comparison, table, against, chosen], [viewer, note, numbers, cost]
    steps_in, steps_out = [shared.comparison, models, step], [which, way, curve]
    shown = {"show_progress_on": [viewer], **COMPUTING}
    news = shared.on_new_comparison(tab, "ablation-viewer")
    filled = news.change(fill, [shared.comparison, table], [chosen, models, step], show_progress="hidden", **private)
    filled.then(first, inputs, outputs, **shown, **private).then(
        walk, steps_in, steps_out, show_progress_on=[way], **private, **COMPUTING
    )
    table.input(_variants, [shared.comparison, table], chosen, show_progress="hidden", **private).then(
        show, inputs, outputs, **shown, **private
    )
    chosen.input(show, inputs, outputs, api_name="ablations", **shown)
    against.input(show, inputs, outputs, **shown, **private)
    models.input(walk, steps_in, steps_out, api_name="training_steps", show_progress="hidden", **COMPUTING)
    step.change(walk, steps_in, steps_out, show_progress="hidden", **private, **COMPUTING)


def _results(comparison: Comparison) -> tuple[Results, str]:
    results = load(SIZE)
    return results, results.default_set(comparison.scale)


def _found(comparison: Comparison, table: str) -> list[Variant]:
    results, where = _results(comparison)
    return students(results, table, comparison.scale, where) if comparison.scale in results.scales(table) else []


def _variants(comparison: Comparison | None, table: str) -> Any:
    if comparison is None:
        return gr.skip()
    found = _found(comparison, table)
    labels = [v.row.label for v in found]
    value = [label for label in labels if label in {*_FIRST, *losses()}] or labels[:6]
    return gr.CheckboxGroup([(v.title, v.row.label) for v in found], value=value)


def _all_steps(ways: dict[str, list[int]]) -> list[int]:
    return sorted({step for steps in ways.values() for step in steps})


def _reference(comparison: Comparison, found: list[Variant], against: str) -> str:
    """The picture to compare with; without ground truth, or where it is not trained, the first one there is."""
    if against == "ground truth" and comparison.hr_image is not None:
        return TRUTH
    if against == "MT":
        merged = [r.name for r in comparison.results if r.role == "aggregator"]
        if merged:
            return merged[0]
        gr.Warning("No aggregator is compared: check one in the Compare tab. MTKD is the reference now.")
    named = {v.row.label: v.name for v in found}
    return named.get("mtkd", found[0].name)


def _captions(seen: Comparison, picked: list[Variant]) -> dict[str, str]:
    quality = seen.captions()
    return quality | {v.name: f"{v.title} · {quality[v.name]}" for v in picked}


def _rows(
    seen: Comparison, picked: list[Variant], paper: dict[str, Row], where: str, printed: str | None
) -> dict[str, Any]:
    columns = ["variant", "this picture, dB", f"{where}, dB", "seeds", "over scratch, dB"]
    columns += [f"paper, {printed}, dB", "paper, over scratch, dB"] if printed else []
    data, texts = [], []
    for v in picked:
        own, row, theirs = seen[v.name].psnr, v.row, paper.get(v.name)
        over, spread = row.over, "" if row.spread is None else f" ± {row.spread:.3f}"
        values: list[Any] = [v.title, own, row.measured, row.seeds, over.mean if over else None]
        shown = [v.title, _text(own, ".2f"), _text(row.measured, ".3f") + spread, str(row.seeds), _text(values[4])]
        if over and over.spread is not None:
            shown[4] += f" ± {over.spread:.3f}"
        if printed:
            numbers = (theirs.printed, theirs.printed_over) if theirs else (None, None)
            values += numbers
            shown += [_text(numbers[0], ".2f"), _text(numbers[1], "+.2f")]
        data.append(values)
        texts.append(shown)
    return {"headers": columns, "data": data, "metadata": {"display_value": texts, "styling": None}}


def _text(value: float | None, form: str = "+.3f") -> str:
    return "–" if value is None else f"{value:{form}}"
