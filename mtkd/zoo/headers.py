"""What a weights file says of itself: the header in its safetensors metadata, read without torch.

A safetensors file is 8 bytes with the length n of the JSON (little endian), n bytes of JSON, then the tensors:
https://huggingface.co/docs/safetensors. The JSON gives the place of each tensor and ``__metadata__``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd.errors import UserError, check_format

FORMAT = "mtkd/1"
COMMUNITY = "community"
"""What the header gives as the network of weights that spandrel alone can build (:mod:`mtkd.zoo.community`)."""
LONGEST = 100_000_000
"""Bytes of JSON that are read at most, as by the safetensors library."""


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself; kept in the safetensors metadata."""

    name: str
    network: str
    scale: int
    teachers: tuple[str, ...] = ()
    """Aggregators only: the teachers in the order of the concatenation."""

    def metadata(self) -> dict[str, str]:
        fields = {"format": FORMAT, "name": self.name, "network": self.network, "scale": str(self.scale)}
        return fields | ({"teachers": json.dumps(self.teachers)} if self.teachers else {})


def read_header(path: Path) -> Header:
    """The header of a weights file written by :func:`mtkd.zoo.checkpoints.save_weights`.

    Raises:
        UserError: missing, not safetensors, cut off, without a header, or of another format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        meta = _metadata(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    if "format" not in meta:
        raise UserError(f"{path}: has no MTKD header (network, scale); it was not written by this project")
    check_format(meta["format"], FORMAT, path)
    try:
        teachers = tuple(json.loads(meta.get("teachers", "[]")))
        return Header(meta["name"], meta["network"], int(meta["scale"]), teachers)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged header ({error})") from error


def _metadata(path: Path) -> dict[str, str]:
    """The metadata; a ValueError, or what odd JSON raises, where the file is not whole."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(LONGEST, size - 8):
            raise ValueError("its header is too large, or cut off")
        content: dict[str, Any] = json.loads(file.read(length).decode("utf-8"))
    meta: dict[str, str] = content.pop("__metadata__", {})
    if not all(isinstance(text, str) for item in meta.items() for text in item):
        raise ValueError("its metadata are no texts")
    end = max((int(tensor["data_offsets"][1]) for tensor in content.values()), default=0)
    if end != size - 8 - length:
        raise ValueError(f"{end:,} bytes of tensors expected, {size - 8 - length:,} in the file")
    return meta
