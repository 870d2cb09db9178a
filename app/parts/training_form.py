"""The form of Runs: a recipe of a plan, and what is to be different."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.training.devices import devices

from ..state import QUIET, errors_shown, scale_choices
from . import plan_choice
from .messages import alert, errors_in
from .plan_choice import PLAN
from .training_recipes import STAGES, USUAL, held_out, prefilled, recipes, resolve, usual

_HELP = "A run goes on when this page or the explorer is closed."
_NO_FOLDER = "Empty: the bundled example pictures"


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
    plan: gr.Dropdown
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
    problem: gr.HTML
    start: gr.Button
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
            return self._with(prefilled(recipe, scale, data)) if recipe else {self.name: gr.skip()}
        except UserError:  # a name that was typed: `show` tells what is wrong with it
            return {self.name: gr.skip()}

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
            text = html.escape(f"Not yet: {error}", quote=False)
            return {self.resolved: gr.Code(visible=False), self.problem: f'<p class="train-problem">{text}</p>'}


def layout() -> TrainingForm:
    """Lay out the form, filled in with the usual recipe; what few people change is folded away."""
    filled = prefilled(USUAL, 4)
    choices = [(choice.label, choice.name) for choice in recipes(PLAN, "student")]
    stage = gr.Radio(STAGES, value="student", label="Network", elem_id="train-stage")
    with gr.Row():
        plan = plan_choice.layout("train-plan", min_width=105, measured=False)
        recipe = gr.Dropdown(
            choices, value=USUAL, label="Recipe", elem_id="train-recipe", scale=3, min_width=180,
            allow_custom_value=True,  # Gradio refuses a recipe that was chosen just before its list was changed
        )  # fmt: skip
        scale = gr.Dropdown(scale_choices((2, 3, 4)), value=4, label="Scale", min_width=90)
    data = gr.Textbox(filled["data"], label="Folder of training images (HR)", elem_id="train-data",
                      placeholder=_NO_FOLDER)  # fmt: skip
    with gr.Row():
        name = gr.Textbox(filled["name"], label="Model name", elem_id="train-name", scale=3, min_width=180)
        steps = gr.Number(filled["steps"], label="Steps", minimum=1, precision=0, min_width=110, elem_id="train-steps")
    start = gr.Button("Start", variant="primary", elem_id="train-start")
    problem = gr.HTML("", elem_id="train-problem", apply_default_css=False)
    gr.Markdown(_HELP, elem_classes="help")
    with gr.Accordion("Advanced and full config", open=False, elem_id="train-advanced"):
        with gr.Row():
            device = gr.Dropdown(devices(), label="Device", elem_id="train-device", min_width=100)
            images = _number(filled, "held_out", "Validation images", minimum=1)
        with gr.Row():
            batch = _number(filled, "batch", "Batch", minimum=1)
            patch = _number(filled, "patch", "LR patch", minimum=8)
        with gr.Row():
            rate = gr.Number(filled["rate"], label="Learning rate", minimum=0, step=0.0001, min_width=100)
            seed = _number(filled, "seed", "Seed", minimum=0)
        more = gr.Textbox("", label="Other keys, one key=value a line", lines=2, elem_id="train-more",
                          placeholder="ema=0.99\nmethod.options.alpha=0.3")  # fmt: skip
        config = resolve(USUAL, 4, **filled, more="").dump()
        resolved = gr.Code(config, language="yaml", label="Config", interactive=False, elem_id="train-resolved",
                           max_lines=24)  # fmt: skip
    return TrainingForm(
        stage, plan, recipe, scale, device, data, name, steps, batch, patch, rate, seed, images, problem, start, more,
        resolved,
    )  # fmt: skip


def _number(filled: dict[str, Any], field: str, label: str, minimum: int) -> gr.Number:
    return gr.Number(filled[field], label=label, minimum=minimum, precision=0, min_width=100)


def connect(form: TrainingForm, tab: gr.Tab) -> None:
    """Connect what starts nothing."""
    plan_choice.connect(tab, form.plan, measured=False)
    base = [form.recipe, form.scale, form.data]
    choose = errors_in(form.choose, lambda message: {form.problem: alert(message)})
    chosen = gr.on([form.plan.input, form.stage.input], choose, [form.plan, form.stage, form.recipe],
                   [form.recipe, form.problem], **QUIET)  # fmt: skip
    chosen.then(form.fill, base, form.fields, **QUIET)
    gr.on([form.recipe.input, form.scale.input], form.fill, base, form.fields, **QUIET)
    form.data.change(form.count_held_out, form.data, form.held_out, **QUIET)
    gr.on([field.change for field in form.fields], form.show, form.fields, [form.resolved, form.problem], **QUIET)
