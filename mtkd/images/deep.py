"""Pictures of more than 8 bits a sample, of which Pillow would keep 8: PNG, TIFF, PPM."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from mtkd.errors import UserError
from mtkd.images import iptc, xmp
from mtkd.images.metadata import KEPT, usable_dpi
from mtkd.images.picture import Metadata, Samples

LOW = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Pillow reads the upper byte of 16-bit samples in this order; read in the other order, it is the lower one."""
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # remarks on odd metadata


@dataclass(frozen=True)
class Raw:
    """Samples as a file holds them: ``colour`` (H, W, 1, 3 or 4) of ``space``, a mode of Pillow; ``alpha`` (H, W)."""

    colour: Samples
    space: str
    alpha: Samples | None = None
    inverted: bool = False
    upright: bool = False


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether an opened file holds more than Pillow would give: over 8 bits a sample."""
    if image.mode.startswith("I") or image.mode == "F":
        return True
    if image.format == "PNG":  # of an animation the frames are put together by Pillow
        return data[24:25] == b"\x10" and getattr(image, "n_frames", 1) == 1
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    head = _ppm(data) if image.format == "PPM" else None
    return head is not None and head[2] > 255


def read(image: Image.Image, data: bytes) -> Raw:
    """The samples of such a file: uint16, or where the file holds others, those."""
    if image.format == "PNG":
        return _png(image, data)
    if image.format == "TIFF":
        return tiff(data, image.tell(), image)
    if image.format == "PPM" and (head := _ppm(data)) is not None:
        return _from_ppm(data, *head)
    return Raw(np.asarray(image)[..., None], "L")


def as_uint16(samples: Samples, whole: bool) -> tuple[Samples, tuple[str, ...]]:
    """Samples of 16 bits, and what to say of them: ``whole`` is known to take all of the range.

    Raises:
        UserError: of a kind whose black and white nobody can know.
    """
    if samples.dtype.kind == "f":
        raise UserError("floating-point samples have no agreed range; say it with `mtkd upscale --range 0-1`, or save "
                        "it with 8 bits a channel")  # fmt: skip
    if samples.dtype.kind not in "ui":
        raise UserError("samples that are no plain numbers (complex); save its magnitude as an image")
    least, most = (int(samples.min()), int(samples.max())) if samples.size else (0, 0)
    if least < 0 or most > 65535:
        raise UserError("integer samples outside 0..65535; say it with `mtkd upscale --range MIN-MAX`, or save it "
                        "with 8 bits a channel")  # fmt: skip
    notes: tuple[str, ...] = ()
    if 0 < most < 1 << 14 and not whole:
        bits = max(8, most.bit_length())
        notes = (f"its values reach {most} of 65535, like {bits}-bit data; --range 0-{(1 << bits) - 1} stretches them",)
    return samples.astype(np.uint16, copy=False), notes


# --- PNG


def _png(image: Image.Image, data: bytes) -> Raw:
    transparency = image.info.get("transparency")
    if image.mode == "I;16":
        grey = np.asarray(image).astype(np.uint16)[..., None]
        return Raw(grey, "L", _keyed(grey, transparency))
    if data[25:26] == b"\4":  # grey and alpha: 4 bytes a pixel
        quads = _decoded(data, "RGBA", "RGBA").astype(np.uint16)
        return Raw(quads[..., :1] << 8 | quads[..., 1:2], "L", quads[..., 2] << 8 | quads[..., 3])
    samples = _both_bytes(data, image.mode, f"{image.mode};16B")
    if image.mode == "RGBA":
        return Raw(samples[..., :3], "RGB", samples[..., 3])
    return Raw(samples, "RGB", _keyed(samples, transparency))


def _keyed(samples: Samples, key: Any) -> Samples | None:
    """Opacity where one colour is called transparent."""
    if not isinstance(key, (int, tuple)):
        return None
    same = (samples == np.array(key)).all(axis=2)
    return np.where(same, 0, 65535).astype(np.uint16)


def _decoded(data: bytes, mode: str, raw: str, frame: int = 0) -> Samples:
    with Image.open(io.BytesIO(data), formats=("PNG", "TIFF")) as image:
        image.seek(frame)
        image._mode = mode
        image.tile = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
        ]
        image.load()
        return np.asarray(image)


def _both_bytes(data: bytes, mode: str, raw: str, frame: int = 0) -> Samples:
    upper = _decoded(data, mode, raw, frame).astype(np.uint16)
    upper <<= 8
    upper |= _decoded(data, mode, raw[:-1] + LOW[raw[-1]], frame)
    return upper


# --- TIFF


def tiff(data: bytes, number: int, image: Image.Image | None = None) -> Raw:
    """One page of a TIFF, by tifffile; where that has no decoder (LZW), by Pillow.

    Raises:
        UserError: of a kind that neither reads.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[number]
        assert isinstance(page, tifffile.TiffPage)
        try:
            samples = page.asarray(maxworkers=1)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return _tiff_by_pillow(data, image, tifffile.COMPRESSION(page.compression).name)
        photometric = tifffile.PHOTOMETRIC(page.photometric).name
        axes, extra = page.axes, [int(value) for value in page.extrasamples]
        palette = page.colormap if photometric == "PALETTE" else None
    samples = np.moveaxis(samples, 0, 2) if axes.startswith("S") else samples
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.ndim != 3:
        raise UserError("a TIFF of several layers; save the one you want as an image")
    if palette is not None:
        return Raw(np.moveaxis(palette, 0, 2)[samples[..., 0]] if palette.ndim == 3 else palette.T[samples[..., 0]],
                   "RGB")  # fmt: skip
    space = {"MINISBLACK": "L", "MINISWHITE": "L", "RGB": "RGB", "SEPARATED": "CMYK"}.get(photometric)
    if space is None:
        raise UserError(f"a TIFF of colours of the kind {photometric} that is not read; save it as RGB")
    count = {"L": 1, "RGB": 3, "CMYK": 4}[space]
    alpha = samples[..., count] if samples.shape[2] > count and extra and extra[0] in (1, 2) else None
    colour = samples[..., :count]
    if alpha is not None and extra[0] == 1 and colour.dtype == np.uint16:
        colour = divided(colour, alpha)
    return Raw(colour, space, alpha, inverted=photometric == "MINISWHITE")


