"""The Framework view: Fig. 1 with the images, features and losses of the picture that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.explore import Comparison
from mtkd.explore.inside.framework import Place, Step, busiest_window, run, steps, window_step
from mtkd.explore.inside.trace import Windows

from ..parts.diagram import drawing
from ..parts.messages import alert, errors_in, notice, telling
from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..state import PRIVATE, QUIET, Shared, Tab, errors_shown

_SCRIPT = (Path(__file__).parents[1] / "assets" / "framework.js").read_text(encoding="utf-8")
_WAIT = '<p class="fw-wait">The framework appears here when the comparison is done.</p>'
_ABOUT = """Fig. 1 of the paper with the picture and the models that are compared. Select a box, or go to it with Tab
and press Enter, to see what it holds; Escape closes it. Play walks through both stages."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows of one comparison, and what another window needs.

    Attributes:
        of: the comparison; ``part`` what is shown of it.
        windows: None where there is no aggregator.
        addresses: of each step's pictures, by its id.
    """

    of: Comparison
    part: Comparison
    windows: Windows | None
    place: Place
    steps: Sequence[Step]
    addresses: Mapping[str, Sequence[str]]

    def value(self) -> dict[str, Any]:
        """What the script draws, and the steps without pictures, for programs."""
        return {
            "html": drawing(self.steps, self.addresses),
            "windows": self._windows(),
            "steps": [_plain(step) for step in self.steps],
        }

    def _windows(self) -> dict[str, Any] | None:
        """Where the window is, and how many windows (the last one may be cut) the picture has across and down."""
        if self.windows is None:
            return None
        height, width = self.part.lr_image.shape[:2]
        size, (row, column) = self.windows.size, self.place
        return {"row": row, "column": column, "down": height / size, "across": width / size}


def _plain(step: Step) -> dict[str, Any]:
    names = ("id", "title", "where", "equation", "shape", "text", "missing")
    total = step.total[1] if step.total else None
    return {name: getattr(step, name) for name in names} | {"numbers": dict(step.numbers), "total": total}


def _saved(step: Step, group: PictureGroup) -> list[str]:
    """The addresses of a step's pictures."""
    return [group.save(f"{step.id}-{number}", picture.image) for number, picture in enumerate(step.pictures)]


@dataclass(frozen=True, eq=False)
class Framework:
    """The components of the view; its methods answer their events.

    Attributes:
        shown: state: what ``view`` shows, a :class:`Shown`, or None.
        note: under the diagram: why another window could not be shown.
    """

    shared: Shared
    view: gr.HTML
    shown: gr.State
    note: gr.HTML

    def show(
        self,
        comparison: Comparison | None,
        before: Shown | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        """The steps of the framework for the image compared last: shapes, texts, numbers."""
        if comparison is None or (before and before.of is comparison):
            return {self.view: gr.skip()}
        turns, tell = self.shared.turns, telling(progress, comparison.scale)
        with errors_shown(), turns:
            outcome = run(comparison, turns.between(tell))
        windows = outcome.trace.windows if outcome.trace else None
        place = busiest_window(outcome.comparison, windows.size) if windows else (0, 0)
        found, group = steps(outcome, place), self.shared.pictures.group("framework")
        addresses = {step.id: _saved(step, group) for step in found}
        return self._showing(Shown(comparison, outcome.comparison, windows, place, found, addresses))

    def choose(self, before: Shown | None, event: gr.EventData) -> dict[Any, Any]:
        """Another window of the deep features."""
        if before is None or before.windows is None:
            return {self.view: gr.skip()}
        place = (int(event.row), int(event.column))
        with errors_shown():
            chosen = window_step(before.part, before.windows, place)
        addresses = {**before.addresses, chosen.id: _saved(chosen, self.shared.pictures.group("window"))}
        with_it = [chosen if chosen.id == step.id else step for step in before.steps]
        return self._showing(replace(before, place=place, steps=with_it, addresses=addresses))

    def _showing(self, shown: Shown) -> dict[Any, Any]:
        return {self.view: shown.value(), self.shown: shown, self.note: notice("")}


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; it is computed when it is opened and the comparison is a new one."""
    connect(layout(shared), tab)


def layout(shared: Shared) -> Framework:
    """Lay out the view: the diagram."""
    view = gr.HTML(
        {"html": _WAIT},
        html_template='<div class="fw"></div>',
        js_on_load=_SCRIPT,
        apply_default_css=False,
        min_height=300,
        elem_id="framework",
    )
    note = gr.HTML(visible=False, apply_default_css=False)
    with gr.Accordion("About this view", open=False):
        gr.Markdown(_ABOUT, elem_classes="help")
    return Framework(shared, view, gr.State(None), note)


def connect(of: Framework, tab: gr.Tab) -> None:
    """Connect the tab's events."""
    results = [of.view, of.shown, of.note]
    news = of.shared.on_new_comparison(tab, "framework")
    inputs = [of.shared.comparison, of.shown]
    show = errors_in(of.show, lambda message: {of.view: {"html": alert(message)}})
    news.change(show, inputs, results, show_progress_on=[of.view], **PRIVATE, **COMPUTING)
    gr.Button(visible=False).click(of.show, inputs, results, api_name="framework", **COMPUTING)
    choose = errors_in(of.choose, lambda message: {of.note: notice(message)})
    of.view.select(choose, of.shown, results, **QUIET)


TAB = Tab("Framework", order=20, build=build, within="How it works")
