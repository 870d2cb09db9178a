"""Curves of one training over its steps, as far as it has got."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.draw.theme import FAINT, INK
from mtkd.training.measured import HELD_OUT_PSNR, LOOP_NUMBERS, Curve


def training_figure(curves: Mapping[str, Curve], parts: Mapping[str, str], iterations: int) -> go.Figure:
    """Left: the loss, its terms, and their parts (dotted), logarithmic; right: PSNR of the held-out images.

    Args:
        curves, parts: those of :class:`mtkd.training.measured.Measured`.
        iterations: of the whole training: where the axes end.
    """
    figure = make_subplots(1, 2, column_widths=[0.6, 0.4], horizontal_spacing=0.09)
    losses = [name for name in curves if name == "loss" or name not in LOOP_NUMBERS]  # terms, their sum, their parts
    split = list(dict.fromkeys(parts.values()))
    if len(losses) == 2:
        losses.remove("loss")  # the sum of one term
    colours = itertools.cycle(PALETTE)
    for name in losses:
        colour = INK if name == "loss" else next(colours)
        line = {"color": colour, "width": 1.4 if name in parts else 2, "dash": "dot" if name in parts else "solid"}
        figure.add_trace(_trace(curves[name], "sum" if name == "loss" else name, line), 1, 1)
    if HELD_OUT_PSNR in curves:
        trace = _trace(curves[HELD_OUT_PSNR], "held-out PSNR", {"color": PALETTE[2], "width": 2})
        figure.add_trace(trace.update(mode="lines+markers", showlegend=False, hovertemplate="%{y:.3f} dB"), 1, 2)
    figure.update_layout(
        height=340,
        margin={"l": 60, "r": 15, "t": 28, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        legend={"orientation": "h", "yanchor": "top", "y": -0.17, "x": 0},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#fff", "font": {"color": "#333"}},
    )
    figure.update_xaxes(title="step", range=[0, iterations], gridcolor=FAINT, zeroline=False)
    figure.update_yaxes(gridcolor=FAINT, zeroline=False)
    figure.update_yaxes(type="log", tickformat="~g", dtick=1, row=1, col=1)
    figure.update_yaxes(tickformat=".2f", row=1, col=2)
    title = "Loss terms, weighted" + (f" (dotted: parts of {', '.join(split)})" if split else "")
    for place, text in ((0, title), (0.59, "Held-out images: PSNR-Y, dB")):
        figure.add_annotation(text=text, x=place, y=1.02, xref="paper", yref="paper", xanchor="left", yanchor="bottom",
                              showarrow=False, font={"size": 13})  # fmt: skip
    return figure


def _trace(curve: Curve, name: str, line: Mapping[str, object]) -> go.Scatter:
    return go.Scatter(x=curve[0], y=curve[1], name=name, mode="lines", line=line, hovertemplate="%{y:.3g}")
