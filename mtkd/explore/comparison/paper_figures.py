"""Figures as the paper prints them: crops beside the whole image (Figs. 2, 3), attribution of teachers (Fig. 4)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtkd.data.benchmarks import benchmark
from mtkd.data.examples import example
from mtkd.errors import UserError, unknown_name
from mtkd.explore.comparison.columns import metric_column
from mtkd.explore.comparison.core import LR, TRUTH, Comparison
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.colours import luma_error
from mtkd.explore.draw.printed import blank, box, render, show
from mtkd.files import write_bytes
from mtkd.home import found_data
from mtkd.images import UInt8Image, read_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BOX = "#dc2828"
_LINE = 28
"""Letters of a title in one line under a crop."""
FORMATS = ("png", "pdf")


@dataclass(frozen=True)
class Row:
    """One image of a figure: the comparison, what to print of it, and where to look."""

    comparison: Comparison
    region: Region
    title: str = ""


def crops_figure(rows: Sequence[Row], names: Sequence[str] = ()) -> Figure:
    """Figs. 2 and 3: each whole image with the region's box, beside it the region in every method's image, titled.

    Under a name stand PSNR and SSIM of the region, and "PSNR / SSIM" under the ground truth.

    Args:
        names: the pictures to print, in this order; all of the first row's without.

    Raises:
        UserError: no row, an unknown picture, or a region that leaves its image.
    """
    if not rows:
        raise UserError("a figure needs at least one image")
    names = names or list(rows[0].comparison.pictures())
    columns = -(-len(names) // 2) if len(names) > 1 else 1
    whole = 2 if columns > 1 else 1
    lines = -(-len(names) // columns)
    size = 1.45 * (columns + 2.2), 1.85 * lines * len(rows)
    figure = blank(*size, w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    grid = figure.add_gridspec(lines * len(rows), columns + 2)
    for number, row in enumerate(rows):
        pictures, labels = row.comparison.pictures(), _labels(row)
        background = pictures.get(TRUTH, pictures[LR])
        region = row.region
        region.cut(background)
        axes = figure.add_subplot(grid[lines * number : lines * (number + 1), :whole])
        show(axes, background, row.title)
        box(axes, region.left, region.top, region.width, region.height, ec=_BOX, lw=1.5)
        for place, name in enumerate(names):
            if name not in pictures:
                raise unknown_name("picture", name, pictures)
            line, column = divmod(place, columns)
            axes = figure.add_subplot(grid[lines * number + line, 2 + column])
            show(axes, region.cut(pictures[name]), labels[name])
    return figure


def _labels(row: Row) -> dict[str, str]:
    quality = row.comparison.quality_in(row.region)
    printed = [metric_column(name) for name in ("psnr", "ssim")]
    numbers = {name: " / ".join(column.text(values, "–") for column in printed) for name, values in quality.items()}
    if row.comparison.hr_image is not None:
        numbers[TRUTH] = "PSNR / SSIM"
    titles = {name: textwrap.fill(title, _LINE) for name, title in row.comparison.titles().items()}
    return {name: f"{title}\n{numbers.get(name, '')}" for name, title in titles.items()}


def save(figure: Figure, path: Path) -> Path:
    """Write ``path``, .png or .pdf, atomically.

    Raises:
        UserError: another suffix, or an unwritable folder.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UserError(f"{path}: figures are written as {' or '.join(FORMATS)}")
    write_bytes(path, render(figure, form))
    return path


# --- where to look


def busiest_region(image: UInt8Image, height: int, width: int, against: UInt8Image | None = None) -> Region:
    """The region of this size with the most detail (mean squared luma gradient), or the most error ``against`` another.

    The size is cut to that of the image.
    """
    height, width = min(height, image.shape[0]), min(width, image.shape[1])
    if against is None:
        grey = luma_error(image, np.zeros_like(image))
        energy = np.gradient(grey, axis=0) ** 2 + np.gradient(grey, axis=1) ** 2
    else:
        energy = luma_error(image, against) ** 2
    table = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return Region(top, left, height, width)


@dataclass(frozen=True)
class Preset:
    """Which images a figure of the paper shows, and the bundled ones that stand in where the set is not here.

    ``images`` are (set, part of the file's name). SelfExSR numbers BSD100 anew, 1 to 100, so that its files cannot be
    told apart by BSD's numbers and the stand-ins are shown. The paper names no coordinates, so that the regions are
    chosen by :func:`busiest_region`.
    """

    title: str
    images: tuple[tuple[str, str], ...]
    instead: tuple[str, ...]


PRESETS = {
    "fig2": Preset("Fig. 2: Urban100, images 012 and 062", (("Urban100", "012"), ("Urban100", "062")),
                   ("brick", "coffee")),
    "fig3": Preset("Fig. 3: BSD100, images 223061 and 253027", (("BSD100", "223061"), ("BSD100", "253027")),
                   ("rocket", "chelsea")),
    "fig4": Preset("Fig. 4: attribution of the aggregator", (("Urban100", "012"),), ("brick",)),
}  # fmt: skip


def preset_images(preset: Preset, scale: int, root: Path | None = None) -> list[tuple[str, UInt8Image]]:
    """Name and HR image (H, W, 3) of each image of a preset; the bundled ones where any is not in ``root``.

    ``root`` defaults to the data folder (:func:`mtkd.home.data_folder`).
    """
    root = found_data(root)
    found = []
    for set_name, number in preset.images if root else ():
        try:
            images = benchmark(root, set_name, scale)  # type: ignore[arg-type]
        except UserError:
            break
        hits = [image for image in images if number in image.name]
        if hits:
            found.append((f"{set_name} {number}", read_image(hits[0].hr)))
    if len(found) == len(preset.images):
        return found
    return [(f"{name} (in place of {set_name} {number})", example(name).read())
            for name, (set_name, number) in zip(preset.instead, preset.images, strict=True)]  # fmt: skip


def attribution_figure(lr_image: UInt8Image, rows: Sequence[tuple[str, UInt8Image, UInt8Image, float | None]],
                       window: Region) -> Figure:  # fmt: skip
    """Fig. 4: the LR image, then each input's image with the window's box, under it its map with its DI.

    Args:
        rows: name, image (H, W, 3), map in colours (H, W, 3), and DI of each input.
        window: where the detail was asked for, in pixels of those images.
    """
    figure = blank(1.7 * (len(rows) + 1), 3.9)
    grid = figure.add_gridspec(2, len(rows) + 1)
    show(figure.add_subplot(grid[:, 0]), lr_image, "LR")
    for column, (name, image, one, di) in enumerate(rows, 1):
        axes = figure.add_subplot(grid[0, column])
        show(axes, image, name)
        box(axes, window.left, window.top, window.width, window.height, ec=_BOX, lw=1.2)
        show(figure.add_subplot(grid[1, column]), one, "DI –" if di is None else f"DI {di:.2f}")
    return figure
