"""Attribution maps of two to four models for one window, on one colour scale, with DI and deletion area under each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explain.answer import Explanation
from mtkd.explain.maps import attribution_maps, diffusion_index, signed_maps
from mtkd.explore.comparison.core import Comparison, SaveImage
from mtkd.explore.draw.colours import diverging, heat_map
from mtkd.explore.draw.printed import blank, box, render, show
from mtkd.explore.inside.attribution import enlarged, map_layers, models
from mtkd.explore.viewer import Pane
from mtkd.files import write_bytes, write_json
from mtkd.images import UInt8Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 4
"""Models that are seen at once."""
_BOX: dict[str, Any] = {"ec": "#28a745", "lw": 1.2}
_MARGIN = 6
"""LR pixels that a figure shows around the marked ones."""
_MARKED = 0.02
"""Of the largest value: what a figure must show."""


def check_models(names: Sequence[str]) -> None:
    """See that so many models can be shown side by side.

    Raises:
        UserError: fewer than two, more than four, or one twice.
    """
    if not 2 <= len(names) <= MOST:
        raise UserError(f"{len(names)} models side by side: give 2 to {MOST}")
    for one, other in pairwise(sorted(names)):
        if one == other:
            raise UserError(f"model {one} is given twice")


@dataclass(frozen=True)
class SideBySide:
    """Answers of several models to one question, by one method with equal options.

    Raises:
        UserError: too few or too many models, or one whose input is not the LR image.
    """

    answers: tuple[Explanation, ...]

    def __post_init__(self) -> None:
        check_models([one.model for one in self.answers])
        for one in self.answers:
            if one.inputs != ("LR",):
                raise UserError(
                    f"{one.model} has a map for each of {', '.join(one.inputs)}: show it alone; models side by side "
                    "share one input, the LR image"
                )

    @property
    def signed(self) -> bool:
        """The maps have signs."""
        return self.answers[0].signed

    @property
    def maps(self) -> list[Tensor]:
        """(h, w) each, scaled together: -1 to 1 of a signed method, else 0 to 1."""
        every = [one.attributions[0] for one in self.answers]
        return signed_maps(every) if self.signed else attribution_maps(every)

    @property
    def largest(self) -> float:
        """The attribution of a pixel that is drawn in full colour."""
        return max(float(one.attributions[0].sum(-3).abs().max()) for one in self.answers)

    @property
    def differences(self) -> list[Tensor]:
        """Each map less the first one."""
        first, *_ = maps = self.maps
        return [one - first for one in maps]

    def row(self) -> dict[str, Any]:
        """As plain data: one entry a model, with its ``difference`` from the first, 0 (equal) to 1 (nothing shared)."""
        maps = self.maps
        sums = [float(one.abs().sum()) for one in maps]
        entries = [
            {**one.row(), "difference": float(apart.abs().sum()) / (total + sums[0]) if total + sums[0] > 0 else 0.0}
            for one, apart, total in zip(self.answers, self.differences, sums, strict=True)
        ]
        return {"largest": self.largest, "models": entries}

    def save(self, folder: Path, pictures: Mapping[str, UInt8Image], titles: Mapping[str, str]) -> list[Path]:
        """Write the files of each answer into a folder of its model, and ``maps.png`` and ``maps.json`` of all."""
        written = [path for one in self.answers for path in one.save(folder / one.model)]
        write_bytes(folder / "maps.png", self.drawn("png", pictures, titles))
        write_json(folder / "maps.json", self.row())
        return [*written, folder / "maps.png", folder / "maps.json"]

    def drawn(self, form: str, pictures: Mapping[str, UInt8Image], titles: Mapping[str, str]) -> bytes:
        """The figure as a "png" or "pdf" file, with the numbers of the answers."""
        return render(self.figure(pictures, titles), form, json.dumps(self.row()))

    def panes(self, comparison: Comparison, save: SaveImage) -> list[Pane]:
        """A pane a model: its map on the LR image, the map, the map less the first one, and its SR image."""
        titles, panes = comparison.titles(), list[Pane]()
        apart_most = max(float(apart.abs().max()) for apart in self.differences) or 1
        shown = zip(self.answers, self.maps, self.differences, self.captions(), strict=True)
        for one, a_map, apart, caption in shown:
            drawn, alone = map_layers(a_map, comparison.lr_image, one.part.frame, self.signed)
            layers = {
                "on the image": drawn,
                "map": alone,
                "difference from the first": diverging(apart.double().numpy() / apart_most),
            }
            addresses = {
                layer: save(f"{one.model} {layer}", enlarged(picture, comparison.scale))
                for layer, picture in layers.items()
            }
            addresses["image"] = save(f"{one.model} image", comparison[one.model].image)
            panes.append({"name": one.model, "title": titles[one.model], "caption": caption, "layers": addresses})
        return panes

    def captions(self) -> list[str]:
        """DI and deletion area of each."""
        return [f"{di(one)}, {area(one)}" for one in self.answers]

    def figure(self, pictures: Mapping[str, UInt8Image], titles: Mapping[str, str]) -> Figure:
        """A column a model: its SR image with the window, its map, and its map less the first one.

        Args:
            pictures: the SR image of each model, by name.
            titles: what people read in place of names.
        """
        scale, window = self.answers[0].scale, self.answers[0].window
        rows, columns = self._frame()
        count = len(self.answers)
        figure = blank(2.1 * count + 0.4, 6.6)
        axes = figure.subplots(3, count + 1, squeeze=False, width_ratios=[*[1] * count, 0.05])
        apart_most = max(float(apart.abs().max()) for apart in self.differences) or 1
        shown = zip(self.answers, self.maps, self.differences, strict=True)
        for column, (one, a_map, apart) in enumerate(shown):
            name = one.model
            sr = pictures[name][rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale]
            show(axes[0, column], sr, titles.get(name, name))
            top, left = window.top - rows.start * scale, window.left - columns.start * scale
            box(axes[0, column], left, top, window.size, window.size, **_BOX)
            values = a_map[rows, columns].double().numpy()
            show(axes[1, column], diverging(values) if self.signed else heat_map(values), self.captions()[column])
            text = f"minus {titles.get(self.answers[0].model, self.answers[0].model)}"
            show(axes[2, column], diverging(apart[rows, columns].double().numpy() / apart_most), text)
            side = window.size / scale
            for row in (1, 2):
                box(axes[row, column], left / scale, top / scale, side, side, **_BOX)
        for hidden in (axes[2, 0], axes[0, -1]):
            hidden.set_visible(False)
        _colour_bar(figure, axes[1, -1], self.signed, self.largest)
        _colour_bar(figure, axes[2, -1], True, self.largest * apart_most)
        return figure

    def _frame(self) -> tuple[slice, slice]:
        """Rows and columns of the LR image that hold the window and all that is marked."""
        scale, window = self.answers[0].scale, self.answers[0].window
        marked = np.max([one.abs().numpy() for one in self.maps], axis=0) > _MARKED
        marked[
            window.top // scale : -(-(window.top + window.size) // scale),
            window.left // scale : -(-(window.left + window.size) // scale),
        ] = True
        places = [np.flatnonzero(marked.any(axis)) for axis in (1, 0)]
        rows, columns = (
            slice(max(0, int(place[0]) - _MARGIN), min(length, int(place[-1]) + 1 + _MARGIN))
            for place, length in zip(places, marked.shape, strict=True)
        )
        return rows, columns


def comparable(comparison: Comparison) -> list[str]:
    """The models of a comparison that can be set side by side, all of them: those that see the LR image."""
    return [name for name in models(comparison) if comparison[name].role != "aggregator"]


def di(one: Explanation) -> str:
    """The diffusion index of an answer with one input, for people."""
    value = diffusion_index(one.attributions[0].sum(-3).abs())
    return "DI –" if value is None else f"DI {value:.2f}"


def area(one: Explanation) -> str:
    """The area under the deletion curve, and that of chance."""
    if one.curves is None or isinstance(one.curves, str) or one.random_curves is None:
        return "no deletion curve"
    return f"deletion area {one.curves.deletion_area:.2f} (random {one.random_curves.deletion_area:.2f})"


def _colour_bar(figure: Figure, axes: Axes, signed: bool, largest: float) -> None:
    """From -largest to largest, or from 0."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    ramp = np.linspace(0, 1, 256)[None]
    colours = diverging(2 * ramp - 1) if signed else heat_map(ramp)
    scale = Normalize(-largest if signed else 0, largest or 1)
    figure.colorbar(ScalarMappable(scale, ListedColormap(colours[0] / 255)), cax=axes)
    axes.tick_params(labelsize=6)
