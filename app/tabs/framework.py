"""The framework tab: Fig. 1 with the images, features and losses of the picture that is compared."""

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
from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..state import Shared, errors_shown

_SCRIPT = (Path(__file__).parents[1] / "assets" / "framework.js").read_text(encoding="utf-8")
_WAIT = '<p class="fw-wait">The first comparison is still running; the framework appears when it is done.</p>'


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


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab; it is computed when it is opened and the comparison is a new one."""
    gr.Markdown(
        "Fig. 1 of the paper with the picture of the Compare tab. Click a box, or go to it with Tab and press Enter, "
        "to see what it holds.",
        elem_classes="help",
    )
    view = gr.HTML(
        {"html": _WAIT},
        html_template='<div class="fw"></div>',
        js_on_load=_SCRIPT,
        apply_default_css=False,
        min_height=300,
        elem_id="framework",
    )
    shown = gr.State(None)

    def save(step: Step, group: PictureGroup) -> list[str]:
        return [group.save(f"{step.id}-{number}", picture.image) for number, picture in enumerate(step.pictures)]

    def show(
        comparison: Comparison | None,
        before: Shown | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, Any]:
        """The steps of the framework for the image compared last: shapes, texts, numbers."""
        if comparison is None or (before and before.of is comparison):
            return gr.skip(), gr.skip()
        with errors_shown():
            tell = shared.turns.between(lambda name, done, of: progress((done, of), desc=name, unit="networks"))
            with shared.turns:
                made = run(comparison, tell)
        windows = made.trace.windows if made.trace else None
        place = busiest_window(made.comparison, windows.size) if windows else (0, 0)
        found, group = steps(made, place), shared.pictures.group("framework")
        addresses = {step.id: save(step, group) for step in found}
        now = Shown(comparison, made.comparison, windows, place, found, addresses)
        return now.value(), now

    def choose(before: Shown | None, event: gr.EventData) -> tuple[Any, Any]:
        if before is None or before.windows is None:
            return gr.skip(), gr.skip()
        place = (int(event.row), int(event.column))
        with errors_shown():
            step = window_step(before.part, before.windows, place)
        found = [step if old.id == step.id else old for old in before.steps]
        now = replace(
            before,
            place=place,
            steps=found,
            addresses={**before.addresses, step.id: save(step, shared.pictures.group("window"))},
        )
        return now.value(), now

    inputs, results = [shared.comparison, shown], [view, shown]
    news = shared.on_new_comparison(tab, "framework")
    news.change(show, inputs, results, api_name="framework", show_progress_on=[view], **COMPUTING)
    view.select(choose, shown, results, api_visibility="private", show_progress="hidden")
