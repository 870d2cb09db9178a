"""TIFFs of luma and colour differences, made by hand: TIFF 6.0, sections 21 (YCbCr) and 22 (JPEG)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

SHORT, LONG, RATIONAL = 3, 4, 5
FORMS = {SHORT: "H", LONG: "I", RATIONAL: "I"}
Tags = dict[int, tuple[int, Sequence[int]]]


def file(tags: Tags, blocks: Sequence[bytes], order: str = "<", tiled: bool = False) -> bytes:
    """A TIFF of these strips or tiles."""
    at, places, body = 8, [], b""
    for block in blocks:
        places.append(at + len(body))
        body += block + bytes(len(block) % 2)
    tags = tags | {324 if tiled else 273: (LONG, places), 325 if tiled else 279: (LONG, [len(b) for b in blocks])}
    directory = at + len(body)
    after, table, data = directory + 2 + 12 * len(tags) + 4, b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        content = struct.pack(f"{order}{len(values)}{FORMS[kind]}", *values)
        count = len(values) // 2 if kind == RATIONAL else len(values)
        if len(content) > 4:
            content, data = struct.pack(order + "I", after + len(data)), data + content + bytes(len(content) % 2)
        table += struct.pack(order + "HHI", tag, kind, count) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", directory)
    return head + body + struct.pack(order + "H", len(tags)) + table + bytes(4) + data


def tags(width: int, height: int, rows: int, packing: int, **more: tuple[int, Sequence[int]]) -> Tags:
    usual: Tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8, 8, 8]),
        259: (SHORT, [packing]),
        262: (SHORT, [6]),
        277: (SHORT, [3]),
        278: (LONG, [rows]),
        284: (SHORT, [1]),
        532: (RATIONAL, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1]),
    }
    return usual | {int(tag[1:]): value for tag, value in more.items()}


def differences(rgb: np.ndarray, weights: Sequence[float] = (0.299, 0.587, 0.114)) -> np.ndarray:
    """Y, Cb and Cr of the whole range, as section 21 defines them."""
    red, green, blue = (rgb[..., i].astype(float) for i in range(3))
    luma = weights[0] * red + weights[1] * green + weights[2] * blue
    cb, cr = (blue - luma) / (2 - 2 * weights[2]) + 128, (red - luma) / (2 - 2 * weights[0]) + 128
    return np.stack([luma, cb, cr], axis=-1).round().clip(0, 255).astype(np.uint8)


def units(ycc: np.ndarray, across: int, down: int) -> bytes:
    """Data units: ``across`` x ``down`` samples of Y, one of Cb and one of Cr; edges are repeated."""
    height, width = ycc.shape[:2]
    full = np.pad(ycc, ((0, -height % down), (0, -width % across), (0, 0)), "edge")
    cells = full.reshape(full.shape[0] // down, down, full.shape[1] // across, across, 3).swapaxes(1, 2)
    luma = cells[..., 0].reshape(*cells.shape[:2], -1)
    chroma = cells[..., 1:].astype(float).mean(axis=(2, 3)).round().astype(np.uint8)
    return np.concatenate([luma, chroma], axis=2).tobytes()


def jpeg(rgb: np.ndarray, subsampling: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=95, subsampling=subsampling)
    return file.getvalue()


def strips(rgb: np.ndarray, across: int, down: int, rows: int = 8, packing: int = 1, order: str = "<") -> bytes:
    ycc = differences(rgb)
    blocks = [units(ycc[top : top + rows], across, down) for top in range(0, len(ycc), rows)]
    if packing == 8:
        blocks = [zlib.compress(block) for block in blocks]
    more = {"_530": (SHORT, [across, down])}
    return file(tags(rgb.shape[1], rgb.shape[0], rows, packing, **more), blocks, order)


def tiles(rgb: np.ndarray, across: int, down: int, side: int = 16, packing: int = 1) -> bytes:
    height, width = rgb.shape[:2]
    full = np.pad(rgb, ((0, -height % side), (0, -width % side), (0, 0)), "edge")
    parts = [full[y : y + side, x : x + side] for y in range(0, height, side) for x in range(0, width, side)]
    if packing == 7:
        blocks = [jpeg(part, 2 if down == 2 else 0) for part in parts]
    else:
        blocks = [units(differences(part), across, down) for part in parts]
    more = {"_322": (LONG, [side]), "_323": (LONG, [side]), "_530": (SHORT, [across, down])}
    about = tags(width, height, side, packing, **more)
    del about[278]
    return file(about, blocks, tiled=True)


def planes(rgb: np.ndarray, packing: int = 1) -> bytes:
    """Y, Cb and Cr one after the other, in full size."""
    blocks = [np.ascontiguousarray(plane).tobytes() for plane in np.moveaxis(differences(rgb), 2, 0)]
    if packing == 8:
        blocks = [zlib.compress(block) for block in blocks]
    more = {"_284": (SHORT, [2]), "_530": (SHORT, [1, 1])}
    return file(tags(rgb.shape[1], rgb.shape[0], len(rgb), packing, **more), blocks)


def with_jpeg(rgb: np.ndarray, subsampling: int = 2) -> bytes:
    """New JPEG (compression 7): a whole JPEG in one strip."""
    more = {"_530": (SHORT, [2, 2] if subsampling == 2 else [1, 1])}
    return file(tags(rgb.shape[1], rgb.shape[0], len(rgb), 7, **more), [jpeg(rgb, subsampling)])


def with_old_jpeg(rgb: np.ndarray, subsampling: int = 2) -> bytes:
    """Old JPEG (compression 6): one stream, which tag 513 points at."""
    stream = jpeg(rgb, subsampling)
    more = {"_512": (SHORT, [1]), "_513": (LONG, [8]), "_514": (LONG, [len(stream)]),
            "_530": (SHORT, [2, 2] if subsampling == 2 else [1, 1])}  # fmt: skip
    return file(tags(rgb.shape[1], rgb.shape[0], len(rgb), 6, **more), [stream])


def other_weights(rgb: np.ndarray) -> bytes:
    """Of Rec. 709, which tag 529 says."""
    numbers = (0.2126, 0.7152, 0.0722)
    more = {
        "_529": (RATIONAL, [part for number in numbers for part in (round(number * 10000), 10000)]),
        "_530": (SHORT, [1, 1]),
    }
    ycc = differences(rgb, numbers)
    return file(tags(rgb.shape[1], rgb.shape[0], len(rgb), 1, **more), [ycc.tobytes()])
