"""The theme of all plotly figures: transparent background, and a grey that suits light and dark pages."""

from __future__ import annotations

import plotly.graph_objects as go  # type: ignore[import-untyped]

INK, FAINT = "#868c98", "rgba(134, 140, 152, 0.25)"
SIGNED = ".>+.2f"
"""Format of a tick with its sign; plotly puts a "~" before one that begins with "+", which then is none."""
_NEEDLESS = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d", "lasso2d", "select2d"]
"""Buttons for what the mouse does by itself (drag: zoom, double-click: all): only the download is left."""


def blank(x: str, y: str, height: int = 430) -> go.Figure:
    """An empty figure with titled axes."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13, "family": "system-ui, sans-serif"},
        height=height,
        margin={"l": 70, "r": 20, "t": 20, "b": 60},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": INK, "remove": _NEEDLESS},
    )
    line = {"gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": FAINT, "automargin": True}
    figure.update_xaxes(title={"text": x, "standoff": 12}, **line)
    figure.update_yaxes(title={"text": y, "standoff": 16}, **line)
    return figure
