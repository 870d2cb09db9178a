"""The quick demo: one button goes on from a snapshot of a student's training, and shows what the steps add."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore.evidence.curves import psnr_figure
from mtkd.images import UInt8Image, read_image
from mtkd.numbers import signed
from mtkd.training import jobs, run_state
from mtkd.training.measured import HELD_OUT_PSNR
from mtkd.training.run_state import Run

from ..parts import demo_run
from ..parts.messages import alert, live
from ..parts.training_view import OFF, bar, duration, said, watch
from ..state import PRIVATE, QUIET, Shared, Tab

_INTRO = """\
### Watch a student learn from the combined teacher

A small RCAN student learns from the combined teacher (MT) for {steps} steps. It begins with a snapshot: the MTKD \
student after {snapshot} of its 10,000 steps, still worse than bicubic.

Trained on {images} example pictures. The portrait is held out: every number here is measured on it alone.
"""
_NOTE = (
    "This shows that the training works. It does not show that the teacher helps: no student alone is trained beside "
    "it, and it is one picture and one seed. Whether distillation helps is in Evidence."
)


@dataclass(frozen=True)
class Shown:
    """What the page shows of the newest run; only what differs from it is sent."""

    run: str | None = None
    state: str | None = None
    sample: str | None = None
    drawn: bool = False

    @classmethod
    def of(cls, run: Run | None, sample: Path | None) -> Shown:
        """The newest run as it is now."""
        return cls(run.name if run else None, run.state if run else None, sample.stem if sample else None, True)


@dataclass(frozen=True, eq=False)
class QuickDemo:
    """The components; the methods answer their events.

    Attributes:
        spoken: what a screen reader says of the progress.
        shown: state: the :class:`Shown` that the page shows.
    """

    shared: Shared
    start: gr.Button
    cancel: gr.Button
    status: gr.HTML
    spoken: gr.HTML
    show: gr.Button
    plot: gr.Plot
    pictures: gr.HTML
    timer: gr.Timer
    shown: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All that an answer may change."""
        return [self.start, self.cancel, self.status, self.spoken, self.show, self.plot, self.pictures, self.timer,
                self.shown]  # fmt: skip

    def view(self, shown: Shown, seen: bool) -> dict[Any, Any]:
        """All that differs from what the page shows; nothing where the view is not open (``seen``)."""
        if not seen:
            return {self.timer: gr.Timer(active=False)}
        run = demo_run.latest()
        active = bool(run and run.active)
        changed: dict[Any, Any] = {self.status: _status(run), self.spoken: said(run)}
        sample = run_state.newest_sample(run.folder) if run else None
        now = Shown.of(run, sample)
        if (now.run, now.state, now.drawn) != (shown.run, shown.state, shown.drawn):
            changed |= {
                self.timer: gr.Timer(active=active),
                self.start: gr.Button("Train again" if run else "Train a student", interactive=not active),
                self.cancel: gr.Button(visible=active),
                self.show: gr.Button(visible=now.state == "finished"),
            }
        if (now.run, now.sample, now.drawn) != (shown.run, shown.sample, shown.drawn):
            changed[self.plot] = self._plot(run)
            changed[self.pictures] = self._pictures(run, read_image(sample) if sample else None)
        return {**changed, self.shown: now}

    def _plot(self, run: Run | None) -> gr.Plot:
        curves = run_state.measured(run.folder).curves() if run else {}
        steps, values = curves.get(HELD_OUT_PSNR, ([], []))
        begin = demo_run.references()[demo_run.SNAPSHOT].psnr or 0
        curve = ([0, *steps], [begin, *values]) if run else ([], [])
        return gr.Plot(psnr_figure(curve, demo_run.STEPS, demo_run.levels()))

    def _pictures(self, run: Run | None, sample: UInt8Image | None) -> str:
        """Snapshot, this run and the ground truth; a ``sample`` holds LR image, output and ground truth."""
        known, group = demo_run.references(), self.shared.pictures.group("quick demo")
        assert known.hr_image is not None
        before = known[demo_run.SNAPSHOT]
        entries: list[tuple[str, str, UInt8Image | None]] = [
            ("Snapshot", f"{before.psnr:.2f} dB", before.image),
            ("This run", f"{run.psnr:.2f} dB" if run and run.psnr else "", _middle(sample)),
            ("Ground truth", "", known.hr_image),
        ]
        figures = []
        for name, value, image in entries:
            picture = "<span>Not trained yet</span>"
            if image is not None:
                address = group.save(name, demo_run.detail(image))
                picture = f'<img src="{html.escape(address)}" alt="{name}: detail of the portrait">'
            figures.append(f"<figure>{picture}<figcaption><b>{name}</b> {value}</figcaption></figure>")
        return f'<div class="demo-pictures">{"".join(figures)}</div>'

    def begin(self, shown: Shown) -> Iterator[dict[Any, Any]]:
        """Start the training; that it starts is said at once."""
        yield {self.start: gr.Button(interactive=False), self.status: bar(0, "Starting")}
        try:
            demo_run.start()
        except UserError as error:
            yield {self.start: gr.Button(interactive=True), self.status: alert(error)}
            return
        yield self.view(shown, True)

    def halt(self, shown: Shown) -> dict[Any, Any]:
        """Have the run stopped; it stays under Runs."""
        try:
            jobs.stop(shown.run or "")
        except UserError as error:  # it has ended meanwhile
            return {**self.view(shown, True), self.status: alert(error)}
        return {self.cancel: gr.Button(visible=False), self.status: bar(0, "Cancelling")}

    def open_compare(self, shown: Shown, now: int, checked: list[str]) -> dict[Any, Any]:
        """The Compare tab with the result."""
        run = run_state.find(shown.run or "")
        assert run.recipe is not None  # it is finished
        return self.shared.open_in_compare(run.recipe.name, run.recipe.scale, now, checked)


