"""Still charts of the recorded evidence, for notebooks and papers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mtkd.data.sources import default_sets
from mtkd.experiments.plan import Plan
from mtkd.experiments.records import Records
from mtkd.experiments.statistics import MARGIN, Paired
from mtkd.experiments.tables import Tables, find
from mtkd.explore.draw.alt import described, listed
from mtkd.explore.draw.colours import SERIES, STORY
from mtkd.explore.evidence.summary import Panel, Point
from mtkd.numbers import signed

_INK, _GREY, _LINE = "#1f2430", "#8a91a0", "#d9dde5"
DPI = 110
_MARKERS = "osD^vP"


def _axes(figure: Figure, count: int, **options: Any) -> list[Axes]:
    found = figure.subplots(1, count, squeeze=False, **options)[0]
    for axes in found:
        _plain(axes)
    return list(found)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    axes.grid(axis="x", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def as_picture(figure: Figure, alt: str) -> Image.Image:
    """The figure as a picture with an alt text."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return described(Image.open(buffer).convert("RGB"), alt)


def _values(values: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in values.items())


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, color=_INK, fontweight="bold")


def merging_gains(agreements: Sequence[Mapping[str, Any]], names: Mapping[str, str], scale: int = 4) -> Image.Image:
    """What merging the teachers gains over the best of them, a panel a set.

    Args:
        agreements: rows of :func:`mtkd.experiments.maintain.evidence.measured_agreements`.
        names: the gains to show, and what to call them, from top to bottom.
    """
    rows = [row for row in agreements if row["scale"] == scale]
    figure = Figure(figsize=(9, 0.9 + 0.33 * len(names)), layout="constrained", dpi=DPI)
    for axes, row in zip(_axes(figure, len(rows), sharex=True, sharey=True), rows, strict=True):
        values = [row["gains"][name] for name in names]
        places = range(len(values))
        colours = [_GREY if name == "predicted" else SERIES[0] for name in names]
        axes.barh(places, values, height=0.55, color=colours)
        for place, value in zip(places, values, strict=True):
            at = max(value, 0), place
            axes.annotate(signed(value, "+.3f"), at, (4, 0), textcoords="offset points", va="center", fontsize=8.5,
                          color=_INK)  # fmt: skip
        axes.set_yticks(places, list(names.values()))
        axes.margins(x=0.25)
        _title(axes, f"{row['set']} (r = {row['mean_correlation']:.3f})")
    axes.invert_yaxis()
    figure.supxlabel("dB over the best teacher", fontsize=9, color=_INK)
    alt = listed(f"{row['set']}: " + _values({names[one]: row["gains"][one] for one in names}, "+.3f") for row in rows)
    return as_picture(figure, f"Bars, dB over the best teacher. {alt}.")


def differences(
    content: Mapping[str, Any],
    table: str,
    pairs: Sequence[tuple[str, str]],
    scale: int = 4,
    sets: Sequence[str] = (),
) -> Image.Image:
    """Paired differences in PSNR between rows of a table of the report, a panel a set, spread over seeds as a line.

    Pairs that were not measured are left out; without ``sets`` the default benchmark sets are drawn.
    """
    sets = sets or default_sets()
    found = find(content, table, scale)
    titles = {row["label"]: row["title"] for row in found["rows"]}
    known = {(row["first"], row["second"]): row["sets"] for row in found["differences"]}
    measured = [pair for pair in pairs if pair in known]
    common = titles[measured[0][1]] if len({second for _, second in measured}) == 1 else ""
    figure = Figure(figsize=(9, 0.9 + 0.3 * len(measured)), layout="constrained", dpi=DPI)
    axes_of = _axes(figure, len(sets), sharex=True, sharey=True)
    for axes, set_name in zip(axes_of, sets, strict=True):
        for place, pair in enumerate(measured):
            cell = known[pair].get(set_name)
            if cell is None:
                continue
            colour = SERIES[0] if cell["mean"] > 0 else SERIES[1]
            axes.errorbar(cell["mean"], place, xerr=cell["spread"] or 0, fmt="o", color=colour, markersize=6,
                          mfc=colour if cell["seeds"] > 1 else "white", capsize=3)  # fmt: skip
            text = f"{signed(cell['mean'], '+.3f')}  {cell['won']}/{cell['images']}"
            axes.annotate(text, (cell["mean"], place), (9, 5), textcoords="offset points", fontsize=8, color=_INK)
        axes.axvline(0, color=_GREY, linewidth=1)
        axes.set_yticks(
            range(len(measured)), [titles[a] if common else f"{titles[a]} − {titles[b]}" for a, b in measured]
        )
        axes.set_ylim(len(measured) - 0.5, -0.7)
        axes.margins(x=0.3)
        _title(axes, set_name)
    over = f"dB over {common}" if common else "difference in dB"
    figure.supxlabel(f"{over}; hollow: one seed; n/m: images won", fontsize=9, color=_INK)
    alt = listed(
        f"{name}: " + _values({f"{titles[p[0]]} over {titles[p[1]]}": known[p][name]["mean"] for p in measured
                               if known[p].get(name)}, "+.3f")
        for name in sets
    )  # fmt: skip
    return as_picture(figure, f"Points with their spread over the seeds, {over}. {alt}.")


