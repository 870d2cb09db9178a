"""The guided tour: a few stops, each a view of the page and two sentences."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.data.examples import EXAMPLES
from mtkd.explore.comparison.choices import DISTILLED, SCRATCH, presets
from mtkd.explore.comparison.saved import SavedView

from ..state import PRIVATE, QUIET, Mode, Shared

_TO_ADDRESS = "(stop) => window.mtkdAddress.tour(stop)"
SCALE = 4


@dataclass(frozen=True)
class Stop:
    """A view of the page: the tab, and where Compare looks at the first example under the story's models."""

    title: str
    text: str
    tab: str | None = None
    swipes: bool = False


STOPS = (
    Stop(
        "The blurred stripe",
        "The collar has a light stripe inside: the student alone blurs it, the student with MTKD keeps more of it, the "
        "combined teacher most. The place was chosen because distillation helps most here.",
    ),
    Stop(
        "Swipe it",
        "Drag the divider: left the student alone, right the same network trained with MTKD. Choose “Closer to the "
        "ground truth” to see where it helps, and where it does not.",
        swipes=True,
    ),
    Stop(
        "Where the target comes from",
        "Stage 1: three teachers upscale the picture, and an aggregator merges their results into a better one. "
        "Stage 2: the student learns from that result through a wavelet loss.",
        tab="framework",
    ),
    Stop(
        "Whose pixels made it",
        "The combined teacher merges the pictures of its teachers. The map shows which pixels of which teacher made "
        "the detail in the window; select another place to ask again.",
        tab="attribution",
    ),
    Stop(
        "What is proved, and what it costs",
        "The cards say whether distillation helps, whether it is better than KD, and what it "
        "costs: on which images, from how many trainings, and how sure that is. The paper's claims stand below them.",
        tab="summary",
    ),
)


def stop_view(number: int) -> SavedView:
    """What the page shows at a stop, the first one being 1; the last where there are fewer."""
    number = min(number, len(STOPS))
    stop, names = STOPS[number - 1], presets(SCALE)["Story"]
    fields: dict[str, Any] = {"example": EXAMPLES[0].name, "scale": SCALE, "models": names, "tab": stop.tab}
    if stop.swipes:
        alone, distilled = [name for name in names if name.rpartition("-")[2] in (SCRATCH, DISTILLED)][-2:]
        fields |= {"mode": "swipe", "pair": (alone, distilled), "baseline": alone}
    return SavedView(**fields, **EXAMPLES[0].view(), tour=number)


@dataclass(frozen=True, eq=False)
class Tour:
    """Its components; its methods answer their events."""

    shared: Shared
    start: gr.Button
    card: gr.Column
    text: gr.HTML
    back: gr.Button
    forward: gr.Button
    photo: gr.Button
    close: gr.Button

    def show(self, stop: float | None) -> dict[Any, Any]:
        """The card of a stop; none at 0."""
        number = int(stop or 0)
        if not 1 <= number <= len(STOPS):
            return {self.card: gr.Column(visible=False)}
        last = number == len(STOPS)
        return {
            self.card: gr.Column(visible=True),
            self.text: _card(number),
            self.back: gr.Button(interactive=number > 1),
            self.forward: gr.Button(visible=not last),
            self.photo: gr.Button(visible=last),
        }

    def connect(
        self,
        inputs: Callable[[SavedView], dict[Any, Any]],
        open_tab: Callable[[str | None], dict[Any, Any]],
        outputs: Sequence[Any],
    ) -> None:
        """Connect the buttons; ``inputs`` and ``open_tab`` bring the page to a view, ``outputs`` are what they set.

        Between stops that show the same comparison in other tabs nothing is computed anew.
        """
        shared, stop, bar = self.shared, self.shared.stop, self.shared.bar

        def go(number: int, *chosen: Any) -> dict[Any, Any]:
            view = stop_view(number)
            there = view.tab is not None and chosen == (view.example, Mode.TEST, view.scale, list(view.models))
            return {**({} if there else inputs(view)), **open_tab(view.tab), stop: number}

        moved, now = [*outputs, stop], [stop, bar.example, bar.mode, shared.scale, shared.models]
        self.start.click(lambda: go(1), None, moved, **QUIET)
        self.back.click(lambda at, *chosen: go(max(1, int(at) - 1), *chosen), now, moved, **QUIET)
        self.forward.click(lambda at, *chosen: go(min(len(STOPS), int(at) + 1), *chosen), now, moved, **QUIET)
        self.close.click(lambda: 0, None, stop, **QUIET)
        self.photo.click(
            lambda: {stop: 0, **bar.show_panel(True), **open_tab(None)},
            None,
            [stop, *bar.panel_outputs, shared.tabs],
            **QUIET,
        )
        shown = [self.card, self.text, self.back, self.forward, self.photo]
        stop.change(self.show, stop, shown, **QUIET)
        stop.change(None, stop, None, js=_TO_ADDRESS, **PRIVATE)


def layout(shared: Shared, start: gr.Button) -> Tour:
    """Lay out the card of a stop, hidden until the tour begins."""
    shared.stop.render()
    with gr.Column(visible=False, elem_id="tour") as card, gr.Row(equal_height=True):
        text = gr.HTML(elem_id="tour-text", apply_default_css=False)
        back = gr.Button("Back", size="sm", elem_id="tour-back", scale=0, min_width=80)
        forward = gr.Button("Next", size="sm", variant="primary", elem_id="tour-next", scale=0, min_width=80)
        photo = gr.Button("Try your own photo", size="sm", variant="primary", visible=False, elem_id="tour-photo",
                          scale=0, min_width=160)  # fmt: skip
        close = gr.Button("Close", size="sm", elem_id="tour-close", scale=0, min_width=80)
    return Tour(shared, start, card, text, back, forward, photo, close)


def _card(number: int) -> str:
    stop = STOPS[number - 1]
    title = f"{number} of {len(STOPS)} · {html.escape(stop.title)}"
    return f'<div role="status"><b>{title}</b><p>{html.escape(stop.text)}</p></div>'
