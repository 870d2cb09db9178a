"""Figures of the recorded evidence to look into, for app and notebooks (plotly); they suit light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import plotly.graph_objects as go  # type: ignore[import-untyped]

from mtkd.explore.comparison.costs import TIMED_HEIGHT, TIMED_WIDTH
from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.draw.theme import INK, blank
from mtkd.explore.evidence.results import GROUPS, Gain, Point

Axis = Literal["multiply-adds", "parameters", "seconds"]
_COLOURS = {GROUPS["teacher"]: PALETTE[6], GROUPS["aggregator"]: PALETTE[3]}
_SYMBOLS = {GROUPS["teacher"]: "square", GROUPS["aggregator"]: "diamond"}
_STUDENTS = (PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[5], PALETTE[4])
"""Colours of the families of students, in the order of their names."""
_AXES: dict[Axis, str] = {
    "multiply-adds": "multiply-adds for a 1280 × 720 output",
    "parameters": "parameters",
    "seconds": f"seconds for a {TIMED_WIDTH} × {TIMED_HEIGHT} output on this computer's CPU",
}


def _said(figure: go.Figure, text: str) -> go.Figure:
    """A figure that has nothing to show says why."""
    figure.update_layout(height=150)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 15})
    return figure


def _plus_minus(spread: float | None, seeds: int) -> str:
    return "one run" if spread is None else f"± {spread:.3f} over {seeds} seeds"


def tradeoff(points: Sequence[Point], axis: Axis, where: str, seconds: Mapping[str, float] | None = None) -> go.Figure:
    """PSNR against what a model costs, one point a model, an aggregator together with all of its teachers.

    Args:
        points: of one scale and set.
        axis: what is drawn to the right, on a logarithmic axis.
        where: the set and the scale, for the other axis.
        seconds: of every part of the points, by its name; needed for the axis of that name.
    """
    figure = blank(_AXES[axis], f"PSNR-Y on {where}, dB")
    shown = [point for point in points if point.parts]
    if not shown:
        return _said(figure, f"No model is measured on {where} yet.")
    values = {point.model: sum(_parts(point, axis, seconds).values()) for point in shown}
    groups = list(dict.fromkeys(point.group for point in shown))
    colours = _colours(groups)
    for group in groups:
        of = sorted((point for point in shown if point.group == group), key=lambda point: values[point.model])
        if of:
            figure.add_scatter(
                x=[values[point.model] for point in of],
                y=[point.psnr for point in of],
                error_y={"array": [point.spread for point in of], "thickness": 1.5, "width": 0},
                mode="markers+text",
                name=group,
                text=[_tag(point) for point in of],
                textposition=_places(group, groups, len(of)),
                textfont={"size": 12},
                marker={
                    "color": colours[group],
                    "symbol": _SYMBOLS.get(group, "circle"),
                    "size": 11,
                    "line": {"color": INK, "width": 1},
                },
                customdata=[[_hover(point, axis, seconds)] for point in of],
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
    low, high = min(point.psnr for point in shown), max(point.psnr for point in shown)
    room = 0.08 * (high - low) or 0.05
    bottom = low - room
    figure.update_yaxes(range=[bottom, high + 1.6 * room], tickformat=".2f")
    least, most = min(values.values()), max(values.values())
    ticks = [m * 10.0**power for power in range(-3, 13) for m in (1, 2, 5) if least / 2 < m * 10.0**power < most * 2]
    figure.update_xaxes(
        type="log",
        range=[math.log10(least / 1.35), math.log10(most * 1.15)],
        tickvals=ticks,
        ticktext=[amount(tick, axis) for tick in ticks],
    )
    for point in points:
        if not point.parts:
            text = f"bicubic: {point.psnr:.2f} dB" + (", below this picture" if point.psnr < bottom else "")
            place = {"x": 1, "xref": "paper", "xanchor": "right", "y": max(point.psnr, bottom), "yanchor": "bottom"}
            figure.add_annotation(text=text, showarrow=False, **place)
    return figure


def _colours(groups: Sequence[str]) -> dict[str, str]:
    """A colour a group; families of students take theirs in order, again from the first where there are more."""
    students = sorted(group for group in groups if group not in _COLOURS)
    return _COLOURS | {group: _STUDENTS[number % len(_STUDENTS)] for number, group in enumerate(students)}


def _places(group: str, groups: Sequence[str], count: int) -> list[str]:
    """Where tags stand, so that those of neighbours do not meet; points come from the cheapest on."""
    if group == GROUPS["teacher"]:
        return ["middle left", "top center", "middle right"][:count] if count <= 3 else ["top center"] * count
    if group == GROUPS["aggregator"]:
        return ["top center"] * count
    first = next(other for other in groups if other not in GROUPS.values())
    return ["middle left" if group == first else "middle right"] * count


def _tag(point: Point) -> str:
    """What stands beside the point: of students, only of the two that all of it is about."""
    if point.role == "teacher":
        return point.title
    return {"MT": "MT", "mtkd": "MTKD", "scratch": "Compact"}.get(point.label, "")


def _parts(point: Point, axis: Axis, seconds: Mapping[str, float] | None) -> dict[str, float]:
    if axis == "multiply-adds":
        return {name: cost.multiply_adds for name, cost in point.parts.items()}
    if axis == "parameters":
        return {name: cost.parameters for name, cost in point.parts.items()}
    return {name: (seconds or {})[name] for name in point.parts}


def amount(value: float, axis: Axis) -> str:
    """A cost in words: "21.6 G", "361,616", "0.42 s"."""
    if axis == "multiply-adds":
        return f"{value / 1e9:.3g} G"
    return f"{value:,.0f}" if axis == "parameters" else f"{value:.2g} s"


def _hover(point: Point, axis: Axis, seconds: Mapping[str, float] | None) -> str:
    parts = _parts(point, axis, seconds)
    lines = [f"<b>{point.model}</b>: {point.title}", f"{point.psnr:.3f} dB, {_plus_minus(point.spread, point.seeds)}"]
    lines.append(f"{amount(sum(parts.values()), axis)} {'' if axis == 'seconds' else axis}")
    if len(parts) > 1:
        lines += [f"&nbsp;&nbsp;{amount(value, axis)} {name}" for name, value in parts.items()]
    return "<br>".join(lines)


def agreement(gains: Sequence[Gain]) -> go.Figure:
    """Measured gain over the undistilled student against the printed one; hollow where there is one seed."""
    figure = blank("gain that the paper prints, dB", "gain measured here, dB", 520)
    if not gains:
        return _said(figure, "No gain is both measured and printed yet.")
    colours = _colours(list(dict.fromkeys(gain.student for gain in gains)))
    for student in dict.fromkeys(gain.student for gain in gains):
        of = [gain for gain in gains if gain.student == student]
        hollow = [gain.measured.spread is None for gain in of]
        figure.add_scatter(
            x=[gain.printed for gain in of],
            y=[gain.measured.mean for gain in of],
            error_y={"array": [gain.measured.spread for gain in of], "thickness": 1.5, "width": 0},
            mode="markers",
            name=student,
            marker={
                "color": colours[student],
                "symbol": ["circle-open" if one else "circle" for one in hollow],
                "size": 10,
                "line": {"width": 2, "color": colours[student]},
            },
            customdata=[[_gain(gain)] for gain in of],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    values = [0.0, *(gain.printed for gain in gains), *(gain.measured.mean for gain in gains)]
    room = 0.06 * (max(values) - min(values)) or 0.05
    ends = [min(values) - room, max(values) + room]
    line = {"color": INK, "width": 1}
    figure.add_shape(type="line", x0=ends[0], y0=ends[0], x1=ends[1], y1=ends[1], line={**line, "dash": "dash"})
    for axis in ("x", "y"):
        other = "y" if axis == "x" else "x"
        figure.add_shape(
            type="line", line=line, **{f"{axis}0": 0, f"{axis}1": 0, f"{other}0": ends[0], f"{other}1": ends[1]}
        )
    figure.update_xaxes(range=ends, tickformat="+.2f")
    figure.update_yaxes(range=ends, tickformat="+.2f")
    return figure


def _gain(gain: Gain) -> str:
    found = gain.measured
    return (
        f"<b>{gain.title}</b>, {gain.student}, {gain.set_name} ×{gain.scale}<br>"
        f"measured {found.mean:+.3f} dB, {_plus_minus(found.spread, found.seeds)}; "
        f"{found.won} of {found.images} images<br>printed {gain.printed:+.2f} dB"
    )


def curves(runs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """PSNR of the held-out images over the steps of training, a line a run."""
    figure = blank("step", "held-out PSNR-Y, dB", 260)
    figure.update_layout(margin={"l": 60, "r": 10, "t": 10, "b": 45})
    known = [run for run in runs if run["curve"]]
    if not known:
        return _said(figure, "No training curve was recorded.")
    for number, run in enumerate(known):
        steps, psnr = zip(*run["curve"], strict=True)
        colour = PALETTE[(1, 0, 2, 3, 6, 5)[number % 6]]
        figure.add_scatter(x=steps, y=psnr, mode="lines+markers", name=f"seed {run['seed']}", line={"color": colour})
    figure.update_layout(showlegend=len(known) > 1)
    figure.update_xaxes(tickformat=",d")
    return figure
