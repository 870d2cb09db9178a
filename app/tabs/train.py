"""Runs: start a training as a process of its own, watch it, stop it, go on, look at what it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore.evidence.curves import loss_figure, psnr_figure
from mtkd.home import home
from mtkd.images import read_image
from mtkd.training import jobs, run_state
from mtkd.training.measured import HELD_OUT_PSNR

from ..parts import training_api, training_form
from ..parts.messages import alert, live
from ..parts.training_form import TrainingForm
from ..parts.training_recipes import resolve
from ..parts.training_view import OFF, Seen, said, status, watch
from ..state import PRIVATE, QUIET, Shared, Tab

_LOG_LINES = 40


@dataclass(frozen=True, eq=False)
class Train:
    """The components of the list of runs, and of the chosen one; its methods answer their events.

    Attributes:
        spoken: what a screen reader says of the chosen run.
        message: what came of the button that was pressed last, where that is not seen elsewhere.
        seen: state: the :class:`Seen` that the page shows.
        confirm: asks whether the run is to be deleted.
    """

    shared: Shared
    form: TrainingForm
    nothing: gr.Markdown
    pick: gr.Radio
    detail: gr.Column
    status: gr.HTML
    spoken: gr.HTML
    message: gr.HTML
    stop: gr.Button
    resume: gr.Button
    show: gr.Button
    delete: gr.Button
    confirm: gr.Row
    yes: gr.Button
    no: gr.Button
    plot: gr.Plot
    losses: gr.Plot
    sample: gr.Image
    log: gr.Textbox
    recipe: gr.Code
    timer: gr.Timer
    seen: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All that an answer may change."""
        return [self.form.problem, self.nothing, self.pick, self.detail, self.status, self.spoken, self.message,
                self.stop, self.resume, self.show, self.delete, self.confirm, self.plot, self.losses, self.sample,
                self.log, self.recipe, self.timer, self.seen]  # fmt: skip

    def view(self, chosen: str | None, seen: Seen, is_open: bool = True) -> dict[Any, Any]:
        """All that differs from what the page shows, ``seen``; a view that is not open asks nothing any more."""
        if not is_open:
            return {self.timer: gr.Timer(active=False)}
        runs = run_state.runs()
        active = [run for run in runs if run.active]
        run = next((run for run in runs if run.name == chosen), next(iter([*active, *runs]), None))
        now = Seen.of(runs, run)
        changed: dict[Any, Any] = {self.timer: gr.Timer(active=bool(active)), self.seen: now}
        if now.chosen not in (chosen, None) or now.chosen != seen.chosen:
            changed[self.pick] = gr.Radio(now.runs, value=now.chosen, visible=bool(runs))
        elif now.runs != seen.runs:
            changed[self.pick] = gr.Radio(now.runs, visible=bool(runs))
        if run is None:
            return {**changed, self.nothing: gr.Markdown(visible=True), self.detail: gr.Column(visible=False)}
        return {**changed, **self._of_run(run, seen, now)}

    def tick(self, chosen: str | None, seen: Seen, is_open: bool) -> dict[Any, Any]:
        """The same, when time has passed; the timer goes on as it does while a run is active."""
        changed = self.view(chosen, seen, is_open)
        if changed[self.timer].active:
            del changed[self.timer]
        return changed

    def _of_run(self, run: run_state.Run, seen: Seen, now: Seen) -> dict[Any, Any]:
        changed: dict[Any, Any] = {self.status: status(run), self.spoken: said(run)}
        other = seen.chosen != now.chosen
        if other or now.state != seen.state:
            changed |= self._of_state(run)
        if other or now.rows != seen.rows:
            numbers = run_state.measured(run.folder)
            curves = numbers.curves()
            changed[self.plot] = gr.Plot(psnr_figure(curves.get(HELD_OUT_PSNR, ([], [])), run.iterations))
            changed[self.losses] = gr.Plot(loss_figure(curves, numbers.parts(), run.iterations))
        if other or now.sample != seen.sample:
            changed[self.sample] = self._sample(now.sample[0]) if now.sample else gr.Image(None, visible=False)
        if other or now.log != seen.log:
            changed[self.log] = "\n".join(now.log[-_LOG_LINES:])
        return changed

    def _of_state(self, run: run_state.Run) -> dict[Any, Any]:
        """What can be done with a run."""
        return {
            self.nothing: gr.Markdown(visible=False),
            self.detail: gr.Column(visible=True),
            self.confirm: gr.Row(visible=False),
            self.message: "",
            self.stop: gr.Button(interactive=run.active),
            self.resume: gr.Button(interactive=run.state in run_state.RESUMABLE),
            self.show: gr.Button(interactive=run.state == "finished"),
            self.delete: gr.Button(interactive=not run.active),
            self.recipe: run.recipe.dump() if run.recipe else "",
        }

    def _sample(self, path: Path) -> gr.Image:
        copy = self.shared.pictures.group("sample").write("sample", read_image(path))
        text = f"Step {int(path.stem):,}: LR image, SR image, ground truth"
        return gr.Image(str(copy), label=text, visible=True)

    def begin(self, seen: Seen, device: str, *values: Any) -> dict[Any, Any]:
        """Start the training that the form asks for."""
        try:
            run = jobs.start(resolve(*values), device)
        except UserError as error:
            return {self.form.problem: alert(error)}
        return {**self.view(run.name, seen), self.form.problem: ""}

    def _act(self, action: Callable[[str], object], name: str, seen: Seen) -> dict[Any, Any]:
        try:
            action(name)
        except UserError as error:
            return {**self.view(name, seen), self.message: alert(error)}
        return self.view(name, seen)

    def halt(self, name: str, seen: Seen) -> dict[Any, Any]:
        """Have the run saved and stopped."""
        return {self.message: "<p>Stopping: the run is saved after the current step.</p>",
                **self._act(jobs.stop, name, seen)}  # fmt: skip

    def go_on(self, name: str, seen: Seen) -> dict[Any, Any]:
        """Go on with a stopped or failed run."""
        return self._act(jobs.resume, name, seen)

    def ask(self) -> dict[Any, Any]:
        """Whether the run is to be deleted."""
        return {self.confirm: gr.Row(visible=True)}

    def keep(self) -> dict[Any, Any]:
        """It is not."""
        return {self.confirm: gr.Row(visible=False)}

    def remove(self, name: str, seen: Seen) -> dict[Any, Any]:
        """Move the run out of the list."""
        return self._act(jobs.delete, name, seen)

    def open_compare(self, name: str, now: int, checked: list[str]) -> dict[Any, Any]:
        """The Compare tab with what the run made."""
        run = run_state.find(name)
        assert run.recipe is not None  # it is finished
        return self.shared.open_in_compare(run.recipe.name, run.recipe.scale, now, checked)


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; where others may come, it only says why it is off."""
    if not shared.trusted:
        gr.Markdown(OFF)
        return
    connect(layout(shared), tab)
    training_api.connect()


def layout(shared: Shared) -> Train:
    """Lay out the view: the form left, the runs right."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=430, elem_id="train-form"):
            form = training_form.layout()
        with gr.Column(scale=1, min_width=320):
            nothing = gr.Markdown("There are no runs yet. Press **Start** to begin one.",
                                  elem_id="train-nothing")  # fmt: skip
            pick = gr.Radio([], label="Runs, newest first", visible=False, elem_id="train-runs")
            with gr.Column(visible=False) as detail:
                state = gr.HTML(elem_id="train-state")
                with gr.Row(elem_id="train-buttons"):
                    stop = gr.Button("Stop", elem_id="train-stop", size="sm")
                    resume = gr.Button("Resume", elem_id="train-resume", size="sm")
                    show = gr.Button("Open in Compare", variant="primary", elem_id="train-open", size="sm")
                    delete = gr.Button("Delete", elem_id="train-delete", size="sm")
                spoken, message = live("train-spoken"), live("train-message")
                with gr.Row(visible=False, elem_id="train-confirm") as confirm:
                    gr.Markdown(f"Its folder is moved to `{home() / 'deleted'}`.")
                    yes = gr.Button("Delete run", variant="stop", size="sm", elem_id="train-yes")
                    no = gr.Button("Keep run", size="sm")
                plot = gr.Plot(show_label=False, elem_id="train-plot", container=False)
                with gr.Accordion("Loss terms", open=False, elem_id="train-terms"):
                    losses = gr.Plot(show_label=False, elem_id="train-losses", container=False)
                sample = gr.Image(
                    format="png", interactive=False, label="Validation image", visible=False,
                    height=270, buttons=["download", "fullscreen"], elem_id="train-sample",
                )  # fmt: skip
                with gr.Accordion("Log", open=False):
                    log = gr.Textbox(label="Log", show_label=False, lines=8, max_lines=16, interactive=False,
                                     elem_id="train-log")  # fmt: skip
                with gr.Accordion("Config", open=False):
                    recipe = gr.Code(language="yaml", label="Config", show_label=False, interactive=False)
    return Train(
        shared, form, nothing, pick, detail, state, spoken, message, stop, resume, show, delete, confirm, yes, no, plot,
        losses, sample, log, recipe, gr.Timer(1.5, active=False), gr.State(Seen()),
    )  # fmt: skip


def connect(of: Train, tab: gr.Tab) -> None:
    """Connect the view's events."""
    shared, form, outputs = of.shared, of.form, of.outputs
    training_form.connect(form, tab)
    state, compared = [of.pick, of.seen], [shared.scale, shared.models]
    watch(shared, tab, of.timer, (of.view, of.tick), state, outputs, within="train-start")
    form.start.click(of.begin, [of.seen, form.device, *form.fields], outputs, show_progress_on=[form.start], **PRIVATE)
    of.pick.input(of.view, state, outputs, **QUIET)
    of.stop.click(of.halt, state, outputs, **QUIET)
    of.resume.click(of.go_on, state, outputs, show_progress_on=[of.resume], **PRIVATE)
    of.delete.click(of.ask, None, of.confirm, **QUIET)
    of.no.click(of.keep, None, of.confirm, **QUIET)
    deleted = of.yes.click(of.remove, state, outputs, **QUIET)
    deleted.success(shared.list_models, compared, shared.listed, **QUIET)
    of.show.click(of.open_compare, [of.pick, *compared], shared.opened, **PRIVATE)


TAB = Tab("Runs", order=90, build=build, within="Train")
