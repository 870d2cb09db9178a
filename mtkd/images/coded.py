"""HEIC, AVIF and JPEG 2000: more than 8 bits, and colour spaces that are numbers (ITU-T H.273) in place of profiles."""

from __future__ import annotations

import re
import struct

import numpy as np
from PIL import Image

from mtkd.images import png, profiles
from mtkd.images.deep import Raw, divided

PRIMARIES = {
    9: ("Rec. 2020", (0.67348, 0.27904, -0.00194, 0.16566, 0.67535, 0.02998, 0.12505, 0.04561, 0.79686)),
    12: ("Display P3", (0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407)),
}
"""By their numbers: name, XYZ of red, green and blue for white D50. Others are those of sRGB, or rare."""
SRGB_PLACES = np.array([0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06])
"""xy of white, red, green and blue, as PNG's cHRM has them."""
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50 = np.array([0.9642, 1.0, 0.8249])
HDR = {16: "PQ", 18: "HLG"}


def is_deep_heif(image: Image.Image) -> bool:
    """Whether a HEIC photo holds more than 8 bits, of which Pillow's plugin would give 8."""
    return image.format == "HEIF" and image.info.get("bit_depth", 8) > 8


def heif(image: Image.Image, data: bytes) -> Raw:
    """Its samples as uint16, upright; black and white are 0 and 65535."""
    import pillow_heif

    # it gives the samples in the upper bits
    bits = image.info["bit_depth"]
    photo = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)[image.tell()]
    levels = np.asarray(photo).reshape(photo.size[1], photo.size[0], -1) >> (16 - bits)
    top = (1 << bits) - 1
    samples = ((levels.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
    count = 1 if samples.shape[2] <= 2 else 3
    colour, alpha = samples[..., :count], samples[..., count] if samples.shape[2] > count else None
    if alpha is not None and photo.premultiplied_alpha:
        colour = divided(colour, alpha)
    return Raw(colour, "L" if count == 1 else "RGB", alpha)


def profile(image: Image.Image, data: bytes) -> bytes:
    """A profile of the colours that a file without one names by numbers; empty for sRGB and what is not known."""
    if image.format == "PNG" and {"gamma", "chromaticity"} & set(image.info) and b"cICP" not in data[:4096]:
        return _by_gamma(image)
    primaries, transfer = _colours(image, data)
    if primaries not in PRIMARIES or transfer in HDR:
        return b""
    name, columns = PRIMARIES[primaries]
    return profiles.of_primaries(name, columns)


def _by_gamma(image: Image.Image) -> bytes:
    """Of a PNG that says an exponent (gAMA) or primaries (cHRM) in place of a profile; empty if that is sRGB."""
    white, *primaries = np.array(image.info.get("chromaticity", SRGB_PLACES), float).reshape(4, 2)
    exponent = 1 / image.info.get("gamma", 1 / 2.2) if image.info.get("gamma", 1) > 0 else 0
    usual = abs(exponent - 2.2) < 0.1
    places = np.array([white, *primaries])
    plain = np.abs(places.ravel() - SRGB_PLACES).max() < 0.003
    if "srgb" in image.info or (usual and plain) or not 0.2 <= exponent <= 5 or places.min() <= 0:
        return b""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in places])
    try:
        columns = xyz[1:].T * np.linalg.solve(xyz[1:].T, xyz[0])
    except np.linalg.LinAlgError:
        return b""
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ xyz[0])) @ BRADFORD
    name = "sRGB primaries" if plain else "Primaries of the file"
    return profiles.of_primaries(name, tuple((adapt @ columns).T.ravel()), None if usual else exponent)


def notes(image: Image.Image, data: bytes) -> tuple[str, ...]:
    """What a person should know of how it is read."""
    told: tuple[str, ...] = ()
    bits = _bits(image, data)
    if bits > 8:
        told += (f"it holds {bits} bits a channel, of which 8 are read; a PNG or TIFF of 16 bits keeps them",)
    if (transfer := _colours(image, data)[1]) in HDR:
        told += (f"its brightness is HDR ({HDR[transfer]}), which is taken as sRGB; save it as SDR for true colours",)
    if image.format == "PNG" and (where := png.damage(data)):
        told += (f"a part of it is damaged ({where}): colours may be wrong",)
    return told


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits a sample of a file that Pillow reduces to 8."""
    if image.format == "AVIF" and (found := re.search(rb"av1C\x81.(.)", data[:65536], re.DOTALL)):
        flags = found[1][0]
        return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    if image.format == "JPEG2000" and not image.mode.startswith("I"):
        found = re.search(rb"\xff\x4f\xff\x51.{38}(.)", data[:65536], re.DOTALL)
        return (found[1][0] & 0x7F) + 1 if found else 8
    return 8


def _colours(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Numbers of the primaries and of the tone curve; 2 says nothing."""
    if image.format == "HEIF":
        named = image.info.get("nclx_profile") or {}
        return named.get("color_primaries", 2), named.get("transfer_characteristics", 2)
    if image.format == "AVIF" and (found := re.search(rb"colrnclx(.{4})", data[:65536], re.DOTALL)):
        primaries, transfer = struct.unpack(">HH", found[1])
        return primaries, transfer
    if image.format == "PNG" and (found := re.search(rb"\0\0\0\x04cICP(..)", data[:4096], re.DOTALL)):
        return found[1][0], found[1][1]
    return 2, 2