def training_curves(
    plan: Plan, records: Records, models: Mapping[str, str], scale: int = 4, seed: int = 1
) -> Image.Image:
    """PSNR of the held-out images over the steps of training.

    Args:
        models: names of the plan's models, and what to call them; those without a record of their curve are left out.
    """
    tables = Tables(plan, records)
    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=DPI)
    (axes,) = _axes(figure, 1)
    noted = None
    for number, (name, title) in enumerate(models.items()):
        run = records.runs.get(tables.matrix.run(name, scale, seed).digest)
        if run is None or not run["curve"]:
            continue
        steps, psnr = zip(*run["curve"], strict=True)
        noted = run.get("curve_note") or noted
        (line,) = axes.plot(steps, psnr, color=SERIES[number], marker=_MARKERS[number], markersize=4, label=title)
        line.set_linestyle(":" if run.get("curve_note") else "-")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_xlabel("steps" + ("\n" + textwrap.fill(f"Dotted: {noted}", 110) if noted else ""), fontsize=9, color=_INK)
    axes.set_ylabel("held-out PSNR-Y, dB", fontsize=9, color=_INK)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return as_picture(figure, f"Curves of held-out PSNR-Y in dB over training steps: {listed(models.values())}.")


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    log: bool = False,
    height: float = 3.4,
) -> Image.Image:
    """Curves over one another: (x values, y values) by name; ``log`` is the x axis."""
    figure = Figure(figsize=(9, height), layout="constrained", dpi=DPI)
    (axes,) = _axes(figure, 1)
    for number, (name, (across, up)) in enumerate(series.items()):
        marker = _MARKERS[number % len(_MARKERS)] if len(across) <= 30 else ""
        axes.plot(across, up, color=SERIES[number % len(SERIES)], label=name, marker=marker, markersize=4)
    if log:
        axes.set_xscale("log")
        places = sorted({place for across, _ in series.values() for place in across})
        if len(places) <= 12:
            axes.set_xticks(places, [f"{place:,g}" for place in places], minor=False)
            axes.set_xticks([], minor=True)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_xlabel(x, fontsize=9, color=_INK)
    axes.set_ylabel(y, fontsize=9, color=_INK)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=9)
    ends = (f"{name} from {up[0]:.4g} to {up[-1]:.4g}" for name, (_, up) in series.items() if len(up))
    return as_picture(figure, f"Curves of {y} over {x}: {listed(ends)}.")


def bars(groups: Mapping[str, Mapping[str, float]], unit: str, form: str = ".3f", columns: int = 3) -> Image.Image:
    """Horizontal bars, a panel a group, all with one axis: values by name; ``form`` is how they are written."""
    rows = -(-len(groups) // columns)
    tallest = max(map(len, groups.values()))
    figure = Figure(figsize=(9, rows * (0.75 + 0.32 * tallest)), layout="constrained", dpi=DPI)
    columns = min(columns, len(groups))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True).flatten()
    for axes in grid[len(groups) :]:
        axes.remove()
    for number, (axes, (title, values)) in enumerate(zip(grid, groups.items(), strict=False)):
        _plain(axes)
        axes.barh(range(len(values)), list(values.values()), height=0.6, color=SERIES[number % len(SERIES)])
        for place, value in enumerate(values.values()):
            axes.annotate(signed(value, form), (max(value, 0), place), (4, 0), textcoords="offset points", va="center",
                          fontsize=8.5, color=_INK)  # fmt: skip
        axes.set_yticks(range(len(values)), list(values))
        axes.margins(x=0.3)
        axes.invert_yaxis()
        _title(axes, title)
    figure.supxlabel(unit, fontsize=9, color=_INK)
    alt = listed(f"{title}: {_values(values, form)}" for title, values in groups.items())
    return as_picture(figure, f"Bars, {unit}. {alt}.")


