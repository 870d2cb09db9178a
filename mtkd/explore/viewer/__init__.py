"""The many-image viewer: panes that zoom and pan in step, one script for Gradio and for Jupyter.

This module holds no user interface of its own. Gradio takes the strings of :func:`gradio_parts`::

    gr.HTML(value, apply_default_css=False, **gradio_parts())

and Jupyter the widget in :mod:`mtkd.explore.viewer.widget`. Both show a :class:`Value`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NotRequired, TypedDict

Address = str | Mapping[str, Any]
"""Of a **lossless** image: a URL, a data URI, or Gradio's ``FileData`` dictionary."""


class Pane(TypedDict):
    """One image and its other views.

    ``name`` is unique among the panes, ``title`` is what people read in its place. ``layers`` maps the name of a view
    ("image", "wavelet error", ...) to an address; a pane may lack layers that others have. ``pending`` is for a pane
    whose image is still being made. ``download`` is what the arrow in the header saves: ``href`` (http, data, blob or
    relative) and ``filename``. ``scale`` is for a pane that shows the low-resolution input: the coordinates under the
    mouse are then also given in its pixels. A ``transparent`` image lies on a checkerboard.
    """

    name: str
    title: NotRequired[str]
    layers: Mapping[str, Address]
    pending: NotRequired[Literal["waiting", "running"]]
    caption: NotRequired[str]
    download: NotRequired[Mapping[str, Address]]
    scale: NotRequired[float]
    transparent: NotRequired[bool]


class View(TypedDict, total=False):
    """What is looked at: the same region in panes of any size.

    ``zoom`` is relative to the whole image (1), ``cx`` and ``cy`` are the centre in 0..1, ``layer`` is what every
    pane shows. ``mode`` is "grid" (all panes), "swipe" (two under a divider) or "flicker" (one large pane).
    ``focus`` is the name of the pane that flicker shows, else None; a view with a ``focus`` and without a ``mode`` is
    one of flicker. ``pair`` holds the names of the two of swipe, ``baseline`` that of the pane that differences are to;
    None for the usual ones. ``gain`` (1, 2, 4, 8 or 16) magnifies differences. ``region`` is the rectangle that was
    drawn: [top, left, height, width] in pixels of the largest image, or None.
    """

    zoom: float
    cx: float
    cy: float
    layer: str
    mode: Literal["grid", "swipe", "flicker"]
    focus: str | None
    pair: list[str] | None
    baseline: str | None
    gain: int
    region: list[int] | None


class Options(TypedDict, total=False):
    """How the viewer shows its panes.

    Attributes:
        reference: name of the pane with the ground truth: the viewer then makes the layers "error", "signed error" and,
            against a baseline, "closer" and "difference" of all panes that lack them.
        baseline: name of the pane that differences are to, until the person chooses another one.
        columns: overrides the choice of columns.
        pick: a click places a square region of so many pixels a side; without, a region is drawn.
        view: where to look (a link that reproduces a view); without it the place stays as the person left it.
        empty: what an empty viewer says.
        error: a sentence, shown where the result would stand.
        source: what stands under a copied image: picture, scale, protocol, version.
        link: the page's address leads to what is seen: it stands there too, where others can open it.
        height: of the viewer with its bar, in CSS pixels, at most; the window's without.
        beside: what else a window shows, in CSS pixels: a window with more room than ``height`` leaves a higher viewer.
    """

    reference: str | None
    baseline: str | None
    columns: int | None
    pick: int | None
    view: View | None
    empty: str
    error: str | None
    source: str
    link: bool
    height: int | None
    beside: int | None


class Value(Options):
    """What the viewer shows; plain JSON."""

    panes: list[Pane]


# In a function of its own: Gradio hands its code names (`element`, `props`, ...) that ours must not touch.
_GRADIO_SCRIPT = """
const mount = (() => {
%s
return mount;
})();
const viewer = mount(element.querySelector(".mv"), { onView: (view) => trigger("select", view) });
const show = () => viewer.update(props.value?.panes, { ...props.options, ...props.value });
watch("value", show);
show();
"""
_PARTS = (
    *("geometry", "images", "colours", "planes", "layers", "differences", "elements"),
    *("view", "camera", "gestures", "help", "places", "worst", "region", "bar", "draw", "copy", "viewer"),
)
"""The files of the script, each after those that it imports."""


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache
def script() -> str:
    """The viewer as one ES module with the single export ``mount(root, {panes, onView, ...options})``."""
    return plain(*_PARTS)


def plain(*names: str) -> str:
    """Files of the script by name, joined, without imports, and without exports but ``mount``."""
    parts = "\n".join(_read(f"{name}.js") for name in names)
    alone = re.sub(r'^import \{[^}]*\} from "\./\w+\.js";\n', "", parts, flags=re.MULTILINE)
    return re.sub(r"^export (?!function mount)", "", alone, flags=re.MULTILINE)


@lru_cache
def style() -> str:
    """The viewer's style sheet; every rule is for ``.mv`` and what is inside."""
    return _read("viewer.css")


def gradio_parts(options: Options | None = None) -> dict[str, Any]:
    """What makes a ``gr.HTML`` a viewer: its template, style and script, and options for values that lack them.

    The component's value is a :class:`Value` or None; its ``select`` event carries a :class:`View`, a moment
    after the person stops moving.
    """
    return {
        "html_template": '<div class="mv"></div>',
        "css_template": style(),
        "js_on_load": _GRADIO_SCRIPT % script().replace("export function mount", "function mount"),
        "options": options or {},
    }
