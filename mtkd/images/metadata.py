"""What is taken over from a picture's file beside its pixels: date, camera, copyright, resolution, remarks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mtkd.images import iptc, xmp
from mtkd.images.picture import Metadata

EXIF, GPS = int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)
KEPT = {
    270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095,
}  # fmt: skip
"""Tags of the main directory: description, camera, software, date, artist, copyright, rating, Windows' remarks."""
LEFT_OUT = {0x927C, 0xA001, 0xA002, 0xA003, 0xA005, 0x9102, 0xA300}
"""Of the directory Exif: maker's notes (their offsets would be wrong), colour space, size, compression."""
TEXT = ("Title", "Author", "Description", "Copyright", "Creation Time", "Source", "Comment")
"""Keywords of the PNG standard that stay true of a result."""
SRGB, UNCALIBRATED = 1, 0xFFFF
"""Colour spaces of EXIF."""


def metadata_of(image: Image.Image) -> Metadata:
    """Of an opened file; what cannot be read of it is left out."""
    exif, info = _exif(image), image.info  # in this order: of a PNG it reads what comes after the pixels
    profile = info.get("icc_profile") or b""
    text = {key: str(info[key])[:2000] for key in TEXT if isinstance(info.get(key), str)}
    return Metadata(
        exif,
        usable_dpi(info.get("dpi")) if _says_dpi(image) else None,
        profile if isinstance(profile, bytes) else b"",
        text,
        image.format or "",
        *_remarks(image),
    )


def _says_dpi(image: Image.Image) -> bool:
    """Pillow gives a TIFF without a resolution one pixel per inch."""
    return image.format != "TIFF" or 282 in getattr(image, "tag_v2", {})


def _remarks(image: Image.Image) -> tuple[bytes, bytes]:
    """XMP and IPTC."""
    try:
        return xmp.lasting(image.info.get("xmp") or iptc.raw_profile(image, "xmp")), iptc.of_image(image)
    except Exception:  # damaged blocks make them raise almost anything
        return b"", b""


def _exif(image: Image.Image) -> Mapping[int, Any]:
    try:
        source = image.getexif()
        tags: dict[int, Any] = {tag: source[tag] for tag in KEPT if tag in source}
        for place in (EXIF, GPS):
            part = {tag: value for tag, value in source.get_ifd(place).items() if tag not in LEFT_OUT}
            if place == EXIF:
                part = {tag: value for tag, value in part.items() if not isinstance(value, dict)}
            if part:
                tags[place] = part
        exif_block(tags)  # what cannot be written is not taken over
    except Exception:  # damaged directories make it raise almost anything
        return {}
    return tags


def usable_dpi(pair: Any) -> tuple[float, float] | None:
    """Pixels per inch, where they are numbers that make sense."""
    try:
        across, down = (float(value) for value in pair)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    good = all(math.isfinite(value) and 1 <= value <= 100_000 for value in (across, down))
    return (across, down) if good else None


def is_adobe_rgb(image: Image.Image) -> bool:
    """Whether a camera says so without a profile: an EXIF colour space that is not sRGB, of the rule R03."""
    try:
        exif = image.getexif()
        part = exif.get_ifd(EXIF)
        rule = exif.get_ifd(int(ExifTags.IFD.Interop)).get(1, "") if 0xA005 in part else ""
        return part.get(0xA001) in (2, UNCALIBRATED) and str(rule).strip("\0 ") == "R03"
    except Exception:
        return False


def with_size(tags: Mapping[int, Any], size: tuple[int, int]) -> dict[int, Any]:
    """The directory Exif of an sRGB picture of this size."""
    return {**tags, 0xA001: SRGB, 0xA002: size[0], 0xA003: size[1]}


def exif_block(tags: Mapping[int, Any], size: tuple[int, int] | None = None) -> bytes:
    """Tags as a block of EXIF, with the ``size`` of the picture; empty if there are none."""
    if not tags:
        return b""
    content = dict(tags)
    if size is not None:
        content[EXIF] = with_size(tags.get(EXIF, {}), size)
    return b"Exif\0\0II*\0\x08\0\0\0" + directory(content).tobytes(8)


def directory(tags: Mapping[int, Any], group: int | None = None) -> ImageFileDirectory_v2:
    """A directory of TIFF, as EXIF is made of them."""
    made = ImageFileDirectory_v2(b"II*\0\x08\0\0\0", group=group)
    for tag, value in tags.items():
        if isinstance(value, Mapping):
            made.tagtype[tag] = 4  # a place, filled in by Pillow
            made._tags_v2[tag] = {key: _written(item) for key, item in value.items()}
        else:
            if isinstance(value, str):
                made.tagtype[tag] = 2
            made[tag] = _written(value)
    return made


def _written(value: Any) -> Any:
    """Pillow would put "?" in place of letters that are not ASCII."""
    return in_file(value) if isinstance(value, str) and not value.isascii() else value


def in_file(text: str) -> bytes:
    """A text as its bytes in a file, where Pillow takes each byte for a letter of Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()
