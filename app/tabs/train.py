"""The Train tab: start a training as a process of its own, watch it, stop it, go on, look at what it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.explore.evidence.curves import training_figure
from mtkd.home import home
from mtkd.images import read_image
from mtkd.training import jobs, run_state

from ..parts import training_api, training_form
from ..parts.training_form import TrainingForm
from ..parts.training_recipes import resolve
from ..parts.training_view import Seen, status
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown

_OFF = (
    "Training starts programs on the explorer's computer, so it is on only where that serves itself alone: "
    "`mtkd demo` without `--host` or `--share` (or with `--trust`, where all who come may do so)."
)
_LOG_LINES = 40
_COMPARE = "() => { document.querySelector('#go')?.click(); window.scrollTo(0, 0); }"


@dataclass(frozen=True, eq=False)
class Train:
    """The components of the list of runs, and of the chosen one; its methods answer their events.

    Attributes:
        seen: state: the :class:`Seen` that the page shows.
        confirm: asks whether the run is to be deleted.
    """

    shared: Shared
    tab: gr.Tab
    form: TrainingForm
    nothing: gr.Markdown
    pick: gr.Radio
    detail: gr.Column
    status: gr.HTML
    stop: gr.Button
    resume: gr.Button
    show: gr.Button
    delete: gr.Button
    confirm: gr.Row
    yes: gr.Button
    no: gr.Button
    plot: gr.Plot
    sample: gr.Image
    log: gr.Textbox
    recipe: gr.Code
    timer: gr.Timer
    seen: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All that an answer may change."""
        return [self.nothing, self.pick, self.detail, self.status, self.stop, self.resume, self.show, self.delete,
                self.confirm, self.plot, self.sample, self.log, self.recipe, self.timer, self.seen]  # fmt: skip

    def view(self, chosen: str | None, seen: Seen) -> dict[Any, Any]:
        """All that differs from what the page shows, ``seen``."""
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

    def tick(self, chosen: str | None, seen: Seen) -> dict[Any, Any]:
        """The same, when time has passed; the timer goes on as it does while a run is active."""
        changed = self.view(chosen, seen)
        if changed[self.timer].active:
            del changed[self.timer]
        return changed

    def _of_run(self, run: run_state.Run, seen: Seen, now: Seen) -> dict[Any, Any]:
        changed: dict[Any, Any] = {self.status: status(run)}
        other = seen.chosen != now.chosen
        if other or now.state != seen.state:
            changed |= self._of_state(run)
        if other or now.rows != seen.rows:
            numbers = run_state.measured(run.folder)
            figure = training_figure(numbers.curves(), numbers.parts(), run.iterations) if now.rows else None
            changed[self.plot] = gr.Plot(figure, visible=figure is not None)
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
            self.stop: gr.Button(interactive=run.active),
            self.resume: gr.Button(interactive=run.state in run_state.RESUMABLE),
            self.show: gr.Button(interactive=run.state == "finished"),
            self.delete: gr.Button(interactive=not run.active),
            self.recipe: run.recipe.dump() if run.recipe else "",
        }

    def _sample(self, path: Path) -> gr.Image:
        copy = self.shared.pictures.group("sample").write("sample", read_image(path))
        text = f"Held-out image after step {int(path.stem):,}: LR, output, ground truth"
        return gr.Image(str(copy), label=text, visible=True)

    def begin(self, seen: Seen, device: str, *values: Any) -> dict[Any, Any]:
        """Start the training that the form asks for."""
        with errors_shown():
            run = jobs.start(resolve(*values), device)
        return self.view(run.name, seen)

    def _act(self, action: Callable[[str], object], name: str, seen: Seen) -> dict[Any, Any]:
        with errors_shown():
            action(name)
        return self.view(name, seen)

    def halt(self, name: str, seen: Seen) -> dict[Any, Any]:
        """Have the run saved and stopped."""
        changed = self._act(jobs.stop, name, seen)
        gr.Info("It saves after the step that it is at, and ends.", duration=4)
        return changed

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
        with errors_shown():
            run = run_state.find(name)
        assert run.recipe is not None  # it is finished
        return self.shared.open_in_compare(run.recipe.name, run.recipe.scale, now, checked)

    def leave(self, event: gr.SelectData) -> dict[Any, Any]:
        """Another tab is opened: this one asks nothing any more."""
        return {self.timer: gr.skip() if event.value == self.tab.label else gr.Timer(active=False)}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; where others may come, it only says why it is off."""
    if not shared.trusted:
        gr.Markdown(_OFF)
        return
    connect(layout(shared, tab))
    training_api.connect()


def layout(shared: Shared, tab: gr.Tab) -> Train:
    """Lay out the tab: the form left, the runs right."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=400, elem_id="train-form"):
            form = training_form.layout()
        with gr.Column(scale=1, min_width=560):
            nothing = gr.Markdown("No run yet. **Start** begins the one that the form describes.",
                                  elem_id="train-nothing")  # fmt: skip
            pick = gr.Radio([], label="Runs, newest first", visible=False, elem_id="train-runs")
            with gr.Column(visible=False) as detail:
                state = gr.HTML(elem_id="train-state")
                with gr.Row(elem_id="train-buttons"):
                    stop = gr.Button("Stop", elem_id="train-stop", size="sm")
                    resume = gr.Button("Resume", elem_id="train-resume", size="sm")
                    show = gr.Button("Open in Compare", variant="primary", elem_id="train-open", size="sm")
                    delete = gr.Button("Delete", elem_id="train-delete", size="sm")
                with gr.Row(visible=False, elem_id="train-confirm") as confirm:
                    gr.Markdown(f"Its folder goes to `{home() / 'deleted'}`, from where it can be taken back.")
                    yes = gr.Button("Delete it", variant="stop", size="sm", elem_id="train-yes")
                    no = gr.Button("Keep it", size="sm")
                plot = gr.Plot(show_label=False, elem_id="train-plot", container=False)
                sample = gr.Image(
                    format="png", interactive=False, label="Newest sample of a held-out image", visible=False,
                    height=270, buttons=["download", "fullscreen"], elem_id="train-sample",
                )  # fmt: skip
                with gr.Accordion("What the process says", open=False):
                    log = gr.Textbox(show_label=False, lines=8, max_lines=16, interactive=False, elem_id="train-log")
                with gr.Accordion("Its recipe", open=False):
                    recipe = gr.Code(language="yaml", show_label=False, interactive=False)
    return Train(
        shared, tab, form, nothing, pick, detail, state, stop, resume, show, delete, confirm, yes, no, plot, sample,
        log, recipe, gr.Timer(1.5, active=False), gr.State(Seen()),
    )  # fmt: skip


