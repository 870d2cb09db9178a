"""The Train tab's form: a recipe of a plan, and what is to be different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.training.devices import devices

from ..state import QUIET, errors_shown, scale_choices
from . import plan_choice
from .plan_choice import PLAN
from .training_recipes import STAGES, TRIAL, held_out, prefilled, recipes, resolve, usual

_HELP = (
    "A training is a process of its own. It goes on when this page or the explorer is closed, and is found again here."
)


@dataclass(frozen=True, eq=False)
class TrainingForm:
    """Its components; its methods answer their events.

    Attributes:
        held_out: the images that measure.
        more: further keys of the recipe, one a line.
        problem: what is wrong with the form.
        resolved: the recipe that it makes.
    """

    stage: gr.Radio
    plan: gr.Radio
    recipe: gr.Dropdown
    scale: gr.Dropdown
    device: gr.Dropdown
    data: gr.Textbox
    name: gr.Textbox
    steps: gr.Number
    batch: gr.Number
    patch: gr.Number
    rate: gr.Number
    seed: gr.Number
    held_out: gr.Number
    problem: gr.Markdown
    start: gr.Button
    trial: gr.Button
    more: gr.Textbox
    resolved: gr.Code

    @property
    def fields(self) -> list[Any]:
        """The inputs of :func:`~mtkd_app.parts.training_recipes.resolve`, in the order of its arguments."""
        return [self.recipe, self.scale, self.name, self.data, self.held_out, self.steps, self.batch, self.patch,
                self.rate, self.seed, self.more]  # fmt: skip

    def choose(self, plan: str, stage: str, now: str | None) -> dict[Any, Any]:
        """The recipes of a plan and a stage."""
        with errors_shown():
            choices = recipes(plan, stage)
        names = [(choice.label, choice.name) for choice in choices]
        return {self.recipe: gr.Dropdown(names, value=usual(choices, now))}

    def fill(self, recipe: str | None, scale: int, data: str) -> dict[Any, Any]:
        """The fields as the recipe has them."""
        try:
            return self._with(prefilled(recipe, scale, data)) if recipe else {}
        except UserError:  # a name that was typed: `show` tells what is wrong with it
            return {}

    def fill_trial(self) -> dict[Any, Any]:
        """The fields of the trial."""
        names = [(choice.label, choice.name) for choice in recipes(PLAN, "student")]
        recipe = gr.Dropdown(names, value=TRIAL["recipe"])
        return {**self._with(TRIAL), self.stage: "student", self.plan: PLAN, self.recipe: recipe}

    def _with(self, values: dict[str, Any]) -> dict[Any, Any]:
        return {getattr(self, name): value for name, value in values.items()}

    def count_held_out(self, data: str) -> dict[Any, Any]:
        """As many as another folder has to spare."""
        return {self.held_out: held_out(data)}

    def show(self, *values: Any) -> dict[Any, Any]:
        """The recipe in full, or what is wrong with the form."""
        try:
            return {self.resolved: gr.Code(resolve(*values).dump(), visible=True), self.problem: ""}
        except UserError as error:
            return {self.resolved: gr.Code(visible=False), self.problem: f"Not yet: {error}"}


def layout() -> TrainingForm:
    """Lay out the form, filled in with the trial."""
    stage = gr.Radio(STAGES, value="student", label="Stage", elem_id="train-stage")
    plan = plan_choice.radio("train-plan")
    recipe = gr.Dropdown(
        [(choice.label, choice.name) for choice in recipes(PLAN, "student")], value=TRIAL["recipe"], label="Recipe",
        elem_id="train-recipe",
        allow_custom_value=True,  # Gradio refuses a recipe that was chosen just before its list was changed
    )  # fmt: skip
    with gr.Row():
        scale = gr.Dropdown(scale_choices((2, 3, 4)), value=TRIAL["scale"], label="Scale", min_width=100)
        device = gr.Dropdown(devices(), label="Device", elem_id="train-device", min_width=100)
    data = gr.Textbox(TRIAL["data"], label="Folder of training images (HR)", elem_id="train-data",
                      placeholder="empty: five bundled examples, enough to try it")  # fmt: skip
    name = gr.Textbox(TRIAL["name"], label="Name of the new model", elem_id="train-name")
    with gr.Row():
        steps = _number("steps", "Steps", minimum=1, elem_id="train-steps")
        batch = _number("batch", "Batch", minimum=1)
        patch = _number("patch", "LR patch", minimum=8)
    with gr.Row():
        rate = gr.Number(TRIAL["rate"], label="Learning rate", minimum=0, step=0.0001, min_width=100)
        seed = _number("seed", "Seed", minimum=0)
        images = _number("held_out", "Held out", minimum=1)
    problem = gr.Markdown(elem_id="train-problem")
    start = gr.Button("Start", variant="primary", elem_id="train-start")
    trial = gr.Button("Fill in the half-minute trial", size="sm", elem_id="train-trial")
    with gr.Accordion("More, and the recipe that this makes", open=False):
        more = gr.Textbox("", label="Other keys of the recipe, one key=value a line", lines=2, elem_id="train-more",
                          placeholder="ema=0.99\nmethod.options.alpha=0.3")  # fmt: skip
        resolved = gr.Code(resolve(**TRIAL).dump(), language="yaml", label="Recipe", interactive=False,
                           elem_id="train-resolved", max_lines=24)  # fmt: skip
    gr.Markdown(_HELP, elem_classes="help")
    return TrainingForm(
        stage, plan, recipe, scale, device, data, name, steps, batch, patch, rate, seed, images, problem, start, trial,
        more, resolved,
    )  # fmt: skip


def _number(field: str, label: str, minimum: int, elem_id: str | None = None) -> gr.Number:
    return gr.Number(TRIAL[field], label=label, minimum=minimum, elem_id=elem_id, precision=0, min_width=100)


def connect(form: TrainingForm, tab: gr.Tab) -> None:
    """Connect what starts nothing."""
    plan_choice.connect(tab, form.plan)
    base = [form.recipe, form.scale, form.data]
    chosen = gr.on([form.plan.input, form.stage.input], form.choose, [form.plan, form.stage, form.recipe], form.recipe,
                   **QUIET)  # fmt: skip
    chosen.then(form.fill, base, form.fields, **QUIET)
    gr.on([form.recipe.input, form.scale.input], form.fill, base, form.fields, **QUIET)
    form.trial.click(form.fill_trial, None, [*form.fields, form.stage, form.plan], **QUIET)
    form.data.change(form.count_held_out, form.data, form.held_out, **QUIET)
    gr.on([field.change for field in form.fields], form.show, form.fields, [form.resolved, form.problem], **QUIET)
