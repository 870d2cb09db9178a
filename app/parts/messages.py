"""What the page says in place of a result, so that people who do not see it hear it too."""

from __future__ import annotations

import html
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore.comparison.choices import title

from ..state import Shared, error_text

NO_COMPARISON = "There is no comparison yet. Choose a picture and models first."
_LIVE = "element.setAttribute('role', 'status')"


def live(elem_id: str) -> gr.HTML:
    """A place for short texts that a screen reader says when they change."""
    return gr.HTML("", elem_id=elem_id, js_on_load=_LIVE, apply_default_css=False)


def alert(error: UserError | str, *paths: str) -> str:
    """An error as HTML, without the ``paths`` of this computer."""
    message = error if isinstance(error, str) else error_text(error, *paths).removeprefix("The file: ")
    return f'<p class="alert" role="alert">{html.escape(message[:1].upper() + message[1:], quote=False)}</p>'


def notice(text: str) -> gr.HTML:
    """An error in a place that is hidden without one."""
    return gr.HTML(alert(text) if text else "", visible=bool(text))


def hint(text: str) -> gr.HTML:
    """What to do next, in the same place."""
    return gr.HTML(f'<p class="help" role="status">{html.escape(text, quote=False)}</p>', visible=True)


def telling(
    progress: Callable[..., Any], scale: int, sources: Sequence[Path] = (), before: str = ""
) -> Callable[[str, int, int], None]:
    """Takes which model runs, how many are done, of how many; tells "Running EDSR teacher, 2 of 5"."""

    def tell(name: str, done: int, of: int) -> None:
        text = f"Running {title_of(name, scale, sources)}, {min(done + 1, of)} of {of}" if name else "Drawing"
        progress(None, desc=f"{before}{text}")

    return tell


def title_of(name: str, scale: int, sources: Sequence[Path] = ()) -> str:
    """A model's title; the name where there is no such model here, as of one with the number of a tile."""
    try:
        return title(name, scale, sources)
    except UserError:
        return name


def errors_in(handler: Callable[..., Any], shown: Callable[[str], dict[Any, Any]]) -> Any:
    """The handler for people: in place of its error, what ``shown`` says changes with the message.

    A program calls the handler itself, and gets the error as one. The handler may be a generator.
    """

    @wraps(handler)
    def streamed(*inputs: Any, **values: Any) -> Iterator[dict[Any, Any]]:
        try:
            yield from handler(*inputs, **values)
        except gr.Error as error:
            yield shown(html.unescape(error.message))

    @wraps(handler)
    def answered(*inputs: Any, **values: Any) -> Any:
        try:
            return handler(*inputs, **values)
        except gr.Error as error:
            return shown(html.unescape(error.message))

    return streamed if inspect.isgeneratorfunction(handler) else answered


def errors_noted(shared: Shared, handler: Callable[..., Any]) -> Any:
    """The handler for people: its error stands under the picture bar."""
    return errors_in(handler, lambda message: {shared.note: notice(message)})


def no_comparison() -> gr.Error:
    """What is wrong where a comparison is asked about before there is one."""
    return gr.Error(NO_COMPARISON, print_exception=False)
