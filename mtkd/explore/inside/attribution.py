"""Attribution of the results of a comparison, as pictures and numbers (Sec. 5.3.1, Fig. 4)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explain.answer import Explanation
from mtkd.explain.maps import density, diffusion_index, shares, signed_maps
from mtkd.explain.neighbourhood import Neighbourhood, near
from mtkd.explain.question import Question, Window, ask
from mtkd.explain.saliency import gradient_sizes
from mtkd.explore.comparison.choices import title
from mtkd.explore.comparison.core import Comparison, SaveImage, compare
from mtkd.explore.comparison.outputs import Tiles, outputs
from mtkd.explore.comparison.paper_figures import PRESETS, attribution_figure, busiest_region, preset_images
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw import colours
from mtkd.explore.draw.printed import render
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image, to_uint8

PART = 0.95
"""Of all attribution: within how many pixels of the window so much lies is what people are told."""


def models(comparison: Comparison) -> list[str]:
    """The results that can be attributed: those of models in the catalogue."""
    return [r.name for r in comparison.results if r.role not in ("interpolation", "elsewhere")]


def window_in(comparison: Comparison, region: Region | None, size: int) -> Window:
    """The window of ``size`` around the centre of a region, moved inside the image; without a region, the window with
    most detail.

    Raises:
        UserError: the image is too small for the window.
    """
    height, width = (side * comparison.scale for side in comparison.lr_image.shape[:2])
    if size + 1 > min(height, width):
        raise UserError(f"the result is {width} x {height}: too small for a window of {size} x {size} and 1 pixel more")
    if region is None:
        pictures = list(comparison.pictures().values())
        region = busiest_region(pictures[-1], size, size)
    top = region.top + region.height // 2 - size // 2
    left = region.left + region.width // 2 - size // 2
    # Differences reach one pixel below and to the right of the window.
    return Window(min(max(0, top), height - size - 1), min(max(0, left), width - size - 1), size)


def question(comparison: Comparison, model: str, window: Window, tiles: Tiles | None = None) -> Question:
    """See :func:`mtkd.explain.question.ask`; teachers' images are those that the comparison was made with.

    Args:
        tiles: called as a teacher that has to run goes on.
    """

    def teacher_image(name: str) -> Tensor:
        return outputs(name, comparison.lr_image, comparison.scale, tiles).sr

    return ask(
        model, comparison.lr_image, comparison.scale, window, teacher_images=teacher_image, hr_image=comparison.hr_image
    )


def preview(asked: Question, context: int) -> Shown:
    """A first look: the gradient alone, at the images themselves."""
    there, part = near(asked, context)
    return Shown(asked, [part.paste(size) for size in gradient_sizes(there)], part, preview=True)


def shown(asked: Question, found: Explanation) -> Shown:
    """The maps of an answer."""
    return Shown(asked, found.attributions, found.part, signed=found.signed)


@dataclass(frozen=True)
class Shown:
    """Maps of one question as they are drawn.

    Attributes:
        attributions: (3, H, W), one an input, computed from a ``part`` of it.
        preview: they are the gradient alone.
        signed: they are drawn with their signs.
    """

    asked: Question
    attributions: Sequence[Tensor]
    part: Neighbourhood
    preview: bool = False
    signed: bool = False

    def panes(self, comparison: Comparison, save: SaveImage) -> list[Pane]:
        """The result with the window, and for each input its image, map, map on the image, and density.

        All maps share one scale, from black (0) to pale yellow (largest value); signed ones from blue (least) over
        white (0) to red.
        """
        asked, named = self.asked, titles(comparison, self.asked)
        address = save("result", comparison[asked.model].image)
        panes: list[Pane] = [
            {
                "name": asked.model,
                "title": named[asked.model],
                "caption": "Click to move the window.",
                "layers": dict.fromkeys(("on the image", "map", "density", "image"), address),
            }
        ]
        kind = " preview" if self.preview else ""  # a browser keeps the picture of an address that it has seen
        factor, several = comparison.scale // asked.input_scale, len(asked.inputs) > 1
        parts = shares(self.attributions)
        for number, (name, image, one) in enumerate(
            zip(asked.inputs, asked.images, signed_maps(self.attributions), strict=True)
        ):
            share = f"{parts[number]:.0%} of the attribution" if parts and several else ""
            size = f"{one.shape[1]} × {one.shape[0]} pixels"
            panes.append(
                {
                    "name": name,
                    "title": named[name],
                    "caption": "Preview" if self.preview else share or size,
                    "layers": {
                        layer: save(f"{name} {layer}{kind}", enlarged(picture, factor))
                        for layer, picture in self._layers(one, to_uint8(image)).items()
                    },
                }
            )
        return panes

    def _layers(self, one: Tensor, picture: UInt8Image) -> dict[str, UInt8Image]:
        """Outside of the part that was used nothing is drawn: of a photo that is nearly all of it."""
        place = self.part.frame
        one = one if self.signed else one.abs()
        dense = np.zeros_like(picture)
        dense[:] = colours.heat_map(np.zeros((1, 1)))
        dense[place] = _density(one[place].abs())
        drawn, heat = map_layers(one, picture, place, self.signed)
        return {"on the image": drawn, "map": heat, "density": dense, "image": picture}


def map_layers(
    one: Tensor, picture: UInt8Image, place: tuple[slice, slice], signed: bool = False
) -> tuple[UInt8Image, UInt8Image]:
    """A map on its image, and alone; what lies outside of ``place`` is 0."""
    drawn, heat = (_dark(picture).round().astype(np.uint8).repeat(3, -1), np.zeros_like(picture))
    heat[:] = _coloured(np.zeros((1, 1)), signed)
    drawn[place] = on_image(one[place], picture[place], signed)
    heat[place] = _coloured(_levels(one[place]), signed)
    return drawn, heat


def on_image(one: Tensor, image: UInt8Image, signed: bool = False) -> UInt8Image:
    """A map (H, W), 0 to 1, over the grey, darkened image (H, W, 3): where it is strong its colours hide the image.

    A ``signed`` one is of -1 to 1.
    """
    values = _levels(one)
    strength = np.sqrt(np.abs(values))[..., None]
    mixed = (1 - strength) * _dark(image) + strength * _coloured(values, signed)
    return np.ascontiguousarray(mixed.round().astype(np.uint8))


def _coloured(values: NDArray[np.float64], signed: bool) -> UInt8Image:
    return colours.diverging(values) if signed else colours.heat_map(values)


def _dark(image: UInt8Image) -> NDArray[np.float64]:
    dark: NDArray[np.float64] = image.astype(np.float64).mean(-1, keepdims=True) * 0.6
    return dark


def titles(comparison: Comparison, asked: Question) -> dict[str, str]:
    """What people read in place of the names of the model and of its inputs."""
    compared = comparison.titles()
    return {name: compared.get(name) or title(name, comparison.scale) for name in (asked.model, *asked.inputs)}


def sentence(comparison: Comparison, asked: Question, found: Explanation) -> str:
    """The answer in words: whose pixels, or how far from the window the used ones lie."""
    named, parts = titles(comparison, asked), shares(found.attributions)
    if parts is None:
        return "This window is flat: there is no detail to explain."
    if len(parts) > 1:
        order = sorted(range(len(parts)), key=lambda number: -parts[number])
        texts = [f"{named[found.inputs[number]]} ({parts[number]:.0%})" for number in order]
        return (
            f"This detail is attributed to the pixels of {', '.join(texts[:-1])} and {texts[-1]}: "
            "shares of the whole attribution, without signs."
        )
    within = distance(found.attributions[0], found.window, found.scale // asked.input_scale)
    network = asked.objective.network
    sees = "" if getattr(network, "pools", False) else getattr(network, "reach", "")
    return f"{PART:.0%} of the attribution lies within {within} LR pixels of the window" + (
        f"; this network sees {sees} pixels far." if sees else "."
    )


def marks(found: Explanation) -> str:
    """In words: does blurring the marked pixels change the window sooner than blurring random ones?"""
    if isinstance(found.curves, str):
        return f"{found.curves[0].upper()}{found.curves[1:]}."
    if found.curves is None or found.random_curves is None:
        return ""
    area, chance = found.curves.deletion_area, found.random_curves.deletion_area
    how = "sooner" if area > chance else "no sooner"
    return f"Blurring the marked pixels first changes the window {how} than blurring random ones: deletion area " + (
        f"{area:.2f} against {chance:.2f}."
    )


def distance(attribution: Tensor, window: Window, ratio: int) -> int:
    """Within how many pixels of the window :data:`PART` of all attribution lies; ``ratio`` SR pixels make one."""
    sizes = attribution.double().abs().sum(0)

    def away(length: int, start: int) -> Tensor:
        places = torch.arange(length)
        first, last = start // ratio, (start + window.size) // ratio
        return torch.maximum(first - places, places - last).clamp(min=0)

    rows, columns = away(sizes.shape[0], window.top), away(sizes.shape[1], window.left)
    far = torch.maximum(rows[:, None], columns[None, :]).flatten()
    sums = torch.bincount(far, weights=sizes.flatten()).cumsum(0)
    return int((sums < PART * sums[-1]).sum())


def used(part: Neighbourhood, asked: Question) -> str:
    """Which part of the inputs an answer was computed from, in words; empty where that is all of them."""
    if part.whole:
        return ""
    height, width = (len(one.sees) for one in (part.rows, part.columns))
    what = "LR" if asked.input_scale == 1 else "HR"
    place = f"{width} × {height} of {part.size[1]} × {part.size[0]} {what} pixels"
    if part.exact:
        return f"Computed from the {place} that the window depends on, with the same result as from the whole image."
    return f"An approximation, computed from the {place} around the window: the network draws on more than those."


def _levels(one: Tensor) -> NDArray[np.float64]:
    values: NDArray[np.float64] = one.double().numpy()
    return values


def _density(one: Tensor) -> UInt8Image:
    """The density of a map, with a pale yellow peak; black if it has none."""
    try:
        values = density(one)
    except UserError:
        values = np.zeros(one.shape)
    return colours.heat_map(values / (values.max() or 1))


def enlarged(image: UInt8Image, factor: int) -> UInt8Image:
    """Each pixel as ``factor`` x ``factor`` of them."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def archive(found: Explanation) -> bytes:
    """The files of :meth:`~mtkd.explain.answer.Explanation.save` as one zip file."""
    return zipped(found.save)


