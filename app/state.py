"""What all tabs have in common: one picture of the state, and the components of the page that several of them touch."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import gradio as gr

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explore import Comparison, default_models
from mtkd.explore.comparison.choices import GROUPS, model_choices
from mtkd.explore.comparison.core import LR, TITLES
from mtkd.explore.comparison.region import Region
from mtkd.images import MAX_PIXELS

from .server.queue import Turns
from .server.session_files import Pictures
from .server.steps import Newest

if TYPE_CHECKING:
    from .parts.picture import PictureBar

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""Of an event that programs cannot call."""
QUIET: dict[str, Any] = {**PRIVATE, "show_progress": "hidden"}
"""Of one that also shows no progress."""


class Mode(StrEnum):
    """What is done with the image."""

    TEST = "test"
    """It is the HR image: downscale, super-resolve, compare with the ground truth."""
    UPSCALE = "upscale"
    """It is the LR image: super-resolve; there is no ground truth."""


@dataclass(frozen=True, eq=False)
class Look:
    """What the page looks at in a comparison.

    Attributes:
        view: of the viewer, a :class:`mtkd.explore.viewer.View` without its region.
        region: drawn last, in HR pixels.
        panes: the viewer's, with the addresses of their files.
        opened: it came from a link or a file and is to be shown; the page has not moved to it yet.
        request: of the page, that the panes answer.
        area: an area of a large photo is being chosen: pixels of the photo in one of the picture that is shown.
    """

    view: Mapping[str, Any] = field(default_factory=dict)
    region: Region | None = None
    panes: Sequence[Mapping[str, Any]] = ()
    opened: bool = False
    request: str = ""
    area: float | None = None


@dataclass(eq=False)
class Shared:
    """Made once a page is built, before its tabs.

    Attributes:
        page: the page, for events of its loading.
        tabs: the row of tabs; ``gr.Tabs(selected=ID)`` from an event opens one.
        pictures: where pictures are written that the page shows by address.
        comparison: the :class:`~mtkd.explore.Comparison` that the page shows last, or None: image, scale and models
            of all tabs. Each comparison is a new object.
        look: the :class:`Look` at it.
        scale: the radio of the scale, an int.
        models: the names of the chosen models.
        headings: of the groups in the list of models, as a style sheet.
        trusted: whoever reaches the page may read folders of this computer and start programs: served to it alone, or
            asked for.
        turns: held while networks run.
        request: hidden: changes where a comparison is asked for; :meth:`ask` gives its values.
        newest: the newest request of each page.
        note: under the picture bar: what could not be opened; the next choice takes it away.
        query: hidden: the query of a link to what is seen.
        stop: hidden: the stop of the tour, 0 for none.
        evidence: opens the Summary of the evidence.
        views: by the id of each tab that has views, their row and their ids.
        bar: the picture bar; laid out first.
    """

    page: gr.Blocks
    tabs: gr.Tabs
    pictures: Pictures
    comparison: gr.State
    look: gr.State
    scale: gr.Radio
    models: gr.Dropdown
    headings: gr.HTML
    trusted: bool
    turns: Turns
    request: gr.Textbox
    newest: Newest
    note: gr.HTML
    query: gr.Textbox
    stop: gr.Number
    evidence: gr.Button
    views: dict[str, tuple[gr.Tabs, list[str]]] = field(default_factory=dict)
    bar: PictureBar = field(init=False)

    @classmethod
    def create(cls, page: gr.Blocks, tabs: gr.Tabs, pictures: Pictures, trusted: bool) -> Shared:
        """The shared components; ``scale`` and ``models`` are laid out (rendered) by the picture bar."""
        scales = sorted({model.scale for model in zoo.models()}) or [4]
        now = 4 if 4 in scales else scales[-1]
        groups = model_groups(now)
        return cls(
            page,
            tabs,
            pictures,
            gr.State(None),
            gr.State(Look()),
            gr.Radio(
                scale_choices(scales), value=now, label="Scale", elem_id="scale", min_width=160, scale=2, render=False
            ),
            gr.Dropdown(
                _choices(groups),
                value=default_models(now),
                multiselect=True,
                label="Models",
                elem_id="models",
                render=False,
            ),
            gr.HTML(_headings(groups), visible="hidden", render=False),
            trusted,
            Turns(),
            gr.Textbox("", visible="hidden", render=False, label="request"),
            Newest(),
            gr.HTML(visible=False, render=False, apply_default_css=False, elem_id="note"),
            gr.Textbox(visible="hidden", render=False, label="query", elem_id="query"),
            gr.Number(0, visible="hidden", render=False, label="stop of the tour", precision=0),
            gr.Button("See the evidence", size="sm", render=False, elem_id="to-evidence", scale=0, min_width=140),
        )

    @property
    def largest(self) -> int | None:
        """Pixels of a picture that is read, at most: None, as many as the memory takes, on a page of one's own."""
        return None if self.trusted else MAX_PIXELS

    def ask(self) -> dict[Any, Any]:
        """Ask for a comparison of what is chosen now; the one that runs ends."""
        return {self.request: self.newest.ask(), self.note: gr.HTML(visible=False)}

    @property
    def asked(self) -> list[Any]:
        """What :meth:`ask` changes."""
        return [self.request, self.note]

    def keep_upload(self, files: str | list[str] | None) -> None:
        """Uploaded files stay as long as their page: for events of uploading."""
        self.pictures.use(*([files] if isinstance(files, str) else files or []))

    def open_in_compare(self, name: str, scale: int, now: int, checked: Sequence[str]) -> dict[Any, Any]:
        """The Compare tab, with one more model before those that are checked ``now``, at that scale."""
        names = checked if scale == now else default_models(scale)
        listed = self.list_models(scale, [name, *names])
        return {self.scale: scale, **listed, self.tabs: gr.Tabs(selected="compare"), **self.ask()}

    @property
    def opened(self) -> list[Any]:
        """What :meth:`open_in_compare` changes."""
        return [self.scale, *self.listed, self.tabs, *self.asked]

    def list_models(self, scale: int, names: Sequence[str]) -> dict[Any, Any]:
        """The models of a scale as they are now, in their groups; of ``names``, those that are here are chosen."""
        groups = model_groups(scale)
        choices = _choices(groups)
        here = {name for _, name in choices}
        chosen = [name for name in dict.fromkeys(names) if name in here]
        return {self.models: gr.Dropdown(choices, value=chosen), self.headings: _headings(groups)}

    @property
    def listed(self) -> list[Any]:
        """What :meth:`list_models` changes."""
        return [self.models, self.headings]

    def on_new_comparison(self, tab: gr.Tab, within: str) -> gr.Textbox:
        """A hidden text that changes when the tab is seen with a comparison that it has not been filled from.

        It does so when the tab is opened, or is open while a comparison ends.

        Args:
            within: id of an element of the tab; the tab is open where that is visible.
        """
        news, filled, is_open = gr.Textbox(visible="hidden"), gr.State(None), gr.Checkbox(visible=False)

        def look(comparison: Comparison | None, before: Comparison | None, is_open: bool) -> dict[Any, Any]:
            if comparison is None or comparison is before or not is_open:
                return {news: gr.skip()}
            return {filled: comparison, news: f"comparison {id(comparison)}"}

        script = is_open_script(within)
        inputs, outputs = [self.comparison, filled, is_open], [filled, news]
        for event in (tab.select, self.tabs.select, self.comparison.change):
            event(look, inputs, outputs, js=script, **QUIET)
        return news