def by_libtiff(image: Image.Image) -> None:
    """Have libtiff decode the page of a TIFF without compression in YCbCr, whose samples Pillow would take as RGB."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    if tags.get(262) == 6 and tags.get(259, 1) == 1:
        image.use_load_libtiff = True
        width, height = tags[256], tags[257]
        image.tile = [ImageFile._Tile("libtiff", (0, 0, width, height), 0, ("RGBX", "raw", False, tags.offset))]


def tiff_size(data: bytes) -> tuple[int, int]:
    """Width and height of the first page."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        return int(page.imagewidth), int(page.imagelength)


def tiff_pages(data: bytes) -> Sequence[int]:
    """The numbers of the pages that are no smaller copy or mask of another one."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        file.pages.useframes = False
        numbers = [number for number, page in enumerate(file.pages)
                   if isinstance(page, tifffile.TiffPage) and not int(page.subfiletype) & 5]  # fmt: skip
    return numbers or [0]


def tiff_metadata(data: bytes, number: int) -> tuple[Metadata, int]:
    """Metadata and orientation of a page that Pillow does not read."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[number]
        assert isinstance(page, tifffile.TiffPage)
        tags = {tag.code: tag.value for tag in page.tags}
        dpi = page.get_resolution("inch") if 282 in tags and tags.get(296, 2) in (2, 3) else None
    exif = {tag: value for tag, value in tags.items() if tag in KEPT and isinstance(value, (str, bytes))}
    profile = tags.get(34675, b"")
    remarks = (xmp.lasting(tags.get(700)), iptc.lasting(tags.get(iptc.TAG)))
    metadata = Metadata(exif, usable_dpi(dpi), bytes(profile), {}, "TIFF", *remarks)
    return metadata, int(tags.get(274, 1))


def _tiff_by_pillow(data: bytes, image: Image.Image | None, compression: str) -> Raw:
    raw = image.tile[0].args[0] if image and image.tile else ""  # type: ignore[attr-defined]
    if image is not None and re.fullmatch(r"I;16[BLN]?|I;12", str(raw)):
        return Raw(np.asarray(image).astype(np.uint16)[..., None], "L", upright=True)
    separate = image is None or image.tag_v2.get(284) == 2  # type: ignore[attr-defined]
    if image is None or separate or not re.fullmatch(r"(RGB|RGBA|RGBX|CMYK)(X*);16[BLN]", str(raw)):
        raise UserError(f"a TIFF with {compression} compression of a kind that is not read; save it uncompressed")
    samples = _both_bytes(data, image.mode, raw, image.tell())
    if image.mode == "RGBA":
        return Raw(samples[..., :3], "RGB", samples[..., 3], upright=True)
    return Raw(samples, "CMYK" if image.mode == "CMYK" else "RGB", upright=True)


def divided(colour: Samples, alpha: Samples) -> Samples:
    """Colours that were multiplied by their opacity, without it."""
    weight = np.maximum(alpha[..., None].astype(np.float32), 1) / 65535
    return (colour / weight).round().clip(0, 65535).astype(np.uint16)


# --- PPM


def _ppm(data: bytes) -> tuple[int, int, int, int, int] | None:
    """Width, height, greatest value, channels and beginning of the samples of a binary PGM or PPM."""
    blank = rb"(?:\s|#[^\n]*\n)+"
    head = re.match(rb"P([56])" + blank + rb"(\d{1,9})" + blank + rb"(\d{1,9})" + blank + rb"(\d{1,5})\s", data[:4096])
    if head is None:
        return None
    kind, width, height, greatest = map(int, head.groups())
    return width, height, greatest, 1 if kind == 5 else 3, head.end()


def _from_ppm(data: bytes, width: int, height: int, greatest: int, channels: int, start: int) -> Raw:
    samples = np.frombuffer(data, ">u2", width * height * channels, start).astype(np.uint32)
    full = (np.minimum(samples, greatest) * 65535 + greatest // 2) // greatest
    return Raw(full.astype(np.uint16).reshape(height, width, channels), "L" if channels == 1 else "RGB")
