"""An image input that hands over the file as it came."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.data_classes import ImageData


class UploadedImage(gr.Image):
    """``gr.Image`` whose value is the path of the uploaded file, unopened.

    Gradio would open and convert it (losing 16-bit and EXIF handling, and with a traceback for what is no image);
    here ``mtkd.images`` alone decides what is read and how a bad file is refused. Give ``type="filepath"``.
    """

    is_template = True

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path, which Gradio does not look at where a request calls it no file: only uploads are opened.

        Raises:
            Error: it is none of the files that were uploaded.
        """
        if payload is None:
            return None
        if not Path(payload.path or "").resolve().is_relative_to(Path(self.GRADIO_CACHE).resolve()):
            raise gr.Error("Upload the image: the explorer opens no path.", print_exception=False)
        return payload.path
