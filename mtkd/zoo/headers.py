"""The header of a weights file, in its safetensors metadata. Read without torch.

A safetensors file is 8 bytes with the length n of the JSON (little endian), n bytes of JSON, then the tensors:
https://huggingface.co/docs/safetensors. The JSON gives the place of each tensor and ``__metadata__``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd.errors import UserError, check_format

FORMAT = "mtkd/1"
COMMUNITY = "community"
"""The network name in the header of weights that only spandrel can build (:mod:`mtkd.zoo.community`)."""
LONGEST = 100_000_000
"""Maximum size of the JSON in bytes, as in the safetensors library."""
LARGEST = 100_000
"""Maximum of a number among a network's options."""


@dataclass(frozen=True)
class Header:
    """The header of a weights file, stored in the safetensors metadata."""

    name: str
    network: str
    scale: int
    teachers: tuple[str, ...] = ()
    """For aggregators: the teachers, in the order of concatenation."""
    options: tuple[tuple[str, Any], ...] = ()
    """What the network is built with besides its declaration, by name: an imported one may have any size."""

    def metadata(self) -> dict[str, str]:
        fields = {"format": FORMAT, "name": self.name, "network": self.network, "scale": str(self.scale)}
        fields |= {"teachers": json.dumps(self.teachers)} if self.teachers else {}
        return fields | ({"options": json.dumps(dict(self.options))} if self.options else {})


def frozen(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Options as a header holds them: in the order of their names, lists as tuples.

    Raises:
        ValueError: a value is not a plain one, or too large for a network.
    """
    plain = {key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in options.items()}
    for key, value in plain.items():
        for one in value if isinstance(value, tuple) else (value,):
            if not isinstance(one, (bool, int, float, str)) or (not isinstance(one, str) and abs(one) > LARGEST):
                raise ValueError(f"{key} is {one!r}")
    return tuple(sorted(plain.items()))


def read_header(path: Path) -> Header:
    """The header of a weights file written by :func:`mtkd.zoo.checkpoints.save_weights`.

    Raises:
        UserError: missing, not safetensors, truncated, without a header, or of another format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        meta = _metadata(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    if "format" not in meta:
        raise UserError(f"{path}: has no MTKD header (network, scale); add it with `mtkd models import`")
    check_format(meta["format"], FORMAT, path)
    try:
        teachers = tuple(json.loads(meta.get("teachers", "[]")))
        options = frozen(json.loads(meta.get("options", "{}")))
        return Header(meta["name"], meta["network"], int(meta["scale"]), teachers, options)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: damaged header ({error})") from error


def _metadata(path: Path) -> dict[str, str]:
    """The metadata; a ValueError, or what odd JSON raises, where the file is not whole."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(LONGEST, size - 8):
            raise ValueError("its header is too large or truncated")
        content: dict[str, Any] = json.loads(file.read(length).decode("utf-8"))
    meta: dict[str, str] = content.pop("__metadata__", {})
    if not all(isinstance(text, str) for item in meta.items() for text in item):
        raise ValueError("its metadata is not text")
    end = max((int(tensor["data_offsets"][1]) for tensor in content.values()), default=0)
    if end != size - 8 - length:
        raise ValueError(f"{end:,} bytes of tensors expected, {size - 8 - length:,} in the file")
    return meta
