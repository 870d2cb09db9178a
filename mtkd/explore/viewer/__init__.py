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
from typing import Any, NotRequired, TypedDict

Address = str | Mapping[str, Any]
"""Of a **lossless** image: a URL, a data URI, or Gradio's ``FileData`` dictionary."""


class Pane(TypedDict):
    """One image and its other views.

    ``name`` is unique among the panes. ``layers`` maps the name of a view ("image", "error", ...) to an address;
    a pane may lack layers that others have. ``download`` is what the arrow in the header saves: ``href``
    (http, data, blob or relative) and ``filename``. ``scale`` is for a pane that shows the low-resolution input:
    the coordinates under the mouse are then also given in its pixels.
    """

    name: str
    layers: Mapping[str, Address]
    caption: NotRequired[str]
    download: NotRequired[Mapping[str, Address]]
    scale: NotRequired[float]


class View(TypedDict, total=False):
    """What is looked at: the same region in panes of any size.

    ``zoom`` is relative to the whole image (1), ``cx`` and ``cy`` are the centre in 0..1, ``layer`` is what every
    pane shows, ``focus`` the name of the pane shown alone, or None. ``region`` is the rectangle that was drawn:
    [top, left, height, width] in pixels of the largest image, or None.
    """

    zoom: float
    cx: float
    cy: float
    layer: str
    focus: str | None
    region: list[int] | None


class Value(TypedDict):
    """What the viewer shows; plain JSON.

    ``reference`` names the pane marked as the reference, ``columns`` overrides the choice of columns, ``view`` (a
    link that reproduces a view) is where to look; without it the place stays as the person left it. With ``pick``, a
    click places a square region of so many pixels a side; without, a region is drawn.
    """

    panes: list[Pane]
    reference: NotRequired[str | None]
    columns: NotRequired[int | None]
    pick: NotRequired[int | None]
    view: NotRequired[View | None]


# In a function of its own: Gradio hands its code names (`element`, `props`, ...) that ours must not touch.
_GRADIO_SCRIPT = """
const mount = (() => {
%s
return mount;
})();
const viewer = mount(element.querySelector(".mv"), { onView: (view) => trigger("select", view) });
const show = () => viewer.update(props.value?.panes, props.value ?? {});
watch("value", show);
show();
"""


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache
def script() -> str:
    """The viewer as one ES module with the single export ``mount(root, {panes, onView})``."""
    parts = re.sub(r"^export ", "", _read("parts.js"), flags=re.MULTILINE)
    viewer = re.sub(r'^import \{[^}]*\} from "\./parts\.js";\n', "", _read("viewer.js"), flags=re.MULTILINE)
    return parts + viewer


@lru_cache
def style() -> str:
    """The viewer's style sheet; every rule is for ``.mv`` and what is inside."""
    return _read("viewer.css")


def gradio_parts() -> dict[str, str]:
    """The strings that make a ``gr.HTML`` a viewer: its template, style and script.

    The component's value is a :class:`Value` or None; its ``select`` event carries a :class:`View`, a moment
    after the person stops moving.
    """
    return {
        "html_template": '<div class="mv"></div>',
        "css_template": style(),
        "js_on_load": _GRADIO_SCRIPT % script().replace("export function mount", "function mount"),
    }
