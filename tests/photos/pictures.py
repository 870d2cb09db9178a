"""Pictures of every kind that people have, made rather than collected, and colour profiles made by hand."""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

RNG = np.random.default_rng(21)
SRGB = ImageCms.createProfile("sRGB")
PRIMARIES = {  # xy of red, green, blue; the exponent of the tone curve; all of white D65, adapted to D50
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), 2.2),
    "Adobe RGB": ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), 563 / 256),
    "ProPhoto": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), 1.8),
    "Rec. 2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), 2.4),
    "sRGB": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), 2.2),
    "Wide linear": ((0.700, 0.300), (0.200, 0.760), (0.120, 0.050), 1.0),
}
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def smooth(height: int = 24, width: int = 32, channels: int = 3, top: int = 255) -> np.ndarray:
    """A soft picture without extremes, float."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (5 + c) + c) * np.cos(y / (4 + c)) for c in range(channels)]
    return (0.5 + 0.35 * np.stack(waves, axis=-1)) * top


def noise(height: int = 12, width: int = 16, channels: int = 3, depth: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(depth).max + 1, (height, width, channels), depth)


def xyz(xy: tuple[float, float]) -> np.ndarray:
    return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])


def matrix(name: str) -> np.ndarray:
    """Linear RGB -> XYZ of D50."""
    columns = np.stack([xyz(p) for p in PRIMARIES[name][:3]], axis=1)
    white, d50 = xyz((0.3127, 0.3290)), np.array([0.9642, 1, 0.8249])
    scaled = columns * np.linalg.solve(columns, white)
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ d50) / (BRADFORD @ white)) @ BRADFORD
    return adapt @ scaled


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2."""
    body, table, at = b"", struct.pack(">I", len(tags)), 132 + 12 * len(tags)
    for key, content in tags.items():
        content += bytes(-len(content) % 4)
        table += key + struct.pack(">II", at + len(body), len(content))
        body += content
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, at + len(body), b"lcms", 0x02400000, kind, space, pcs)
    head[36:40] = b"acsp"
    struct.pack_into(">3i", head, 68, 63190, 65536, 54061)
    return bytes(head) + table + body


def described(name: str) -> bytes:
    text = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)


def value(numbers: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(x) * 65536) for x in numbers))


def curve(gamma: float) -> bytes:
    if gamma == 1:
        return b"curv" + bytes(8)
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(name: str) -> bytes:
    """One of :data:`PRIMARIES`."""
    columns = matrix(name).T
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(value, columns), strict=True))
    tone = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(PRIMARIES[name][3]))
    about = {b"desc": described(name), b"cprt": b"text\0\0\0\0none\0", b"wtpt": value(np.array([0.9642, 1, 0.8249]))}
    return profile(b"RGB ", about | colours | tone)


def grey_profile(gamma: float) -> bytes:
    about = {b"desc": described(f"Grey {gamma}"), b"cprt": b"text\0\0\0\0none\0"}
    return profile(b"GRAY", {**about, b"wtpt": value(np.array([0.9642, 1, 0.8249])), b"kTRC": curve(gamma)})


def table(inputs: int, outputs: int, side: int, values: np.ndarray) -> bytes:
    """A table of 8 bits (``mft1``), all curves straight."""
    one = (65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    head = b"mft1\0\0\0\0" + struct.pack(">BBBx9i", inputs, outputs, side, *one)
    straight = bytes(range(256))
    return head + straight * inputs + values.astype(np.uint8).tobytes() + straight * outputs


@cache
def cmyk_profile(strength: float) -> bytes:
    """Inks of a made-up press, to L*a*b* and back, by tables."""
    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(SRGB, lab, "RGB", "LAB")
    to_rgb = ImageCms.buildTransform(lab, SRGB, "LAB", "RGB")
    axis = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(*[axis] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    paper = (1 - strength * inks[:, :3]) * (1 - strength * inks[:, 3:])
    rgb = Image.fromarray((paper * 255).round().astype(np.uint8)[None])
    forward = np.asarray(ImageCms.applyTransform(rgb, to_lab)).reshape(-1, 3).astype(int)
    forward[:, 1:] = (forward[:, 1:] + 128) % 256  # a* and b* are signed in Pillow, and offset in a profile
    side = np.linspace(0, 255, 17).round().astype(np.uint8)
    places = np.stack(np.meshgrid(*[side] * 3, indexing="ij"), axis=-1).reshape(1, -1, 3).copy()
    places[..., 1:] += 128
    image = Image.frombytes("LAB", (places.shape[1], 1), places.tobytes())
    colours = np.asarray(ImageCms.applyTransform(image, to_rgb)).reshape(-1, 3) / 255
    key = 1 - colours.max(axis=1, keepdims=True)
    back = np.concatenate([(1 - colours - key) / np.maximum(1 - key, 1e-3), key], axis=1).clip(0, 1) * 255
    about = {b"desc": described("Press"), b"cprt": b"text\0\0\0\0none\0", b"wtpt": value(np.array([0.9642, 1, 0.8249]))}
    tables = {b"A2B0": table(4, 3, 9, forward), b"B2A0": table(3, 4, 17, back.round())}
    return profile(b"CMYK", about | tables, b"prtr", b"Lab ")


def by_formula(samples: np.ndarray, name: str) -> np.ndarray:
    """16-bit samples of one of :data:`PRIMARIES` as sRGB in [0, 1]."""
    to_srgb = matrix(name).T @ np.linalg.inv(matrix("sRGB")).T
    return encoded(((samples / 65535) ** (round(PRIMARIES[name][3] * 256) / 256) @ to_srgb).clip(0, 1))


def encoded(light: np.ndarray) -> np.ndarray:
    """The tone curve of sRGB (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clip(1e-9) ** (1 / 2.4) - 0.055)


def in_srgb(image: Image.Image, icc: bytes) -> np.ndarray:
    """What Little CMS makes of it."""
    changed = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), SRGB, outputMode="RGB")
    return np.asarray(changed)


def save(path: Path, array: np.ndarray | Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(path, **options)
    return path
