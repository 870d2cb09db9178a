"""TIFF files, written a strip at a time: 8 and 16 bits, one page or several, with profile, EXIF and resolution."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from mtkd.images.iptc import TAG as IPTC
from mtkd.images.metadata import EXIF, GPS, directory, in_file, with_size
from mtkd.images.picture import Metadata, Samples

Page = tuple[Samples, bytes, Metadata]
"""Samples (H, W, C), the profile to embed, what else to say."""
LARGE = 1 << 31
"""Bytes of samples from which on a file is written as BigTIFF."""
STRIP = 1 << 18
"""Bytes of samples of a strip, about."""
LEVEL = 6
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
Entry = tuple[int, int, int, bytes]
"""Tag, type, number of values, their bytes."""


def write(path: Path, pages: Sequence[Page]) -> None:
    """Write the pages, packed by zlib with differences."""
    large = sum(samples.nbytes for samples, _, _ in pages) >= LARGE
    with path.open("wb") as file:
        file.write(b"II\x2b\0\x08\0\0\0" if large else b"II\x2a\0")
        pointer = file.tell()
        file.write(bytes(8 if large else 4))
        for page in pages:
            pointer = _page(file, page, pointer, large)


def _page(file: IO[bytes], page: Page, pointer: int, large: bool) -> int:
    """Write a page; returns where the place of the next one is to be said."""
    samples, profile, metadata = page
    entries = [*_about(samples, profile, metadata), *_strips(file, samples, large)]
    for place in (EXIF, GPS):
        if place in metadata.exif:
            tags = metadata.exif[place]
            if place == EXIF:
                tags = with_size(tags, (samples.shape[1], samples.shape[0]))
            start = _even(file)
            file.write(directory(tags, place).tobytes(start))
            entries.append(_numbers(place, LONG, start))
    start = _even(file)
    file.seek(pointer)
    file.write(struct.pack("<Q" if large else "<I", start))
    file.seek(start)
    return _directory(file, sorted(entries), large)


def _about(samples: Samples, profile: bytes, metadata: Metadata) -> list[Entry]:
    height, width, channels = samples.shape
    inks = bool(profile) and profile[16:20] == b"CMYK"
    colours = 4 if inks else 1 if channels <= 2 else 3
    entries = [
        _numbers(256, LONG, width),
        _numbers(257, LONG, height),
        _numbers(258, SHORT, *[8 * samples.itemsize] * channels),
        _numbers(259, SHORT, 8),  # zlib
        _numbers(262, SHORT, 5 if inks else 1 if colours == 1 else 2),
        _numbers(277, SHORT, channels),
        _numbers(284, SHORT, 1),
        _numbers(317, SHORT, 2),  # differences along rows
        _numbers(339, SHORT, *[1] * channels),
    ]
    if channels > colours:
        entries.append(_numbers(338, SHORT, 2))  # alpha, not multiplied
    if metadata.dpi:
        entries += [(tag, RATIONAL, 1, struct.pack("<II", round(value * 1000), 1000))
                    for tag, value in zip((282, 283), metadata.dpi, strict=True)]  # fmt: skip
        entries.append(_numbers(296, SHORT, 2))  # per inch
    if profile:
        entries.append((34675, UNDEFINED, len(profile), profile))
    for tag, kind, block in ((700, BYTE, metadata.xmp), (IPTC, UNDEFINED, metadata.iptc)):
        if block:
            entries.append((tag, kind, len(block), block))
    for tag, value in metadata.exif.items():
        if isinstance(value, str):
            text = in_file(value) + b"\0"
            entries.append((tag, ASCII, len(text), text))
        elif isinstance(value, bytes):
            entries.append((tag, BYTE, len(value), value))
        elif isinstance(value, int) and 0 <= value < 1 << 16:
            entries.append(_numbers(tag, SHORT, value))
    return entries


def _strips(file: IO[bytes], samples: Samples, large: bool) -> list[Entry]:
    rows = max(1, STRIP * samples.shape[0] // samples.nbytes)
    places, lengths = [], []
    for top in range(0, samples.shape[0], rows):
        strip = np.array(samples[top : top + rows])
        strip[:, 1:] -= strip[:, :-1].copy()
        packed = zlib.compress(strip.astype(strip.dtype.newbyteorder("<"), copy=False).tobytes(), LEVEL)
        places.append(file.tell())
        lengths.append(file.write(packed))
    place = LONG8 if large else LONG
    return [_numbers(273, place, *places), _numbers(278, LONG, rows), _numbers(279, place, *lengths)]


def _directory(file: IO[bytes], entries: Sequence[Entry], large: bool) -> int:
    number, head, short = ("<Q", "<HHQ", 8) if large else ("<I", "<HHI", 4)
    file.write(struct.pack("<Q" if large else "<H", len(entries)))
    data_at = file.tell() + len(entries) * (4 + 2 * short) + short
    data = b""
    for tag, kind, count, content in entries:
        file.write(struct.pack(head, tag, kind, count))
        if len(content) <= short:
            file.write(content.ljust(short, b"\0"))
        else:
            file.write(struct.pack(number, data_at + len(data)))
            data += content + bytes(len(content) % 2)
    pointer = file.tell()
    file.write(bytes(short) + data)
    return pointer


def _numbers(tag: int, kind: int, *values: int) -> Entry:
    form = {SHORT: "H", LONG: "I", LONG8: "Q"}[kind]
    return tag, kind, len(values), struct.pack(f"<{len(values)}{form}", *values)


def _even(file: IO[bytes]) -> int:
    at = file.seek(0, 2)
    file.write(bytes(at % 2))
    return at + at % 2
