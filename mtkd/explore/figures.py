"""Still pictures of a comparison: labelled crops in rows, for notebooks, papers and slides."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from mtkd.explore.comparison import Comparison
from mtkd.explore.region import Region
from mtkd.images import UInt8Image

_GAP = 8
_INK, _PAPER, _BOX = (20, 20, 20), (255, 255, 255), (220, 40, 40)


def whole_with_box(image: UInt8Image, region: Region) -> Image.Image:
    """The image with the region's outline, 2 pixels wide, drawn around it."""
    region.cut(image)
    picture = Image.fromarray(image)
    box = (region.left - 2, region.top - 2, region.left + region.width + 1, region.top + region.height + 1)
    ImageDraw.Draw(picture).rectangle(box, outline=_BOX, width=2)
    return picture


def crops(comparison: Comparison, region: Region | None = None, zoom: int = 3, columns: int = 4) -> Image.Image:
    """One region of LR, every result and the ground truth, enlarged ``zoom`` times (nearest), labelled.

    PSNR and SSIM under a name are those of the whole image. Without a region the whole image is shown.

    Raises:
        UserError: the region leaves the image.
    """
    scale = comparison.scale
    enlarged = comparison.lr_image.repeat(scale, axis=0).repeat(scale, axis=1)
    region = region or Region(0, 0, enlarged.shape[0], enlarged.shape[1])
    cells = [("LR (nearest)", "", enlarged)]
    for result in comparison.results:
        quality = "" if result.psnr is None else f"{result.psnr:.2f} dB"
        quality += "" if result.ssim is None else f" / {result.ssim:.4f}"
        cells.append((result.name, quality, result.image))
    if comparison.hr_image is not None:
        cells.append(("ground truth", "PSNR / SSIM", comparison.hr_image))
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    name_font, number_font = ImageFont.load_default(15), ImageFont.load_default(13)
    label = 42
    width = max(region.width * zoom, *(int(name_font.getlength(name)) for name, _, _ in cells))
    height = region.height * zoom + label
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, quality, image) in enumerate(cells):
        x = _GAP + number % columns * (width + _GAP)
        y = _GAP + number // columns * (height + _GAP)
        crop = Image.fromarray(region.cut(image))
        sheet.paste(crop.resize((crop.width * zoom, crop.height * zoom), Image.Resampling.NEAREST), (x, y))
        draw.text((x, y + region.height * zoom + 4), name, _INK, name_font)
        draw.text((x, y + region.height * zoom + 23), quality, _INK, number_font)
    return sheet
