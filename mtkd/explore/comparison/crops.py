"""Still pictures of a comparison: labelled crops in rows, for notebooks, papers and slides."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mtkd.explore.comparison.core import TITLES, TRUTH, Comparison
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.alt import described, listed
from mtkd.images import UInt8Image

_GAP = 8
_INK, _PAPER, _BOX = (20, 20, 20), (255, 255, 255), (220, 40, 40)


def whole_with_box(image: UInt8Image, region: Region) -> Image.Image:
    """The image with the region's outline, 2 pixels wide, drawn around it."""
    region.cut(image)
    picture = Image.fromarray(image)
    box = (region.left - 2, region.top - 2, region.left + region.width + 1, region.top + region.height + 1)
    ImageDraw.Draw(picture).rectangle(box, outline=_BOX, width=2)
    return described(picture, "The image with a red box around the region.")


def crops(comparison: Comparison, region: Region | None = None, zoom: int = 3, columns: int = 4) -> Image.Image:
    """One region of LR, every result and the ground truth, enlarged ``zoom`` times (nearest), labelled.

    PSNR and SSIM under a name are those of the whole image. Without a region the whole image is shown.

    Raises:
        UserError: the region leaves the image.
    """
    scale = comparison.scale
    enlarged = comparison.lr_image.repeat(scale, axis=0).repeat(scale, axis=1)
    region = region or Region(0, 0, enlarged.shape[0], enlarged.shape[1])
    cells = [("LR input (nearest)", "", region.cut(enlarged))]
    for result in comparison.results:
        quality = "" if result.psnr is None else f"{result.psnr:.2f} dB"
        ssim = result.metrics.get("ssim")
        quality += "" if ssim is None else f" / {ssim:.4f}"
        cells.append((result.title or result.name, quality, region.cut(result.image)))
    if comparison.hr_image is not None:
        cells.append((TITLES[TRUTH], "PSNR / SSIM", region.cut(comparison.hr_image)))
    return sheet(cells, zoom, columns)


def sheet(cells: Sequence[tuple[str, str, UInt8Image]], zoom: int = 1, columns: int = 4) -> Image.Image:
    """Pictures (H, W, 3) side by side, row by row, each enlarged ``zoom`` times (nearest), with two lines under it.

    Args:
        cells: (first line, second line, picture).
    """
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    name_font, number_font = ImageFont.load_default(15), ImageFont.load_default(13)
    label = 42 if any(below for _, below, _ in cells) else 26
    lengths = [font.getlength(text) for *texts, _ in cells for font, text in zip((name_font, number_font), texts)]  # noqa: B905
    tallest, widest = (max(picture.shape[axis] for _, _, picture in cells) * zoom for axis in (0, 1))
    width, height = max(widest, *map(int, lengths)), tallest + label
    drawn = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _PAPER)
    draw = ImageDraw.Draw(drawn)
    for number, (name, below, picture) in enumerate(cells):
        x = _GAP + number % columns * (width + _GAP)
        y = _GAP + number // columns * (height + _GAP)
        one = Image.fromarray(picture)
        drawn.paste(one.resize((one.width * zoom, one.height * zoom), Image.Resampling.NEAREST), (x, y))
        draw.text((x, y + tallest + 4), name, _INK, name_font)
        draw.text((x, y + tallest + 23), below, _INK, number_font)
    captions = [" ".join(filter(None, (name, below and f"({below})"))) for name, below, _ in cells]
    return described(drawn, f"Pictures: {listed(captions)}.")
