"""IPTC (IIM 4.2): captions, keywords and credits of agencies and archives."""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image, TiffImagePlugin

RESOURCE, TAG, RESOURCES_TAG = 0x0404, 33723, 34377
"""Where IPTC lies: among Photoshop's resources, which JPEG holds; in a TIFF of its own or among those."""
LONGEST = 60_000
"""Bytes, which fit into a marker of JPEG."""
CHARACTERS, PREVIEWS = 90, 150
"""Datasets: the character set of the texts; from where on sound and small pictures."""


def lasting(data: Any) -> bytes:
    """The datasets that stay true of a result; of damaged data those before the damage."""
    if not isinstance(data, bytes):
        return b""
    kept, at = b"", 0
    while data[at : at + 1] == b"\x1c" and len(data) >= at + 5:
        record, dataset, length = struct.unpack_from(">BBH", data, at + 1)
        end = at + 5 + length
        if length >= 1 << 15 or end > len(data) or len(kept) + end - at > LONGEST:
            break
        if (record == 2 and dataset < PREVIEWS) or (record, dataset) == (1, CHARACTERS):
            kept += data[at:end]
        at = end
    return kept


def of_image(image: Image.Image) -> bytes:
    """The datasets of an opened JPEG, TIFF or PNG."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        own = image.tag_v2._tagdata.get(TAG)  # as Pillow's reader does: of numbers it would give the first alone
        return lasting(own) or lasting(image.get_photoshop_blocks().get(RESOURCE, {}).get("data"))
    resources = image.info.get("photoshop")
    if isinstance(resources, dict):
        return lasting(resources.get(RESOURCE))
    return lasting(_in_resources(raw_profile(image, "iptc")))


def raw_profile(image: Image.Image, kind: str) -> bytes:
    """A block of a PNG, as ImageMagick writes those that the standard has no place for."""
    text = image.info.get(f"Raw profile type {kind}")
    return bytes.fromhex("".join(text.split()[2:])) if isinstance(text, str) else b""


def as_raw_profile(data: bytes) -> str:
    """The remark that :func:`raw_profile` reads."""
    block = resources(data)
    digits = block.hex()
    rows = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\niptc\n{len(block):8d}\n{rows}\n"


def resources(data: bytes) -> bytes:
    """Datasets as one of Photoshop's resources."""
    return b"8BIM" + struct.pack(">HHI", RESOURCE, 0, len(data)) + data + bytes(len(data) % 2)


def marker(data: bytes) -> bytes:
    """Datasets as a marker of JPEG (APP13)."""
    content = b"Photoshop 3.0\0" + resources(data)
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def _in_resources(block: bytes) -> bytes:
    at = 0
    while block[at : at + 4] == b"8BIM":
        (kind,) = struct.unpack_from(">H", block, at + 4)
        named = at + 6 + (block[at + 6] + 2) // 2 * 2
        (length,) = struct.unpack_from(">I", block, named)
        if kind == RESOURCE:
            return block[named + 4 : named + 4 + length]
        at = named + 4 + (length + 1) // 2 * 2
    return block
