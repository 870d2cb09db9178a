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
from mtkd.explore.draw.colours import STORY
from mtkd.explore.evidence import plots
from mtkd.explore.evidence.curves import Line, held_out_figure
from mtkd.explore.evidence.plots import row_dot, said
from mtkd.explore.evidence.result_rows import Row
from mtkd.explore.evidence.results import Results
from mtkd.explore.viewer import Pane
from mtkd.training.recipe import parse

DIFFERENCE_RANGE = 12
"""Luma levels at which a difference of two students is in full colour: they differ less than from the truth."""
TABLES = {"table5": "Ablations (Table 5)", "table2": "Methods (Table 2)", "controls": "Controls"}
"""Tables of one student, whose rows are its variants."""


@dataclass(frozen=True)
class Variant:
    """A row of a table whose student is in the catalogue: ``row`` has its numbers over the seeds."""

    name: str
    row: Row

    @property
    def title(self) -> str:
        return self.row.method


def students(results: Results, table: str, scale: int, set_name: str, sources: Sequence[Path] = ()) -> list[Variant]:
    """The trained students of a table that can be looked at, in its order; ``sources`` are folders looked up first."""
    here = {model.name: model for model in zoo.models(scale, sources)}
    found = results.view(table, scale, set_name).rows
    return [Variant(row.model, row) for row in found if row.model in here and here[row.model].role == "student"]


def panes(comparison: Comparison, names: Sequence[str], against: str, captions: Mapping[str, str], save: SaveImage
          ) -> list[Pane]:  # fmt: skip
    """The pictures of some models, the reference ``against`` first, the ground truth last.

    The viewer makes the differences: its baseline is the reference.

    Args:
        against: a model, or the ground truth.
    """
    pictures, titles = comparison.pictures(), comparison.titles()
    shown = [against, *(n for n in names if n != against), *([TRUTH] if TRUTH in pictures and against != TRUTH else [])]
    return [
        {"name": n, "title": titles[n], "caption": captions.get(n, ""), "layers": {"image": save(n, pictures[n])}}
        for n in shown
    ]


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
    """Gains over the student alone with their intervals, a line a variant; at the right the cost of its training.

    The cost is in units of that of the student alone.
    """
    base = next((v for v in variants if v.row.label == "scratch"), None)
    unit = training_cost(base.name, scale, sources) if base else None
    dots = []
    for variant in variants:
        if variant.row.over is not None:
            cost = training_cost(variant.name, scale, sources)
            dots.append(row_dot(variant.row, f"{cost / unit:.2f} ×" if unit and cost else ""))
    if not dots:
        return said(f"No gain is measured on {where} at ×{scale} yet.")
    return plots.dots({"": dots}, f"gain on {where}, dB", "training cost")


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
    names_of = {at: name for name, at in reached.items()}
    for pane in found.panes(save):
        if pane["name"] == "LR":
            continue
        if name := names_of.get(pane["name"]):
            pane["name"], pane["title"] = name, zoo.find(name, comparison.scale, sources).title
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
    models = [zoo.find(name, scale, sources) for name in names]
    methods = [str(model.card["method"]) for model in models]
    colours = STORY if len({*methods}) == len(methods) else {}
    lines = [
        Line(model.title, held_out_by_step(model.name, scale, sources), colour=colours.get(method, ""))
        for model, method in zip(models, methods, strict=True)
    ]
    return held_out_figure(lines, step, 300)
