"""What all tabs have in common: one picture of the state, and the components of the page that several of them touch."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import gradio as gr

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.explore import Comparison, default_models
from mtkd.explore.comparison.region import Region

from .server.queue import Turns
from .server.session_files import Pictures

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
    """

    view: Mapping[str, Any] = field(default_factory=dict)
    region: Region | None = None
    panes: Sequence[Mapping[str, Any]] = ()
    opened: bool = False


@dataclass(frozen=True, eq=False)
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
        trusted: whoever reaches the page may read folders of this computer and start programs: served to it alone, or
            asked for.
        turns: held while networks run.
    """

    page: gr.Blocks
    tabs: gr.Tabs
    pictures: Pictures
    comparison: gr.State
    look: gr.State
    scale: gr.Radio
    models: gr.CheckboxGroup
    trusted: bool
    turns: Turns

    @classmethod
    def create(cls, page: gr.Blocks, tabs: gr.Tabs, pictures: Pictures, trusted: bool) -> Shared:
        """The shared components; ``scale`` and ``models`` are laid out (rendered) by the picture bar."""
        scales = sorted({model.scale for model in zoo.models()}) or [4]
        now = 4 if 4 in scales else scales[-1]
        return cls(
            page,
            tabs,
            pictures,
            gr.State(None),
            gr.State(Look()),
            gr.Radio(scale_choices(scales), value=now, label="Scale", render=False),
            gr.CheckboxGroup(**model_choices(now), label="Models", elem_id="models", render=False),
            trusted,
            Turns(),
        )

    def keep_upload(self, files: str | list[str] | None) -> None:
        """Uploaded files stay as long as their page: for events of uploading."""
        self.pictures.use(*([files] if isinstance(files, str) else files or []))

    def open_in_compare(self, name: str, scale: int, now: int, checked: Sequence[str]) -> dict[Any, Any]:
        """The Compare tab, with one more model checked; what is checked ``now``, at that scale, stays."""
        group = remaining_choices(now, [*checked, name]) if scale == now else model_choices(scale, (name,))
        return {self.scale: scale, self.models: gr.CheckboxGroup(**group), self.tabs: gr.Tabs(selected="compare")}

    def list_models(self, now: int, checked: Sequence[str]) -> dict[Any, Any]:
        """The models that there are by now; what is checked stays, where it remains."""
        return {self.models: gr.CheckboxGroup(**remaining_choices(now, checked))}

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

        script = f"(comparison, filled, _) => [comparison, filled, !!document.querySelector('#{within}')?.offsetParent]"
        inputs, outputs = [self.comparison, filled], [filled, news]
        tab.select(lambda comparison, before: look(comparison, before, True), inputs, outputs, **QUIET)
        self.comparison.change(look, [*inputs, is_open], outputs, js=script, **QUIET)
        return news


@dataclass(frozen=True)
class Tab:
    """What a module of ``tabs/`` declares as ``TAB``; the module's name is the tab's id.

    Attributes:
        title: as the page shows it.
        order: tabs stand in increasing order, equal ones by id; the built-in ones are 10, 20, ...
        build: lays the tab out, inside its ``gr.Tab``, and connects its events.
    """

    title: str
    order: int
    build: Callable[[Shared, gr.Tab], None]


def scale_choices(scales: Sequence[int]) -> list[tuple[str, int]]:
    """Choices of a component whose value is a scale: ("×4", 4)."""
    return [(f"×{scale}", scale) for scale in scales]


def model_choices(scale: int, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """``choices`` and ``value`` for the models of one scale; ``also`` are checked besides the default ones."""
    default = default_models(scale)
    names = [*networks.baselines(), *(model.name for model in zoo.models(scale))]
    return {"choices": names, "value": [*default, *(name for name in also if name not in default)]}


def remaining_choices(scale: int, names: Sequence[str]) -> dict[str, Any]:
    """``choices`` and ``value`` for the models of a scale as they are now: of ``names``, those that remain."""
    choices = model_choices(scale)["choices"]
    return {"choices": choices, "value": [name for name in dict.fromkeys(names) if name in choices]}


@contextmanager
def errors_shown(*paths: str) -> Iterator[None]:
    """A user's error is shown on the page as one message, without the ``paths`` of this computer.

    A folder, which ends in the separator, is left out; a file is called "The file".
    """
    try:
        yield
    except UserError as error:
        message = str(error)
        for path in paths:
            message = message.replace(path, "" if path.endswith(os.sep) else "The file")
        raise gr.Error(html.escape(message, quote=False), print_exception=False) from error