def zipped(save: Callable[[Path], Sequence[Path]]) -> bytes:
    """The files that something writes into a folder, as one zip file."""
    file = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in save(Path(folder)):
            packed.write(path, path.relative_to(folder))
    return file.getvalue()


def figure(comparison: Comparison, asked: Question, found: Explanation, form: str) -> bytes:
    """Fig. 4 for one answer, as a "png" or "pdf" file with the numbers of the answer."""
    window = found.window
    di = [diffusion_index(a.sum(-3).abs()) for a in found.attributions]
    rows = [
        (name, to_uint8(image), _coloured(_levels(one if found.signed else one.abs()), found.signed), index)
        for name, image, one, index in zip(found.inputs, asked.images, signed_maps(found.attributions), di, strict=True)
    ]
    place = Region(window.top, window.left, window.size, window.size)
    if asked.input_scale == 1:  # the window is in the result: show that above the map
        rows = [(found.model, comparison[found.model].image, rows[0][2], rows[0][3])]
    return render(attribution_figure(comparison.lr_image, rows, place), form, json.dumps(found.row()))


def paper_question(scale: int, size: int = 16) -> tuple[str, Comparison, Question]:
    """The question of Fig. 4: the first aggregator of a scale on the paper's image, or on its replacement.

    The paper names no window: it lies where there is most detail.

    Raises:
        UserError: there is no aggregator at this scale.
    """
    aggregator = next((m.name for m in zoo.models(scale) if m.role == "aggregator"), None)
    if aggregator is None:
        raise UserError(f"no combined teacher is trained at x{scale}")
    (title, image), *_ = preset_images(PRESETS["fig4"], scale)
    comparison = compare(image, [aggregator], scale)
    return title, comparison, question(comparison, aggregator, window_in(comparison, None, size))
