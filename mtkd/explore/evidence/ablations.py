"""Table 5 as pictures: what each variant changes, in an image, in numbers and in cost; a training step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import plotly.graph_objects as go  # type: ignore[import-untyped]
import torch

from mtkd import zoo
from mtkd.experiments.cost import Estimator
from mtkd.explore.comparison.core import TRUTH, Comparison, SaveImage, compare
from mtkd.explore.draw import colours
from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.draw.theme import FAINT, blank
from mtkd.explore.evidence.result_rows import Row
from mtkd.explore.evidence.results import Results
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image
from mtkd.training.recipe import parse

DIFFERENCE_RANGE = 12
"""Luma levels at which a difference of two students is in full colour: they differ less than from the truth."""
GAIN_HEIGHT = 380
"""Pixels of the plot of gains against costs."""
TABLES = {"table5": "Ablations (Table 5)", "table2": "Methods (Table 2)", "controls": "Controls"}
"""Tables of one student, whose rows are its variants."""


@dataclass(frozen=True)
class Variant:
    """A row of a table whose student is in the catalogue: ``row`` has its numbers over the seeds."""

    name: str
    row: Row

    @property
    def title(self) -> str:
        return self.row.title


def students(results: Results, table: str, scale: int, set_name: str, sources: Sequence[Path] = ()) -> list[Variant]:
    """The trained students of a table that can be looked at, in its order; ``sources`` are folders looked up first."""
    here = {model.name: model for model in zoo.models(scale, sources)}
    found = results.view(table, scale, set_name).rows
    return [Variant(row.model, row) for row in found if row.model in here and here[row.model].role == "student"]


def panes(comparison: Comparison, names: Sequence[str], against: str, captions: Mapping[str, str], save: SaveImage
          ) -> list[Pane]:  # fmt: skip
    """The pictures of some models, the reference ``against`` first: image, difference to it, and errors.

    Args:
        against: a model, or the ground truth.
    """
    pictures = comparison.pictures()
    found: list[Pane] = []
    for name in (against, *(n for n in names if n != against)):
        layers = {"image": save(name, pictures[name]), "difference": save(f"{name} difference", _against(
            pictures[name], pictures[against]))}  # fmt: skip
        if comparison.hr_image is not None and name != TRUTH:
            layers["error"] = save(f"{name} error", colours.error_map(pictures[name], comparison.hr_image))
        found.append({"name": name, "caption": captions.get(name, ""), "layers": layers})
    return found


def _against(image: UInt8Image, reference: UInt8Image) -> UInt8Image:
    return colours.diverging(colours.luma_error(image, reference) / DIFFERENCE_RANGE)


# --- gain against cost


@lru_cache(maxsize=256)
def training_cost(name: str, scale: int, sources: tuple[Path, ...] = ()) -> float | None:
    """Floating-point operations of a model's training, from its card's recipe: forward, backward, and the passes of
    teachers that its method runs. Cached outputs of teachers cost nothing; their own training is not counted.

    None without a recipe.
    """
    card = zoo.find(name, scale, sources).card
    if not card.get("recipe"):
        return None
    recipe = parse(card["recipe"], name)
    return Estimator({}, None, torch.device("cpu")).step(recipe) * recipe.iterations


def gain_against_cost(variants: Sequence[Variant], scale: int, where: str, sources: tuple[Path, ...] = ()) -> go.Figure:
    """Gain over the undistilled student, its spread over seeds, against the cost of training in units of that one's."""
    figure = blank("training cost, times that of scratch", f"gain over scratch on {where}, dB", GAIN_HEIGHT)
    base = next((v for v in variants if v.row.label == "scratch"), None)
    unit = training_cost(base.name, scale, sources) if base else None
    labels: list[tuple[float, float, str]] = []
    for number, variant in enumerate(variants):
        cost, over = training_cost(variant.name, scale, sources), variant.row.over
        if not unit or not cost or over is None:
            continue
        labels.append((cost / unit, over.mean, variant.row.label))
        figure.add_scatter(
            x=[cost / unit],
            y=[over.mean],
            error_y={"array": [over.spread or 0], "visible": over.spread is not None},
            mode="markers",
            marker={
                "size": 11,
                "color": PALETTE[number % len(PALETTE)],
                "symbol": "circle" if over.seeds > 1 else "circle-open",
                "line": {"width": 2},
            },
            name=variant.title,
            hovertemplate=f"{variant.title}: %{{y:+.3f}} dB, {over.seeds} seed{'s' * (over.seeds > 1)}, "
            f"%{{x:.2f}} × scratch<extra></extra>",
        )
    _label(figure, labels)
    figure.add_hline(y=0, line={"color": "rgba(134, 140, 152, 0.6)", "width": 1})
    figure.update_layout(showlegend=False)
    return figure


