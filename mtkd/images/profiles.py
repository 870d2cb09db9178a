"""Colour profiles (ICC): from what a file holds to sRGB, which the networks know, and back."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mtkd.images.picture import Samples, parts, to_eight

Convert = Callable[[Samples], Samples]
"""Samples (H, W, C) of one colour space -> those of another, of the same depth."""
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""Colour spaces of a profile -> modes of Pillow."""
CHANNELS = {"RGB": 3, "L": 1, "CMYK": 4, "LAB": 3}
LEVELS = 65535
GRID = 33
"""Places a side of the table by which 16-bit samples are converted where a profile holds tables."""
FIXED_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


class BadProfile(Exception):  # noqa: N818
    """A profile that cannot be used: damaged, or of another colour space than the picture."""


@cache
def srgb() -> bytes:
    """A profile of sRGB, the same bytes every time."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = FIXED_DATE
    return bytes(data)


@cache
def lab() -> bytes:
    """A profile of CIE L*a*b*."""
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


@cache
def grey() -> bytes:
    """A profile of grey with the tone curve of sRGB."""
    tags = tags_of(srgb())
    name = _text("Grey with the sRGB tone curve")
    return built(b"GRAY", {b"desc": name, b"cprt": name, b"wtpt": tags[b"wtpt"], b"kTRC": tags[b"rTRC"]})


@cache
def adobe_rgb() -> bytes:
    """A profile of Adobe RGB (1998), for photos of cameras that name it and embed none."""
    tags = tags_of(srgb())
    name = _text("Compatible with Adobe RGB (1998)")
    columns = {b"rXYZ": (0x9C18, 0x4FA5, 0x04FC), b"gXYZ": (0x348D, 0xA02C, 0x0F95), b"bXYZ": (0x2631, 0x102F, 0xBE9C)}
    curve = b"curv" + struct.pack(">IIH", 0, 1, 563)  # 2 + 51/256
    colours = {key: b"XYZ " + bytes(4) + struct.pack(">3I", *values) for key, values in columns.items()}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return built(b"RGB ", {b"desc": name, b"cprt": name, b"wtpt": tags[b"wtpt"], **colours, **curves})


@cache
def of_primaries(name: str, columns: tuple[float, ...], exponent: float | None = None) -> bytes:
    """A profile of primaries: ``columns`` are XYZ of red, green and blue for white D50; the tone curve is that of sRGB.

    Args:
        exponent: of another tone curve.
    """
    tags, text = tags_of(srgb()), _text(name)
    fixed = [b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in columns[at : at + 3]))
             for at in (0, 3, 6)]  # fmt: skip
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), fixed, strict=True))
    curve = tags[b"rTRC"] if exponent is None else b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return built(b"RGB ", {b"desc": text, b"cprt": text, b"wtpt": tags[b"wtpt"], **colours, **curves})


def _text(words: str) -> bytes:
    content = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">III4sII", 0, 1, 12, b"enUS", len(content), 28) + content


def built(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A display profile of these tags."""
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for key, content in tags.items():
        table += key + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    white = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    size = at + len(body)
    head = struct.pack(">I4s4s4s4s4s", size, bytes(4), b"\4\x20\0\0", b"mntr", space, b"XYZ ") + FIXED_DATE + b"acsp"
    return head + bytes(28) + white + bytes(128 - len(head) - 28 - 12) + table + body


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile.

    Raises:
        BadProfile: damaged.
    """
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        rows = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 200))]
    except struct.error as error:
        raise BadProfile("cut off") from error
    return {key: profile[at : at + length] for key, at, length in rows}


def space_of(profile: bytes) -> str:
    """The mode of Pillow for the colour space of a profile; "" for others."""
    return SPACES.get(profile[16:20].decode("latin-1"), "")


def name_of(profile: bytes) -> str:
    """What a profile calls itself."""
    try:
        return ImageCms.getProfileDescription(_opened(profile)).strip()[:60] or "without a name"
    except ImageCms.PyCMSError:
        return "without a name"


@lru_cache(16)
def converter(source: bytes, target: bytes, bits: int) -> Convert | None:
    """Converts samples between two profiles; None where that would change nothing but rounding.

    8-bit samples go through Little CMS, perceptual where the profile makes a difference; 16-bit ones through the
    formulas of profiles that are matrix and curves, else through a table of what Little CMS gives.

    Raises:
        BadProfile: one of the profiles cannot be used.
    """
    modes = [space_of(source), space_of(target)]
    if not all(modes):
        raise BadProfile("of a colour space that is not RGB, grey, CMYK or L*a*b*")
    transform = _transform(source, target, *modes)
    if modes[0] == modes[1] and _changes_nothing(transform, CHANNELS[modes[0]]):
        return None
    if bits == 8 and modes != ["L", "L"]:  # of grey it makes coarse steps
        return transform
    try:
        return _by_formula(Curves(source), Curves(target))
    except BadProfile:
        return transform if bits == 8 else _by_table(transform, CHANNELS[modes[0]])


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    if profile == srgb():  # as Little CMS has it, before it was rounded to bytes
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _transform(source: bytes, target: bytes, mode: str, to: str) -> Convert:
    try:
        made = ImageCms.buildTransform(_opened(source), _opened(target), mode, to)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise BadProfile(str(error) or "damaged") from error

    def convert(samples: Samples) -> Samples:
        height, width = samples.shape[:2]
        out = np.empty((height, width, CHANNELS[to]), np.uint8)
        for rows in parts(height, width):
            part = np.ascontiguousarray(samples[rows])
            raw = part[..., 0] if mode == "L" else part
            image = Image.frombytes(mode, (width, part.shape[0]), raw.tobytes())
            changed = ImageCms.applyTransform(image, made)
            assert changed is not None
            out[rows] = np.frombuffer(changed.tobytes(), np.uint8).reshape(out[rows].shape)
        return out

    return convert


def _changes_nothing(transform: Convert, channels: int) -> bool:
    axis = np.linspace(0, 255, 18).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(*[axis] * channels), axis=-1).reshape(1, -1, channels)
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(channels, axis=2)
    samples = np.concatenate([colours, ramp], axis=1)
    return bool(np.abs(transform(samples).astype(int) - samples).max() <= 1)


class Curves:
    """A profile that is one curve a channel and a matrix, in floating point.

    Raises:
        BadProfile: it holds tables in place of them, or is damaged.
    """

    def __init__(self, profile: bytes) -> None:
        tags = tags_of(profile)
        if any(key in tags for key in (b"A2B0", b"A2B1", b"D2B0")):
            raise BadProfile("tables")
        names = {"RGB": (b"rTRC", b"gTRC", b"bTRC"), "L": (b"kTRC",)}.get(space_of(profile), ())
        if not names or any(name not in tags for name in names):
            raise BadProfile("no curves")
        try:
            self.curves = [_curve(tags[name]) for name in names]
            columns = [_fixed(tags[name], 8, 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")] if len(names) == 3 else []
        except (KeyError, struct.error, ValueError, IndexError) as error:
            raise BadProfile("damaged") from error
        self.matrix = np.array(columns).T if columns else None

    def linear(self, samples: Samples) -> NDArray[np.float32]:
        """Samples (N, C) -> linear light, (N, 3) XYZ or (N, 1) grey."""
        samples = samples if samples.dtype == np.uint16 else samples.astype(np.uint16) * 257
        light = np.stack([curve[samples[:, c]] for c, curve in enumerate(self.curves)], axis=1)
        return light if self.matrix is None else (light @ self.matrix.T.astype(np.float32))

    def encoded(self, light: NDArray[np.float32]) -> Samples:
        """The other way round."""
        if self.matrix is not None:
            light = light @ np.linalg.inv(self.matrix).T.astype(np.float32)
        places = np.arange(LEVELS + 1)
        out = [np.interp(light[:, c], curve, places) for c, curve in enumerate(self.curves)]
        return np.stack(out, axis=1).round().astype(np.uint16)


def _fixed(data: bytes, at: int, count: int) -> list[float]:
    return [value / 65536 for value in struct.unpack_from(f">{count}i", data, at)]


def _curve(data: bytes) -> NDArray[np.float32]:
    """A tone curve at all 16-bit levels."""
    x = np.linspace(0, 1, LEVELS + 1)
    kind, (count,) = data[:4], struct.unpack_from(">I", data, 8)
    if kind == b"curv":
        table = np.array(struct.unpack_from(f">{count}H", data, 12)) / LEVELS
        if count < 2:
            y = x ** (table[0] * LEVELS / 256) if count else x
        else:
            y = np.interp(x, np.linspace(0, 1, count), table)
    elif kind == b"para":
        y = _parametric(x, count >> 16, data)
    else:
        raise ValueError(kind)
    return np.maximum.accumulate(np.clip(y, 0, 1)).astype(np.float32)


def _parametric(x: NDArray[Any], form: int, data: bytes) -> NDArray[Any]:
    """ICC.1 section 10.18: ``(a x + b)^g + e`` from ``d`` on, ``c x + f`` below."""
    g, *p = _fixed(data, 12, (1, 3, 4, 5, 7)[form])
    if form == 0:
        p = [1, 0]
    a, b = p[:2]
    c, d, e, f = (0, -b / a, *(p[2:] * 2 or (0, 0))) if form <= 2 else (*p[2:4], *(p[4:] or (0, 0)))
    y: NDArray[Any] = np.where(x >= d, np.clip(a * x + b, 0, None) ** g + e, c * x + f)
    return y


def _by_formula(source: Curves, target: Curves) -> Convert:
    def convert(samples: Samples) -> Samples:
        height, width = samples.shape[:2]
        out = np.empty((height, width, len(target.curves)), np.uint16)
        for rows in parts(height, width):
            light = source.linear(samples[rows].reshape(-1, samples.shape[2]))
            if (source.matrix is None) != (target.matrix is None):
                light = _grey_light(light)
            out[rows] = target.encoded(light).reshape(out[rows].shape)
        return out if samples.dtype == np.uint16 else to_eight(out)

    return convert


def _grey_light(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey light -> XYZ of the white D50, or XYZ -> its Y."""
    white = np.array([[0.9642, 1, 0.8249]], np.float32)
    return light * white if light.shape[1] == 1 else light[:, 1:2]


def _by_table(transform: Convert, channels: int) -> Convert:
    """Between the places of a grid, by interpolation along each channel: the 8 bits of Little CMS make no steps."""
    side = GRID if channels < 4 else 17
    axis = np.linspace(0, 255, side)
    places = np.stack(np.meshgrid(*[axis] * channels, indexing="ij"), axis=-1).reshape(1, -1, channels)
    table = transform(places.round().astype(np.uint8)).reshape(*[side] * channels, -1).astype(np.float32) * 257
    own = [axis.round() / 255 * LEVELS for _ in range(channels)]

    def convert(samples: Samples) -> Samples:
        from scipy.interpolate import RegularGridInterpolator

        look_up = RegularGridInterpolator(own, table)
        height, width = samples.shape[:2]
        out = np.empty((height, width, table.shape[-1]), np.uint16)
        for rows in parts(height, width):
            flat = samples[rows].reshape(-1, channels)
            out[rows] = (look_up(flat) + 0.5).astype(np.uint16).reshape(out[rows].shape)
        return out

    return convert