def forest(rows: Mapping[str, Paired], over: str, reach: float | None = None) -> Image.Image:
    """Differences as a forest plot: a dot a seed, their mean, its 97.5 % interval, the verdict.

    Grey is the range in which a difference is of no interest (:data:`~mtkd.experiments.statistics.MARGIN`). An interval
    that leaves the picture ends in an arrow.

    Args:
        rows: by name, from top to bottom.
        over: what they are differences to, for the axis.
        reach: dB to each side; by default what holds every seed, and half as much again.
    """
    reach = reach or 1.5 * max([MARGIN, *(abs(gain) for row in rows.values() for gain in row.differences)])
    figure = Figure(figsize=(9, 0.95 + 0.42 * len(rows)), layout="constrained", dpi=DPI)
    (axes,) = _axes(figure, 1)
    axes.axvspan(-MARGIN, MARGIN, color=_LINE, alpha=0.6, linewidth=0)
    axes.axvline(0, color=_GREY, linewidth=1)
    for place, row in enumerate(rows.values()):
        low, high = (min(max(end, -reach), reach) for end in row.tested)
        axes.plot([low, high], [place, place], color=SERIES[0], linewidth=2, solid_capstyle="butt")
        for end, marker in ((row.tested[0], "<"), (row.tested[1], ">")):
            if abs(end) > reach:
                axes.plot(reach if end > 0 else -reach, place, marker, color=SERIES[0], markersize=6, clip_on=False)
        axes.plot(row.differences, [place + 0.25] * len(row.differences), "o", color=_GREY, markersize=3.5)
        axes.plot(row.mean, place, "D", color=SERIES[0], markersize=7)
        text = f"{signed(row.mean, '+.3f')} dB, {row.verdict}"
        axes.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=_INK)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(axis="y", pad=12)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-reach, reach)
    axes.set_xlabel(f"dB over {over}; dots: seeds; line: 97.5 % interval of the mean", fontsize=9, color=_INK)
    alt = listed(f"{name} {signed(row.mean, '+.3f')} dB, {row.verdict}" for name, row in rows.items())
    return as_picture(figure, f"Forest plot, dB over {over}. {alt}.")


def paying(panels: Mapping[Panel, Sequence[Point]]) -> Image.Image:
    """When distillation pays: gains over the student alone with their 97.5 % intervals, a panel for each thing varied.

    A filled dot's interval lies above 0. An interval much wider than all gains leaves the picture.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=DPI)
    told = []
    for axes, (panel, points) in zip(_axes(figure, len(panels)), panels.items(), strict=True):
        axes.axhline(0, color=_GREY, linewidth=1)
        for side, method in ((-1, "kd"), (1, "mtkd")):
            of = [point for point in points if point.method == method]
            places, colour = [point.value * 1.03**side for point in of], STORY[method]
            axes.plot(places, [point.comparison["mean"] for point in of], color=colour, label=method.upper())
            for place, point in zip(places, of, strict=True):
                mean = point.comparison["mean"]
                low, high = point.comparison["interval"] or (mean, mean)
                face = colour if low > 0 and high > low else "white"
                axes.plot([place, place], [low, high], color=colour, linewidth=1.5)
                axes.plot(place, mean, "o", color=colour, markerfacecolor=face, markersize=6)
                told.append(f"{method.upper()}, {point.value:,} {panel}: {signed(mean, '+.3f')} dB")
        means = [point.comparison["mean"] for point in points]
        room = max(0.0, *means) - min(0.0, *means)
        axes.set_ylim(min(0.0, *means) - 0.6 * room, max(0.0, *means) + 0.6 * room)
        axes.set_xscale("log")
        values = sorted({point.value for point in points})
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.minorticks_off()
        axes.grid(axis="y", color=_LINE, linewidth=0.8)
        _title(axes, f"training {panel}" if panel != "parameters" else panel)
    figure.supylabel("gain over the student alone, dB", fontsize=9, color=_INK)
    figure.axes[0].legend(frameon=False, fontsize=9)
    return as_picture(figure, f"Gains over the student alone. {listed(told)}.")


def strip(groups: Mapping[str, Sequence[float]], unit: str, band: tuple[float, float], meaning: str) -> Image.Image:
    """Values as dots on one axis, a row a group; ``band`` is shaded, and ``meaning`` says in the key what it is."""
    figure = Figure(figsize=(9, 1.2 + 0.42 * len(groups)), layout="constrained", dpi=DPI)
    (axes,) = _axes(figure, 1)
    axes.axvspan(*band, color=_LINE, alpha=0.8, linewidth=0, label=meaning)
    axes.axvline(0, color=_GREY, linewidth=1)
    for place, values in enumerate(groups.values()):
        axes.plot(values, [place] * len(values), "o", color=SERIES[place % len(SERIES)], alpha=0.6, markersize=7)
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_xlabel(unit, fontsize=9, color=_INK)
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    alt = listed(f"{name}: {', '.join(f'{value:.3g}' for value in values)}" for name, values in groups.items())
    return as_picture(figure, f"Dots, {unit}. {alt}. Shaded: {meaning}.")
