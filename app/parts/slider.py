"""Two pictures of a comparison under a slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..server.session_files import PictureGroup
from ..state import QUIET, Look


@dataclass(frozen=True, eq=False)
class Slider:
    """Its components; its methods answer their events."""

    left: gr.Dropdown
    right: gr.Dropdown
    slider: gr.ImageSlider

    @classmethod
    def layout(cls) -> Slider:
        """Lay out an empty slider."""
        with gr.Accordion("Before/after slider", open=True):
            with gr.Row():
                left = gr.Dropdown([], label="Left", elem_id="left")
                right = gr.Dropdown([], label="Right", elem_id="right")
            slider = gr.ImageSlider(
                format="png", interactive=False, show_label=False, elem_id="slider", max_height=560
            )  # fmt: skip
        return cls(left, right, slider)

    @property
    def outputs(self) -> list[Any]:
        return [self.left, self.right, self.slider]

    def show(self, names: Sequence[str], group: PictureGroup) -> dict[Any, Any]:
        """The pictures to choose from, in their order; at first the second and the last one."""
        pair = (names[1], names[-1])
        return {
            self.left: gr.Dropdown(list(names), value=pair[0]),
            self.right: gr.Dropdown(list(names), value=pair[1]),
            self.slider: tuple(str(group.path(name)) for name in pair),
        }

    def choose(self, look: Look, left: str, right: str) -> dict[Any, Any]:
        """Another pair."""
        files = {pane["name"]: PictureGroup.of(pane["layers"]["image"]).path(pane["name"]) for pane in look.panes}
        if left not in files or right not in files:
            return {self.slider: None}
        return {self.slider: (str(files[left]), str(files[right]))}

    def connect(self, look: gr.State) -> None:
        """Connect the choices."""
        for dropdown in (self.left, self.right):
            dropdown.input(self.choose, [look, self.left, self.right], self.slider, **QUIET)