@dataclass(frozen=True)
class Tab:
    """What a module of ``tabs/`` declares as ``TAB``; the module's name is the tab's id.

    Attributes:
        title: as the page shows it.
        order: tabs stand in increasing order, equal ones by id; the built-in ones are 10, 20, ...
        build: lays the tab out, inside its ``gr.Tab``, and connects its events.
        within: the title of the tab that it is a view of, one of several; None: it is a tab by itself.
    """

    title: str
    order: int
    build: Callable[[Shared, gr.Tab], None]
    within: str | None = None


def is_open_script(within: str) -> str:
    """JavaScript of an event: its last input becomes whether the element ``within`` is visible."""
    return f"""async (...values) => {{
      const frame = () => new Promise(requestAnimationFrame);
      await frame().then(frame); // a tab that is chosen now is seen then
      return [...values.slice(0, -1), !!document.querySelector('#{within}')?.offsetParent];
    }}"""


def scale_choices(scales: Sequence[int]) -> list[tuple[str, int]]:
    """Choices of a component whose value is a scale: ("×4", 4)."""
    return [(f"×{scale}", scale) for scale in scales]


def model_groups(scale: int) -> dict[str, list[tuple[str, str]]]:
    """What can be shown at a scale by group, as (title, name); the LR image stands with the baselines."""
    groups, baselines = model_choices(scale), GROUPS["baseline"]
    return {**groups, baselines: [(TITLES[LR], LR), *groups[baselines]]}


def _choices(groups: Mapping[str, Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [choice for choices in groups.values() for choice in choices]


def _headings(groups: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """A style sheet that writes each group's title above the first of its options that a search leaves.

    Gradio's lists have no groups; its options hold their place among all choices.
    """
    rules, start = [], 0
    for title, choices in groups.items():
        options = ", ".join(f"[data-index='{start + place}']" for place in range(len(choices)))
        rules.append(f"#models [role=option]:nth-child(1 of {options})::before {{ content: '{title}'; }}")
        start += len(choices)
    return f"<style>{' '.join(rules)}</style>"


@contextmanager
def errors_shown(*paths: str) -> Iterator[None]:
    """A user's error is shown on the page as one message, without the ``paths`` of this computer.

    A folder, which ends in the separator, is left out; a file is called "The file".
    """
    try:
        yield
    except UserError as error:
        raise gr.Error(html.escape(error_text(error, *paths), quote=False), print_exception=False) from error


def error_text(error: UserError, *paths: str) -> str:
    """An error's message without the ``paths`` of this computer, as :func:`errors_shown` leaves them out."""
    message = str(error)
    for path in filter(None, paths):
        message = message.replace(path, "" if path.endswith(os.sep) else "The file")
    return message
