"""Figures of the recorded evidence to look into, for app and notebooks (plotly); they suit light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go  # type: ignore[import-untyped]

from mtkd.experiments.claims import amount
from mtkd.explore.draw.colours import STORY
from mtkd.explore.draw.theme import INK, SIGNED, blank
from mtkd.explore.evidence.result_rows import Row
from mtkd.explore.evidence.results import Point
from mtkd.explore.evidence.summary import Panel
from mtkd.explore.evidence.summary import Point as Paying
from mtkd.numbers import interval, signed

STORY_TITLES = {
    "scratch": "Student alone",
    "kd": "Student with KD",
    "mtkd": "Student with MTKD",
    "MT": "Combined teacher",
}
"""Of the rows that have a colour of their own, wherever they are drawn."""


def said(text: str) -> go.Figure:
    """A figure that has nothing to show says why."""
    figure = blank("", "", 150)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 15})
    return figure


def _plus_minus(spread: float | None, seeds: int) -> str:
    return "one run" if spread is None else f"± {spread:.3f} over {seeds} seeds"


# --- quality and compute


def tradeoff(points: Sequence[Point], where: str) -> go.Figure:
    """PSNR against multiply-adds, one point a model: the story in colour, the rest in grey.

    An aggregator stands at its own multiply-adds and those of all of its teachers.

    Args:
        points: of one scale and set.
        where: the set and the scale, for the other axis.
    """
    shown = [point for point in points if point.parts]
    if not shown:
        return said(f"No model is measured on {where} yet.")
    figure = blank("multiply-adds, output of 1280 × 720", f"PSNR-Y on {where}, dB", 400)
    values = {point.model: sum(part.multiply_adds for part in point.parts.values()) for point in shown}
    for label, title in ((None, ""), *STORY_TITLES.items()):
        of = [point for point in shown if (point.label if point.label in STORY_TITLES else None) == label]
        figure.add_scatter(
            x=[values[point.model] for point in of],
            y=[point.psnr for point in of],
            error_y={"array": [point.spread for point in of], "thickness": 1.5, "width": 0},
            mode="markers",
            name=title.removeprefix("Student ").removeprefix("with "),
            showlegend=label in {"scratch", "kd", "mtkd"},
            marker={
                "color": STORY.get(label or "", INK),
                "symbol": ["square" if point.role == "teacher" else "circle" for point in of],
                "size": 11 if label else 7,
                "opacity": 1 if label else 0.55,
            },
            customdata=[[_hover(point, values[point.model])] for point in of],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    low, high = min(point.psnr for point in shown), max(point.psnr for point in shown)
    room = 0.08 * (high - low) or 0.05
    for point, text, across, up in _tags(shown, values):
        figure.add_annotation(
            x=math.log10(values[point.model]), y=point.psnr, text=text, showarrow=False, font={"size": 12},
            xanchor=("right", "center", "left")[across + 1], xshift=9 * across, yshift=up,
        )  # fmt: skip
    figure.update_yaxes(range=[low - room, high + 2 * room], tickformat=".2f")
    least, most = min(values.values()), max(values.values())
    steps = (1, 3) if most < 100 * least else (1,)  # so few that they fit a phone
    ticks = [m * 10.0**power for power in range(3, 13) for m in steps if least / 2 < m * 10.0**power < most * 2]
    figure.update_xaxes(
        type="log",
        range=[math.log10(least / 1.5), math.log10(most * 1.6)],
        tickvals=ticks,
        ticktext=[f"{tick / 1e9:.3g} G" for tick in ticks],
    )
    return figure


def _tags(points: Sequence[Point], values: Mapping[str, float]) -> Iterator[tuple[Point, str, int, int]]:
    """What stands beside which points: left (-1), right (1) or in the middle (0), and how many pixels above.

    The combined teacher, the dearest of all, and the best teacher have their names left. A network's students have one
    at the best of them, on the side where no neighbour is; between two neighbours above and below in turn. Two sizes of
    a network are told by their parameters.
    """
    for role, text in (("aggregator", STORY_TITLES["MT"]), ("teacher", "Teachers")):
        if of := [point for point in points if point.role == role]:
            yield max(of, key=lambda point: (point.label == "MT", point.psnr)), text, -1, 0
    best: dict[float, Point] = {}
    for point in sorted(points, key=lambda point: point.psnr):
        if point.role == "student":
            best[values[point.model]] = point
    ordered = sorted(best)
    names = [best[value].group.removesuffix(" student") for value in ordered]
    height = 0.1 * (max(point.psnr for point in points) - min(point.psnr for point in points))

    def near(value: float | None, other: float | None) -> bool:
        if value is None or other is None:
            return False
        return other < 1.5 * value and abs(best[value].psnr - best[other].psnr) < height

    for name, before, value, after in zip(names, [None, *ordered], ordered, [*ordered[1:], None], strict=False):
        left, right = near(before, value), near(value, after)
        across, up = (0, 16) if left and right else (-1 if right else 1, 0)
        parameters = sum(part.parameters for part in best[value].parts.values())
        yield best[value], f"{name} {parameters / 1000:.0f} k" if names.count(name) > 1 else name, across, up


def _hover(point: Point, value: float) -> str:
    lines = [f"<b>{point.title}</b> ({point.model})", f"{point.psnr:.3f} dB, {_plus_minus(point.spread, point.seeds)}"]
    parameters = sum(part.parameters for part in point.parts.values())
    lines.append(f"{value / 1e9:.3g} G multiply-adds, {parameters:,} parameters")
    if len(point.parts) > 1:
        lines += [f"&nbsp;&nbsp;{part.multiply_adds / 1e9:.3g} G {name}" for name, part in point.parts.items()]
    return "<br>".join(lines)


# --- dots with intervals


@dataclass(frozen=True)
class Dot:
    """One line of a dot plot: ``mean`` with its 95 % interval over ``seeds``; hollow with one seed.

    ``printed`` is the paper's number, ``aside`` a text in a column at the right, ``hover`` what a pointer gets.
    """

    title: str
    mean: float
    interval: Sequence[float] | None
    seeds: int
    colour: str = INK
    printed: float | None = None
    aside: str = ""
    hover: str = ""


def row_dot(row: Row, aside: str = "") -> Dot:
    """The gain of a row of a table over the student alone."""
    assert row.over is not None
    over = row.over
    aside_of_mean = f", 95 % interval {interval(over.interval)}" if over.interval else ""
    hover = f"<b>{row.title}</b> ({row.model})<br>{signed(over.mean, '+.3f')} dB{aside_of_mean}, n = {over.seeds}"
    hover += f"<br>better on {over.won} of {over.images} images"
    if row.printed_over is not None:
        hover += f"<br>in the paper {signed(row.printed_over)} dB"
    colour = STORY.get(row.label, INK)
    return Dot(row.method, over.mean, over.interval, over.seeds, colour, row.printed_over, aside, hover)


def dots(groups: Mapping[str, Sequence[Dot]], x: str, asides: str = "") -> go.Figure:
    """Dots with intervals, a line each, below a heading a group; diamonds are the paper's numbers.

    Dots and printed numbers decide what is seen, with the intervals as far as that allows: one that leaves the picture
    ends in an arrow at its edge.

    Args:
        x: what the dots are, for the axis.
        asides: heading of the column at the right.
    """
    lines = _lines(groups)
    figure = blank(x, "", dots_height(groups))
    places = {id(line): -number for number, line in enumerate(lines)}
    shown = [line for line in lines if isinstance(line, Dot)]
    ends = [0.0, *(dot.mean for dot in shown), *(dot.printed for dot in shown if dot.printed is not None)]
    room = 0.6 * (max(ends) - min(ends)) or 0.05
    intervals = [end for dot in shown for end in dot.interval or ()]
    low = max(min(ends) - 2.5 * room, min([min(ends) - room, *(end - 0.1 * room for end in intervals)]))
    high = min(max(ends) + 2.5 * room, max([max(ends) + room, *(end + 0.1 * room for end in intervals)]))
    for dot in shown:
        _interval(figure, dot, places[id(dot)], low, high)
    _markers(figure, [dot for dot in shown if dot.printed is not None], places, "the paper", printed=True)
    _markers(figure, shown, places, "measured here")
    texts = [f"<b>{line}</b>" if isinstance(line, str) else line.title for line in lines]
    figure.update_yaxes(tickvals=[-n for n in range(len(lines))], ticktext=texts, range=[0.7 - len(lines), 0.7],
                        showgrid=False, title=None)  # fmt: skip
    ticks = _ticks(low, high)
    figure.update_xaxes(range=[low, high], tickvals=list(ticks), ticktext=list(ticks.values()), tickangle=0,
                        zeroline=True, zerolinecolor=INK, zerolinewidth=1)  # fmt: skip
    figure.update_layout(
        showlegend=any(dot.printed is not None for dot in shown),
        margin={"l": 10, "r": 92 if asides else 10, "t": 30, "b": 50},
    )
    column = {"x": 1.01, "xref": "paper", "xanchor": "left", "showarrow": False, "font": {"size": 12}}
    if asides:
        figure.add_annotation(text=asides, y=1, yref="paper", yanchor="bottom", **column)
        for dot in shown:
            figure.add_annotation(text=dot.aside, y=places[id(dot)], **column)
    return figure


def _ticks(low: float, high: float) -> dict[float, str]:
    """Three to six round numbers as they are written; plotly's own miss zero by so much that it writes "−0.00"."""
    power = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(power * part for part in (0.1, 0.2, 0.5, 1, 2, 5) if (high - low) / (power * part) < 6)
    digits = max(0, -math.floor(math.log10(step)))
    places = [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return {place: signed(place, f"+.{digits}f") if place else "0" for place in places}


def dots_height(groups: Mapping[str, Sequence[Dot]]) -> int:
    """Pixels of :func:`dots`."""
    return 90 + 23 * len(_lines(groups))


def _lines(groups: Mapping[str, Sequence[Dot]]) -> list[Dot | str]:
    return [line for title, of in groups.items() for line in ([title] if title else []) + list(of)]


def _interval(figure: go.Figure, dot: Dot, place: int, low: float, high: float) -> None:
    if dot.interval is not None:
        ends = [max(dot.interval[0], low), min(dot.interval[1], high)]
        line = {"color": dot.colour, "width": 2}
        goes_on = dot.interval[0] < low, dot.interval[1] > high
        arrows = {"symbol": ["triangle-left", "triangle-right"], "size": [9 * end for end in goes_on], "opacity": 1}
        figure.add_scatter(
            x=ends, y=[place] * 2, mode="lines+markers", line=line, marker=arrows, hoverinfo="skip", showlegend=False
        )


def _markers(figure: go.Figure, of: Sequence[Dot], places: Mapping[int, int], name: str, printed: bool = False) -> None:
    if not of:
        return
    hollow = ["diamond-open" if printed else "circle" if dot.seeds > 1 else "circle-open" for dot in of]
    figure.add_scatter(
        x=[dot.printed if printed else dot.mean for dot in of],
        y=[places[id(dot)] for dot in of],
        mode="markers",
        name=name,
        marker={
            "size": 8 if printed else 10,
            "symbol": hollow,
            "color": INK if printed else [dot.colour for dot in of],
            "line": {"width": 2, "color": INK if printed else [dot.colour for dot in of]},
        },
        customdata=[[dot.hover] for dot in of],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


# --- when does distillation pay?

_PANELS: Mapping[Panel, str] = {
    "steps": "training steps",
    "images": "training images",
    "parameters": "parameters of the student",
}


def paying(points: Sequence[Paying], panel: Panel) -> go.Figure:
    """Gains over the student alone with their intervals, a line a method; what is varied on a logarithmic axis.

    Only an interval much wider than all gains leaves the picture.
    """
    figure = blank(_PANELS[panel], "gain over the student alone, dB", 320)
    values = sorted({point.value for point in points})
    means = [point.comparison["mean"] for point in points]
    span = max(0.0, *means) - min(0.0, *means) or 0.05
    intervals = [end for point in points for end in point.comparison["interval"] or ()]
    low = max(min(0.0, *means, *intervals), min(0.0, *means) - 2 * span) - 0.1 * span
    high = min(max(0.0, *means, *intervals), max(0.0, *means) + 2 * span) + 0.1 * span
    for side, method in ((-1, "kd"), (1, "mtkd")):
        of = [point for point in points if point.method == method]
        ends = [point.comparison["interval"] or [point.comparison["mean"]] * 2 for point in of]
        figure.add_scatter(
            x=[point.value * 1.02**side for point in of],
            y=[point.comparison["mean"] for point in of],
            error_y={
                "array": [high - point.comparison["mean"] for point, (_, high) in zip(of, ends, strict=True)],
                "arrayminus": [point.comparison["mean"] - low for point, (low, _) in zip(of, ends, strict=True)],
                "thickness": 1.5,
                "width": 3,
            },
            mode="lines+markers",
            name=STORY_TITLES[method].removeprefix("Student with "),
            line={"color": STORY[method], "width": 2},
            marker={
                "size": 9,
                "symbol": ["circle" if point.comparison["seeds"] > 1 else "circle-open" for point in of],
            },
            customdata=[[_paying(point, panel)] for point in of],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    figure.update_xaxes(type="log", tickvals=values, ticktext=[f"{value:,}" for value in values],
                        range=[math.log10(values[0] / 1.4), math.log10(values[-1] * 1.4)])  # fmt: skip
    figure.update_yaxes(tickformat=SIGNED, range=[low, high],
                        zeroline=True, zerolinecolor=INK, zerolinewidth=1)  # fmt: skip
    figure.update_layout(margin={"l": 60, "r": 10, "t": 30, "b": 50})
    return figure


def _paying(point: Paying, panel: Panel) -> str:
    lines = [f"<b>{STORY_TITLES[point.method]}</b>, {point.value:,} {panel}", amount(point.comparison)]
    return "<br>".join([*lines, point.comparison["verdict"], *point.runs])
