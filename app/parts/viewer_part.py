"""The viewer as a component: pictures side by side, at one place and zoom."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mtkd.explore.viewer import gradio_parts


def layout(elem_id: str) -> gr.HTML:
    """An empty viewer; its value holds ``panes``, and may hold ``reference``, ``columns``, ``view`` and ``pick``."""
    parts: dict[str, Any] = {**gradio_parts()}
    return gr.HTML(None, apply_default_css=False, elem_id=elem_id, **parts)
