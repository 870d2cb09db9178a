"""The look of all plotly figures: no background of their own, a grey that light and dark pages both carry."""

from __future__ import annotations

import plotly.graph_objects as go  # type: ignore[import-untyped]

INK, FAINT = "#868c98", "rgba(134, 140, 152, 0.25)"


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
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": INK, "remove": ["lasso2d", "select2d", "autoScale2d"]},
    )
    line = {"gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": FAINT, "automargin": True}
    figure.update_xaxes(title={"text": x, "standoff": 12}, **line)
    figure.update_yaxes(title={"text": y, "standoff": 16}, **line)
    return figure
