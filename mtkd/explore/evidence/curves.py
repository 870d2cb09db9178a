"""Curves of trainings over their steps: one as far as it has got, several after their end."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go  # type: ignore[import-untyped]

from mtkd.explore.draw.colours import PALETTE, SERIES
from mtkd.explore.draw.theme import FAINT, INK, blank
from mtkd.training.measured import LOOP_NUMBERS, Curve


def psnr_figure(curve: Curve, iterations: int, levels: Mapping[str, float] | None = None) -> go.Figure:
    """PSNR of the validation images over the steps, and what other networks reach on them as level lines.

    Args:
        curve: of the run; may be empty.
        iterations: of the whole training: where the axis ends.
        levels: PSNR in dB by the name that stands at the line.
    """
    levels = levels or {}
    figure = blank("Step", "Validation PSNR, dB", 240)
    for name, value in levels.items():
        line = {"color": INK, "width": 1.5, "dash": "dot"}
        figure.add_trace(
            go.Scatter(
                x=[0, iterations], y=[value, value], name=name, mode="lines", line=line, hovertemplate="%{y:.2f} dB"
            )
        )
        figure.add_annotation(x=1, xref="paper", y=value, text=f"{name} {value:.2f}", xanchor="right", yanchor="bottom",
                              showarrow=False, font={"size": 12})  # fmt: skip
    trace = _trace(curve, "This run", {"color": PALETTE[0], "width": 3})
    figure.add_trace(trace.update(mode="lines+markers", marker={"size": 5}, hovertemplate="%{y:.2f} dB"))
    if levels and curve[1]:
        step, value = curve[0][-1], curve[1][-1]
        side = "right" if 2 * step > iterations else "left"
        figure.add_annotation(x=step, y=value, text=f"<b>This run {value:.2f}</b>", xanchor=side, yanchor="bottom",
                              showarrow=False, font={"size": 13})  # fmt: skip
    figure.update_layout(margin={"l": 60, "r": 12, "t": 8, "b": 40}, showlegend=False, hovermode="x unified")
    figure.update_xaxes(range=[0, iterations])
    figure.update_yaxes(tickformat=".1f")
    if not levels and not curve[1]:
        figure.add_annotation(x=0.5, y=0.5, xref="paper", yref="paper", text="Not measured yet", showarrow=False)
        figure.update_yaxes(showticklabels=False)
    if levels:
        known = [*levels.values(), *curve[1]]
        figure.update_yaxes(range=[min(known) - 0.2, max(known) + 0.4])
    return figure


def loss_figure(curves: Mapping[str, Curve], parts: Mapping[str, str], iterations: int) -> go.Figure:
    """The loss, its terms, and their parts (dotted), logarithmic.

    Args:
        curves, parts: those of :class:`mtkd.training.measured.Measured`.
        iterations: of the whole training: where the axis ends.
    """
    losses = [name for name in curves if name == "loss" or name not in LOOP_NUMBERS]  # terms, their sum, their parts
    if len(losses) == 2:
        losses.remove("loss")  # the sum of one term
    of = f" (dotted: parts of {', '.join(dict.fromkeys(parts.values()))})" if parts else ""
    figure = blank("Step", f"Weighted loss{of}", 360)
    colours = itertools.cycle(PALETTE)
    for name in losses:
        colour = INK if name == "loss" else next(colours)
        line = {"color": colour, "width": 1.4 if name in parts else 2, "dash": "dot" if name in parts else "solid"}
        figure.add_trace(_trace(curves[name], "sum" if name == "loss" else name, line))
    figure.update_layout(margin={"l": 60, "r": 12, "t": 40, "b": 46}, hovermode="x unified")
    figure.update_xaxes(range=[0, iterations], gridcolor=FAINT)
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    return figure


def _trace(curve: Curve, name: str, line: Mapping[str, object]) -> go.Scatter:
    return go.Scatter(x=curve[0], y=curve[1], name=name, mode="lines", line=line, hovertemplate="%{y:.3g}")


@dataclass(frozen=True)
class Line:
    """PSNR of the held-out images over the steps of one training; a ``note`` says what is wrong with it.

    Without a ``colour`` it has the next one of the series.
    """

    title: str
    curve: Curve
    note: str = ""
    colour: str = ""


def held_out_figure(lines: Sequence[Line], step: int | None = None, height: int = 260) -> go.Figure:
    """PSNR of the held-out images over the steps, on a logarithmic axis where a ``step`` is marked.

    Dotted is what has a note, as a pointer on it says.
    """
    figure = blank("step", "held-out PSNR-Y, dB", height)
    for number, line in enumerate(lines):
        hover = "%{y:.3f} dB at %{x:,}" + (f"<br>{'<br>'.join(textwrap.wrap(line.note, 60))}" if line.note else "")
        stroke = {
            "color": line.colour or SERIES[number % len(SERIES)],
            "width": 2,
            "dash": "dot" if line.note else "solid",
        }
        trace = _trace(line.curve, line.title, stroke)
        figure.add_trace(trace.update(mode="lines+markers", hovertemplate=hover))
    figure.update_layout(showlegend=len(lines) > 1, margin={"l": 60, "r": 10, "t": 10, "b": 50})
    figure.update_xaxes(tickformat=",d")
    if any(line.note for line in lines):
        text = "Dotted: point at the line for its note"
        place = {"x": 1, "y": 0, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom"}
        figure.add_annotation(text=text, showarrow=False, font={"size": 12}, **place)
    if step is not None:
        figure.update_xaxes(type="log", dtick=1)
        figure.add_vline(x=step, line={"color": INK, "dash": "dot"})
    return figure
