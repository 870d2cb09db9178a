"""Formats of image files: which are read and written, what each can hold, and what others are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mtkd.errors import UserError

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif", ".avif", ".jp2", ".j2k", ".jpx",
    ".heic", ".heif", ".apng", ".jfif", ".jpe", ".mpo",
)  # fmt: skip
READ = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "AVIF", "JPEG2000")
"""Formats that are decoded. Pillow supports more, some of which (EPS) start other programs."""
NAMES = "PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000, BMP, GIF, PPM, and HEIC with the extra `photos`"
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"RIFF", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
OTHERS = {
    b"8BPS": "a Photoshop document", b"\xff\x0a": "a JPEG XL picture", b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"v/1\x01": "an OpenEXR picture", b"#?RADIANCE": "a Radiance picture", b"%PDF": "a PDF document",
    b"%!PS": "a PostScript drawing", b"<svg": "an SVG drawing", b"<?xml": "an SVG drawing or other XML",
    b"DDS ": "a DDS texture", b"qoif": "a QOI picture", b"\0\0\1\0": "an icon", b"gimp xcf": "a GIMP document",
    b"PK\3\4": "a ZIP archive", b"SIMPLE  =": "a FITS picture",
}  # fmt: skip
"""Beginnings of what people take for a picture that can be read."""
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp")
RAW = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


@dataclass(frozen=True)
class Format:
    """A format that results are written in.

    Attributes:
        name: as ``--format`` takes it.
        suffixes: of its files, the usual one first.
        title: for people.
        deep: it holds 16 bits a sample.
        clear: it holds transparency.
        lossy: it has a quality.
        inks: it holds CMYK.
        side: pixels a side, at most.
        frames: it holds animations or pages.
        in_parts: it is written a part at a time, and takes no memory.
    """

    name: str
    suffixes: tuple[str, ...]
    title: str
    deep: bool = False
    clear: bool = True
    lossy: bool = False
    inks: bool = False
    side: int = (1 << 31) - 1
    frames: bool = True
    in_parts: bool = False


FORMATS = {
    one.name: one
    for one in (
        Format("png", (".png", ".apng"), "PNG", deep=True, in_parts=True),
        Format("jpg", (".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG", clear=False, lossy=True, inks=True, side=65_500,
               frames=False),
        Format("webp", (".webp",), "WebP", lossy=True, side=16_383),
        Format("avif", (".avif",), "AVIF", lossy=True, side=65_536),
        Format("tiff", (".tif", ".tiff"), "TIFF", deep=True, inks=True, in_parts=True),
        Format("gif", (".gif",), "GIF", side=65_535),
    )
}  # fmt: skip
"""Formats of results by name; gif for animations alone."""
STILL = ("png", "jpg", "webp", "avif", "tiff")


def of_suffix(path: Path) -> Format | None:
    """The format that a file's name asks for; None if it is none that is written."""
    return next((one for one in FORMATS.values() if path.suffix.lower() in one.suffixes), None)


def readable(data: bytes, name: str) -> tuple[str, ...]:
    """The formats of Pillow that a file may be of.

    Raises:
        UserError: a HEIC photo without the extra that reads it, a video, or a camera's raw file.
    """
    suffix = Path(name).suffix.lower()
    kind, brands = data[4:8], {data[8:12], *(data[i : i + 4] for i in range(16, 64, 4))}
    if kind == b"ftyp" and not brands & {b"avif", b"avis"}:
        if brands & _HEIF_BRANDS:
            if not _heif():
                raise UserError(f"{name}: a HEIC photo; install what reads it (pip install 'mtkd[photos]') or save it "
                                "as JPEG")  # fmt: skip
            return ("HEIF",)
        raise UserError(f"{name}: {video(name)}")
    if suffix in VIDEOS and not data.startswith((b"GIF8", b"\x89PNG", b"\xff\xd8")):
        raise UserError(f"{name}: {video(name)}")
    if suffix in RAW:
        raise UserError(f"{name}: a camera's raw file; develop it first, to a TIFF of 16 bits or a JPEG")
    return READ


def no_image(data: bytes) -> str:
    """What is wrong with a file that no decoder takes."""
    if not data:
        return "an empty file"
    head = data[:512].lstrip().lower()
    if data.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the picture; `git lfs pull` fetches that"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture; save the picture itself"
    for beginning, kind in OTHERS.items():
        if data.startswith(beginning):
            return f"{kind}, which is not read; save it as PNG or TIFF"
    if data.startswith(BEGINNINGS) or data[4:8] == b"ftyp":
        return "damaged or truncated image"
    return f"not an image in a supported format ({NAMES})"


@cache
def _heif() -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True


def video(name: str) -> str:
    """What to do with a video, in one line."""
    file = Path(name).name
    return (
        f"a video; take its frames (ffmpeg -i {file} frames/%06d.png), upscale them (mtkd upscale frames -o big "
        f"--model NAME), and join them with its sound (ffmpeg -framerate 25 -i big/%06d_x4.png -i {file} -map 0:v "
        "-map '1:a?' -pix_fmt yuv420p big.mp4)"
    )
