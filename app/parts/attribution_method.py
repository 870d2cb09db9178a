"""The choice of an attribution method, with a control for each option that the methods' dataclasses define."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explain.options import Option, options_of, read_options
from mtkd.plugins import ATTRIBUTIONS

from ..state import QUIET

_WINDOW_SIDES = (4, 64)
"""SR pixels."""


@dataclass(frozen=True, eq=False)
class MethodChoice:
    """The components.

    Attributes:
        method: a dropdown of the methods.
        size: of the window.
        controls: by (method, option); only those of the chosen method are seen.
    """

    method: gr.Dropdown
    size: gr.Number
    controls: Mapping[tuple[str, str], gr.components.Component]

    @property
    def inputs(self) -> dict[str, Any]:
        """The controls by the names under which handlers and programs give their values.

        That of the option, or ``METHOD_OPTION`` where another method has an option of this name, too.
        """
        return {name: self.controls[place] for name, place in self._places().items()}

    def checked(self, method: str, values: Mapping[str, Any], size: int | None) -> dict[str, Any]:
        """The options of a method among the values of all controls.

        Raises:
            UserError: a value is empty or out of range: told before networks run.
        """
        places = self._places()
        options = {places[name][1]: value for name, value in values.items() if places[name][0] == method}
        read_options(method, options)
        for option in options_of(method):
            _check(option.label, options.get(option.name), *_bounds(option))
        if size is None:
            raise UserError("Window size is empty: give a number")
        _check("Window size", size, *_WINDOW_SIDES)
        return options

    def _places(self) -> dict[str, tuple[str, str]]:
        places: dict[str, tuple[str, str]] = {}
        for method, option in self.controls:
            places[f"{method}_{option}" if option in places else option] = (method, option)
        return places

    def choose_method(self, method: str) -> dict[Any, Any]:
        """Another method: its options are seen."""
        return {control: gr.update(visible=of == method) for (of, _), control in self.controls.items()}

    def connect(self) -> None:
        """Connect the events."""
        self.method.change(self.choose_method, self.method, list(self.controls.values()), **QUIET)


def methods() -> gr.Dropdown:
    """The methods there are, plugins' too."""
    titles = [(spec.title, name) for name, spec in ATTRIBUTIONS.items()]
    return gr.Dropdown(titles, value="lam", label="Method", elem_id="lam-method", scale=1, min_width=220)


def layout(method: gr.Dropdown) -> MethodChoice:
    """The options of all methods, to be laid out in a row; those of the chosen one are seen."""
    size = gr.Number(16, label="Window size", info="SR pixels", precision=0, elem_id="lam-window")
    controls = {
        (name, option.name): _control(option, f"{name}-{option.name}", name == method.value)
        for name in ATTRIBUTIONS
        for option in options_of(name)
    }
    return MethodChoice(method, size, controls)


def _control(option: Option, elem_id: str, visible: bool) -> gr.components.Component:
    about: dict[str, Any] = {
        "label": option.label, "info": option.help or None, "elem_id": elem_id, "visible": visible, "min_width": 120
    }  # fmt: skip
    if option.choices:
        texts = [*option.choices, *(["none"] if option.optional else [])]
        return gr.Dropdown([(text, text) for text in texts], value=option.text, **about)
    if option.kind is bool:
        return gr.Checkbox(option.default, **about)
    if option.kind is str:
        return gr.Textbox(option.default, **about)
    whole = option.kind is int  # its bounds are checked with an answer in the viewer: Gradio would cover the view
    return gr.Number(option.default, precision=0 if whole else None, step=1 if whole else 0.1, **about)


def _bounds(option: Option) -> tuple[float | None, float | None]:
    """What the page takes: the usual range, else the possible one."""
    low, high = option.usual
    return option.minimum if low is None else low, option.maximum if high is None else high


def _check(label: str, value: Any, low: float | None, high: float | None) -> None:
    if not isinstance(value, int | float):
        return
    if low is not None and value < low:
        raise UserError(f"{label} is {value:g}: give {low:g} or more")
    if high is not None and value > high:
        raise UserError(f"{label} is {value:g}: give {high:g} or less")