def _middle(sample: UInt8Image | None) -> UInt8Image | None:
    """The network's output of a sample."""
    return None if sample is None else sample[:, sample.shape[1] // 3 : 2 * sample.shape[1] // 3]


def _status(run: Run | None) -> str:
    """How far the run is, or what it has reached."""
    if run is None:
        return ""
    if run.active:
        step = f"Step {run.iteration} of {run.iterations}" if run.iteration else f"Preparing: {run.note or 'images'}"
        left = f"about {duration(run.seconds_left)} left" if run.seconds_left else ""
        return bar(run.iteration / run.iterations, step, left)
    if run.state == "finished" and run.psnr is not None:
        return _result(run.psnr, run.seconds or 0)
    if run.state == "stopped":
        return f"<p>Cancelled at step {run.iteration}. The run is kept under Runs, where it can be resumed.</p>"
    return alert(f"{run.note or f'The run is {run.state}.'} Its log is under Runs.")


def _result(psnr: float, seconds: float) -> str:
    bicubic, snapshot, alone, teacher = demo_run.levels().values()
    return (
        f'<p class="demo-result"><b>{psnr:.2f} dB</b> after {demo_run.STEPS} steps in {duration(seconds)}: '
        f"{signed(psnr - snapshot)} dB over the snapshot, {signed(psnr - bicubic)} dB over bicubic.</p>"
        f"<p>Fully trained, the student alone reaches {alone:.2f} dB; the combined teacher {teacher:.2f} dB.</p>"
    )


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the view and connect it; where others may come, it only says why it is off."""
    if shared.trusted:
        connect(layout(shared), tab)
    else:
        gr.Markdown(OFF)


def layout(shared: Shared) -> QuickDemo:
    """Lay out the view: what it does and the button left, plot and pictures right."""
    intro = _INTRO.format(
        steps=demo_run.STEPS, snapshot=demo_run.SNAPSHOT.rpartition("@")[2], images=demo_run.trained_on()
    )
    with gr.Row(equal_height=False, elem_id="demo"):
        with gr.Column(scale=0, min_width=320, elem_id="demo-left"):
            gr.Markdown(intro)
            with gr.Row():
                start = gr.Button("Train a student", variant="primary", elem_id="demo-start")
                cancel = gr.Button("Cancel", visible=False, elem_id="demo-cancel")
            status = gr.HTML("", elem_id="demo-status", apply_default_css=False)
            spoken = live("demo-spoken")
            show = gr.Button("Open in Compare", visible=False, elem_id="demo-open")
            gr.Markdown(_NOTE, elem_classes="help")
        with gr.Column(scale=1, min_width=320):
            plot = gr.Plot(show_label=False, container=False, elem_id="demo-plot")
            pictures = gr.HTML("", elem_id="demo-pictures", apply_default_css=False)
    return QuickDemo(
        shared, start, cancel, status, spoken, show, plot, pictures, gr.Timer(0.5, active=False), gr.State(Shown())
    )


def connect(of: QuickDemo, tab: gr.Tab) -> None:
    """Connect the view's events."""
    shared, compared = of.shared, [of.shared.scale, of.shared.models]
    watch(shared, tab, of.timer, (of.view, of.view), [of.shown], of.outputs, within="demo-start")
    of.start.click(of.begin, of.shown, of.outputs, **QUIET)
    of.cancel.click(of.halt, of.shown, of.outputs, **QUIET)
    of.show.click(of.open_compare, [of.shown, *compared], shared.opened, **PRIVATE)


TAB = Tab("Quick demo", order=80, build=build, within="Train")
