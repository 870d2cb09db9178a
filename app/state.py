"""What all tabs have in common: one picture of the state, and the pieces of the page that several of them touch."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explore import Comparison, default_models

from .server.queue import Turns
from .server.session_files import Pictures


@dataclass(frozen=True)
class Shared:
    """Made once a page is built, before its tabs.

    Attributes:
        page: the page, for events of its loading.
        tabs: the row of tabs; ``gr.Tabs(selected=ID)`` from an event opens one.
        pictures: where pictures are written that the page shows by address.
        comparison: the :class:`~mtkd.explore.Comparison` that the Compare tab shows last, or None: image, scale and
            models of all tabs. Each comparison is a new object.
        region: the :class:`~mtkd.explore.comparison.crops.Region` drawn last, in HR pixels, or None.
        scale: the radio of the Compare tab, "×4".
        models: the names checked in the Compare tab.
        trusted: whoever reaches the page may read folders of this computer and start programs: served to it alone, or
            asked for.
        turns: held while networks run.
    """

    page: gr.Blocks
    tabs: gr.Tabs
    pictures: Pictures
    comparison: gr.State
    region: gr.State
    scale: gr.Radio
    models: gr.CheckboxGroup
    trusted: bool
    turns: Turns

    @classmethod
    def create(cls, page: gr.Blocks, tabs: gr.Tabs, pictures: Pictures, trusted: bool) -> Shared:
        """The shared parts; ``scale`` and ``models`` are laid out (rendered) by the Compare tab."""
        scales = sorted({model.scale for model in zoo.models()}) or [4]
        now = 4 if 4 in scales else scales[-1]
        return cls(
            page,
            tabs,
            pictures,
            gr.State(None),
            gr.State(None),
            gr.Radio([f"×{s}" for s in scales], value=f"×{now}", label="Scale", render=False),
            gr.CheckboxGroup(**model_choices(now), label="Models", elem_id="models", render=False),
            trusted,
            Turns(),
        )

    def had(self, sent: str | list[str] | None) -> None:
        """What was uploaded stays as long as its page: for events of uploading."""
        self.pictures.use(*([sent] if isinstance(sent, str) else sent or []))

    def on_new_comparison(self, tab: gr.Tab, within: str) -> gr.Textbox:
        """A hidden text that changes when the tab is seen with a comparison that it has not been filled from.

        It does so when the tab is opened, or is open while a comparison ends.

        Args:
            within: id of an element of the tab; the tab is open where that is visible.
        """
        news, filled, is_open = gr.Textbox(visible="hidden"), gr.State(None), gr.Checkbox(visible=False)

        def look(comparison: Comparison | None, before: Comparison | None, is_open: bool) -> tuple[Any, Any]:
            if comparison is None or comparison is before or not is_open:
                return gr.skip(), gr.skip()
            return comparison, f"comparison {id(comparison)}"

        script = f"(comparison, filled, _) => [comparison, filled, !!document.querySelector('#{within}')?.offsetParent]"
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        inputs, outputs = [self.comparison, filled], [filled, news]
        tab.select(lambda comparison, before: look(comparison, before, True), inputs, outputs, **private)
        self.comparison.change(look, [*inputs, is_open], outputs, js=script, **private)
        return news


def scale_of(text: str) -> int:
    """The number in "×4"."""
    return int(text.removeprefix("×"))


def model_choices(scale: int, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """``choices`` and ``value`` for the models of one scale; ``also`` are checked besides the default ones."""
    names = ["bicubic", *(model.name for model in zoo.models(scale))]
    return {"choices": names, "value": [*default_models(scale), *(n for n in also if n not in default_models(scale))]}


def still_there(now: str, names: list[str]) -> dict[str, Any]:
    """``choices`` and ``value`` for the models of the scale "×4", as they are now: of ``names``, those that remain."""
    choices = model_choices(scale_of(now))["choices"]
    return {"choices": choices, "value": [name for name in dict.fromkeys(names) if name in choices]}


@contextmanager
def told(*paths: str) -> Iterator[None]:
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
