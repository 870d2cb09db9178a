"""An image input that hands over the file as it came."""

from __future__ import annotations

import gradio as gr
from gradio.data_classes import ImageData

class UploadedImage(gr.Image):
    """``gr.Image`` whose value is the path of the uploaded file, unopened.

    Gradio would open and convert it (losing 16-bit and EXIF handling, and with a traceback for what is no image);
    here ``mtkd.images`` alone decides what is read and how a bad file is refused. Give ``type="filepath"``.
    """

    is_template = True

    def preprocess(self, payload: ImageData | None) -> str | None:  # type: ignore[override]
        return None if payload is None else payload.path
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component
