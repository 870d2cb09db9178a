"""The choice of an attribution method, with a control for each option that the methods' dataclasses define."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.explain.options import Option, options_of
from mtkd.plugins import ATTRIBUTIONS

from ..state import QUIET


@dataclass(frozen=True, eq=False)
class MethodChoice:
    """The components.

    Attributes:
        method: a dropdown of the methods, hidden where there is one alone.
        controls: by (method, option); only those of the chosen method are seen.
    """

    method: gr.Dropdown
    controls: Mapping[tuple[str, str], gr.components.Component]

    @property
    def inputs(self) -> dict[str, Any]:
        """The controls by the names under which handlers and programs give their values.

        That of the option, or ``METHOD_OPTION`` where another method has an option of this name, too.
        """
        return {name: self.controls[place] for name, place in self._places().items()}

    def options(self, method: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a method among the values of all controls."""
        places = self._places()
        return {places[name][1]: value for name, value in values.items() if places[name][0] == method}

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


def method_dropdown(elem_id: str, **props: Any) -> gr.Dropdown:
    """The methods there are, plugins' too."""
    titles = [(spec.title, name) for name, spec in ATTRIBUTIONS.items()]
    return gr.Dropdown(titles, value="lam", label="Method", elem_id=elem_id, visible=len(titles) > 1, **props)


def layout(method: gr.Dropdown) -> MethodChoice:
    """The options of all methods, to be laid out in a row."""
    controls = {
        (name, option.name): _control(option, f"{name}-{option.name}", name == method.value)
        for name in ATTRIBUTIONS
        for option in options_of(name)
    }
    return MethodChoice(method, controls)


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
    low, high = (bound if bound is not None else other for bound, other in
                 zip(option.usual, (option.minimum, option.maximum), strict=True))  # fmt: skip
    whole = option.kind is int
    return gr.Number(
        option.default, minimum=low, maximum=high, precision=0 if whole else None, step=1 if whole else 0.1, **about
    )
