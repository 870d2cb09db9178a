"""The alt text of a picture is stored beside it when a notebook shows the picture."""

from __future__ import annotations

import io
import sys

from PIL import Image


def register() -> None:
    """In a notebook, give every picture that has an alt text the metadata ``{"image/png": {"alt": text}}``."""
    if "IPython" not in sys.modules:
        return
    shell = sys.modules["IPython"].get_ipython()
    if shell:
        shell.display_formatter.formatters["image/png"].for_type(Image.Image, png)


def png(picture: Image.Image) -> bytes | tuple[bytes, dict[str, str]]:
    """The picture as PNG, with its alt text if it has one: what IPython's formatters return."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    text = picture.info.get("alt")
    return (buffer.getvalue(), {"alt": text}) if text else buffer.getvalue()