def connect(of: Train) -> None:
    """Connect the tab's events."""
    shared, form, outputs = of.shared, of.form, of.outputs
    training_form.connect(form, of.tab)
    state, compared = [of.pick, of.seen], [shared.scale, shared.models]
    form.start.click(of.begin, [of.seen, form.device, *form.fields], outputs, show_progress_on=[form.start], **PRIVATE)
    gr.on([of.tab.select, of.pick.input], of.view, state, outputs, **QUIET)
    of.timer.tick(of.tick, state, outputs, **QUIET)
    shared.tabs.select(of.leave, None, of.timer, **QUIET)
    of.stop.click(of.halt, state, outputs, **QUIET)
    of.resume.click(of.go_on, state, outputs, show_progress_on=[of.resume], **PRIVATE)
    of.delete.click(of.ask, None, of.confirm, **QUIET)
    of.no.click(of.keep, None, of.confirm, **QUIET)
    deleted = of.yes.click(of.remove, state, outputs, **QUIET)
    deleted.success(shared.list_models, compared, shared.models, **QUIET)
    opened = of.show.click(of.open_compare, [of.pick, *compared], [*compared, shared.tabs], **PRIVATE)
    opened.success(None, js=_COMPARE)


TAB = Tab("Train", order=70, build=build)