def _label(figure: go.Figure, points: Sequence[tuple[float, float, str]]) -> None:
    """Write (x, y, text) beside points that may lie close together: left and right in turn, never over one another."""
    if not points:
        return
    ends = [trace.y[0] + sign * trace.error_y.array[0] for trace in figure.data for sign in (-1, 1)]
    low, high = min(ends), max(ends)
    per_pixel = max(high - low, 0.02) / (GAIN_HEIGHT - 130)
    figure.update_yaxes(range=[low - 25 * per_pixel, high + 25 * per_pixel])
    lowest = dict.fromkeys((-1, 1), float("inf"))
    for number, (x, y, text) in enumerate(sorted(points, key=lambda point: -point[1])):
        side = -1 if number % 2 else 1
        at = min(y, lowest[side] - 15 * per_pixel)
        lowest[side] = at
        figure.add_annotation(
            x=x, y=y, text=text, ax=28 * side, ay=(y - at) / per_pixel, xanchor="left" if side > 0 else "right",
            arrowhead=0, arrowwidth=1, arrowcolor=FAINT, standoff=7, font={"size": 12},
        )  # fmt: skip


# --- a training, step by step


def kept(scale: int, sources: Sequence[Path] = ()) -> dict[str, list[int]]:
    """The models that were kept on their way, with the steps at which they can be looked at, their end included."""
    found = {}
    for model in zoo.models(scale, sources):
        end = model.card.get("iterations")
        if end and (steps := list(model.snapshots())) and model.role == "student":
            found[model.name] = [*steps, int(end)]
    return found


def at_step(name: str, steps: Sequence[int], step: int) -> str | None:
    """The name of a model at a step, or at its last one before: ``NAME@STEP``, or ``NAME`` at its end.

    None where it was not kept that early.
    """
    reached = max((s for s in steps if s <= step), default=None)
    if reached is None:
        return None
    return name if reached == steps[-1] else f"{name}@{reached}"


def training_panes(
    comparison: Comparison,
    names: Sequence[str],
    step: int,
    save: SaveImage,
    progress: Callable[[str, int, int], None] | None = None,
    sources: Sequence[Path] = (),
) -> list[Pane]:
    """Models as they were after ``step`` steps on the comparison's picture: image and errors, then the ground truth.

    ``progress`` is that of :func:`~mtkd.explore.comparison.core.compare`.
    """
    known = kept(comparison.scale, sources)
    reached = {name: at for name in names if (at := at_step(name, known[name], step))}
    image = comparison.lr_image if comparison.hr_image is None else comparison.hr_image
    truth = comparison.hr_image is not None
    found = compare(image, list(reached.values()), comparison.scale, truth, progress, sources=sources)
    shown: list[Pane] = []
    titles = {at: name for name, at in reached.items()}
    for pane in found.panes(save):
        if pane["name"] == "LR":
            continue
        pane["name"] = titles.get(pane["name"], pane["name"])
        shown.append(pane)
    return shown


def held_out_by_step(name: str, scale: int = 4, sources: Sequence[Path] = ()) -> tuple[list[int], list[float]]:
    """Steps at which a model was kept, its end included, and its PSNR on the held-out images there, dB."""
    model = zoo.find(name, scale, sources)
    cards = {step: snapshot.card for step, snapshot in model.snapshots().items()}
    cards[int(model.card["iterations"])] = model.card
    known = {step: float(card["held_out"]["psnr"]) for step, card in cards.items() if "held_out" in card}
    return list(known), list(known.values())


def training_curve(names: Sequence[str], scale: int, step: int, sources: Sequence[Path] = ()) -> go.Figure:
    """PSNR on the held-out images at the steps that were kept, with a line at ``step``."""
    figure = blank("step", "held-out PSNR-Y, dB", 300)
    for number, name in enumerate(names):
        steps, psnr = held_out_by_step(name, scale, sources)
        figure.add_scatter(
            x=steps,
            y=psnr,
            mode="lines+markers",
            name=name,
            line={"color": PALETTE[number % len(PALETTE)]},
            hovertemplate="%{y:.3f} dB at %{x}",
        )
    figure.update_xaxes(type="log", dtick=1)
    figure.add_vline(x=step, line={"color": "rgba(134, 140, 152, 0.8)", "dash": "dot"})
    return figure
