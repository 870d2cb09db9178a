"""Students on their way: a training step by step, on the compared picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd import zoo
from mtkd.explore import Comparison
from mtkd.explore.comparison.core import TRUTH
from mtkd.explore.evidence.ablations import kept, training_curve, training_panes

from ..server.queue import COMPUTING
from ..state import PRIVATE, QUIET, Shared, errors_shown
from . import plan_choice, viewer_part
from .messages import errors_in, no_comparison
from .picture import models_folder

_EMPTY = "The students on their way appear here when the comparison is done."
_INTRO = """**Training progress.** All panes show the chosen step. A student without a checkpoint there is shown at
the last step before it."""


@dataclass(frozen=True, eq=False)
class TrainingSteps:
    """The components of the part; its methods answer their events.

    Attributes:
        models, step: which students, and where on their way.
        program: hidden: for programs.
    """

    shared: Shared
    models: gr.CheckboxGroup
    step: gr.Radio
    which: gr.Markdown
    viewer: gr.HTML
    curve: gr.Plot
    program: gr.Button

    @property
    def choices(self) -> list[Any]:
        """What :meth:`fill` changes."""
        return [self.models, self.step]

    def fill(self, comparison: Comparison, plan: str) -> dict[Any, Any]:
        """The students that were kept on their way."""
        sources = plan_choice.models_folder(plan)
        with errors_shown(models_folder()):
            ways = kept(comparison.scale, sources)
            titles = {name: zoo.find(name, comparison.scale, sources).title for name in ways}
        steps = _all_steps(ways)
        choices = [(title, name) for name, title in titles.items()]
        middle = steps[len(steps) // 2] if steps else None
        return {
            self.models: gr.CheckboxGroup(choices, value=list(ways)[:3], visible=bool(ways)),
            self.step: gr.Radio(_step_choices(steps), value=middle, visible=bool(steps)),
        }

    def walk(self, comparison: Comparison | None, names: list[str], step: int | None, plan: str) -> dict[Any, Any]:
        """The chosen students after so many steps of their training."""
        if comparison is None:
            raise no_comparison()
        sources = plan_choice.models_folder(plan)
        with errors_shown(models_folder()):
            ways = kept(comparison.scale, sources)
        steps = _all_steps(ways)
        names = [name for name in names if name in ways]
        if not steps or not names:
            none = f"No student has checkpoints of its training at ×{comparison.scale}. Choose another scale."
            why = "Choose a student." if steps else none
            return {self.which: why, self.viewer: {"panes": []}, self.curve: None}
        at, turns = step or steps[-1], self.shared.turns
        with errors_shown(models_folder()), turns.for_size(comparison.pixels):
            save = turns.between(self.shared.pictures.group("steps").save)
            drawn = training_panes(comparison, names, at, save, turns.pass_on, sources)
        reference = TRUTH if comparison.hr_image is not None else None
        return {
            self.which: f"After **{at:,}** steps of {steps[-1]:,}",
            self.viewer: {"panes": drawn, "reference": reference, "columns": len(drawn)},
            self.curve: training_curve(names, comparison.scale, at, sources),
        }


def layout(shared: Shared) -> TrainingSteps:
    """Lay out the part: which students and where on their way, the pictures, the curve."""
    with gr.Column(elem_id="ablation-steps", elem_classes="figures"):
        gr.Markdown(_INTRO, elem_classes="help")
        with gr.Row():
            # All that there are, for programs; a page is shown those that can be looked at.
            ways = {scale: kept(scale) for scale in (2, 3, 4)}
            all_kept = sorted({name for by_name in ways.values() for name in by_name})
            models = gr.CheckboxGroup(all_kept, label="Students", scale=2, elem_id="step-models", visible=False)
            steps = sorted({step for by_name in ways.values() for step in _all_steps(by_name)})
            step = gr.Radio(_step_choices(steps), label="Checkpoint (step)", scale=3, elem_id="step-choice",
                            visible=False)  # fmt: skip
        which = gr.Markdown(elem_id="step-which")
        viewer = viewer_part.layout("step-viewer", {"empty": _EMPTY})
        curve = gr.Plot(show_label=False, elem_id="step-curve")
    return TrainingSteps(shared, models, step, which, viewer, curve, gr.Button(visible=False))


def connect(of: TrainingSteps, plan: gr.Dropdown) -> Callable[[Any], None]:
    """Connect the part's events; to call: have the pictures follow another event."""
    inputs = [of.shared.comparison, of.models, of.step, plan]
    outputs = [of.which, of.viewer, of.curve]

    def failed(message: str) -> dict[Any, Any]:
        return {of.viewer: viewer_part.failed(message)}

    walk = errors_in(of.walk, failed)
    for control in (of.models, of.step):
        control.input(walk, inputs, outputs, **QUIET, **COMPUTING)
    of.program.click(of.walk, inputs, outputs, api_name="training_steps", **COMPUTING)

    def follow(event: Any) -> None:
        event.then(walk, inputs, outputs, show_progress_on=[of.viewer], **PRIVATE, **COMPUTING)

    return follow


def _all_steps(ways: Mapping[str, Sequence[int]]) -> list[int]:
    return sorted({step for steps in ways.values() for step in steps})


def _step_choices(steps: Sequence[int]) -> list[tuple[str, int]]:
    return [(f"{step:,}", step) for step in steps]
