"""The viewer as a component: pictures side by side, at one place and zoom."""

from __future__ import annotations

import gradio as gr

from mtkd.explore.viewer import Options, Value, gradio_parts


def layout(elem_id: str, options: Options | None = None) -> gr.HTML:
    """An empty viewer; its value is a :class:`mtkd.explore.viewer.Value`, ``options`` are for values that lack them."""
    return gr.HTML(None, apply_default_css=False, elem_id=elem_id, **gradio_parts(options))


def failed(message: str) -> Value:
    """A sentence where the pictures would be."""
    return {"panes": [], "error": message}
