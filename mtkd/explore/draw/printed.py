"""Figures on paper, drawn by Matplotlib, which is imported when one is made: a page starts in half the time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mtkd.images import UInt8Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150


def blank(width: float, height: float, **gaps: Any) -> Figure:
    """An empty figure of this size in inches; ``gaps`` as for Matplotlib's ``ConstrainedLayoutEngine``."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(**gaps))


def show(axes: Axes, image: UInt8Image, label: str) -> None:
    """A picture without axes, pixel by pixel, with a text under it."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(label, fontsize=6.5, parse_math=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def box(axes: Axes, left: float, top: float, width: float, height: float, **style: Any) -> None:
    """A box around so many pixels of a picture; ``style`` as for Matplotlib's ``Rectangle``."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, **style))


def render(figure: Figure, form: str = "png", about: str = "") -> bytes:
    """The figure as a PNG file, or a PDF with text as text and pictures without loss.

    ``about`` is kept in the file: a PNG's "Description", a PDF's "Subject".
    """
    file = io.BytesIO()
    metadata = {"Subject": about, "CreationDate": None} if form == "pdf" else {"Description": about}
    figure.savefig(file, format=form, metadata=metadata)
    return file.getvalue()
