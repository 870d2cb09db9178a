"""A picture as people have it on disk: colours, transparency, depth, and what belongs to it beside the pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UInt8Image = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""
Samples = NDArray[Any]
"""uint8 or uint16."""


@dataclass(frozen=True)
class Rows:
    """Samples that lie elsewhere, read a part at a time: ``rows[top:bottom]`` is an array (h, W, C)."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[slice], Samples]

    @property
    def samples(self) -> Samples:
        """This, where the writer takes an array: it uses no more than what is here."""
        return cast("Samples", self)

    @property
    def itemsize(self) -> int:
        """Bytes of a sample."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return math.prod(self.shape) * self.itemsize

    def __getitem__(self, rows: slice) -> Samples:
        return self.read(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Samples:
        return self.read(slice(None))


def beside(colour: Samples, alpha: Samples | None) -> Samples:
    """Colours and opacity as channels of one picture."""
    if alpha is None:
        return colour
    height, width, channels = colour.shape
    joined = Rows((height, width, channels + 1), colour.dtype,
                  lambda rows: np.concatenate([colour[rows], alpha[rows][..., None]], axis=2))  # fmt: skip
    return joined.samples


def changed(samples: Samples, change: Callable[[Samples], Samples] | None, channels: int) -> Samples:
    """What ``change`` makes of samples, a part at a time."""
    if change is None:
        return samples
    return Rows((*samples.shape[:2], channels), samples.dtype, lambda rows: change(samples[rows])).samples


@dataclass(frozen=True)
class Metadata:
    """What a picture's file says about it.

    Attributes:
        exif: EXIF tags, those of the sub-directories Exif and GPS as mappings; without thumbnail, orientation and size.
        dpi: pixels per inch, horizontal and vertical.
        profile: the embedded colour profile (ICC) that the samples were converted from.
        text: remarks by keyword, as PNG holds them.
        format: of the file, as Pillow names it.
        xmp, iptc: what stays true of a result, as blocks of these standards.
    """

    exif: Mapping[int, Any] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    profile: bytes = b""
    text: Mapping[str, str] = field(default_factory=dict)
    format: str = ""
    xmp: bytes = b""
    iptc: bytes = b""


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture in sRGB.

    Attributes:
        colour: (H, W, 3), or (H, W, 1) of a grey picture; uint8 or uint16.
        alpha: (H, W) of the same type: opacity; None where all is opaque.
        tagged: its file says that it is sRGB (a profile that was converted).
        notes: what a person should know about how it was read.
        seconds: how long a frame of an animation is shown.
    """

    colour: Samples
    alpha: Samples | None = None
    metadata: Metadata = Metadata()
    tagged: bool = False
    notes: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def grey(self) -> bool:
        """Whether it has no colours."""
        return bool(self.colour.shape[2] == 1)

    @property
    def bits(self) -> int:
        """Bits of a sample, 8 or 16."""
        return 8 * self.colour.itemsize

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.colour.shape[1], self.colour.shape[0]

    def rgb8(self) -> UInt8Image:
        """(H, W, 3) uint8: what networks are trained on and what is measured; transparency lies on white."""
        flat = flattened(eight_bits(self), (255, 255, 255))
        return flat.colour if not flat.grey else np.repeat(flat.colour, 3, axis=2)


def parts(height: int, width: int) -> list[slice]:
    """Rows of an image, a million pixels at a time: steps of a whole image would need memory."""
    rows = 1_000_000 // max(1, width) + 1
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def to_eight(samples: Samples) -> Samples:
    """The nearest 8-bit level of each sample."""
    if samples.dtype == np.uint8:
        return samples
    out = np.empty(samples.shape, np.uint8)
    for rows in parts(*samples.shape[:2]):
        out[rows] = (samples[rows].astype(np.uint32) + 128) // 257  # 65535 / 255 is 257
    return out


def eight_bits(picture: Picture) -> Picture:
    """The same with 8 bits a sample."""
    alpha = None if picture.alpha is None else to_eight(picture.alpha)
    return replace(picture, colour=to_eight(picture.colour), alpha=alpha)


def flattened(picture: Picture, background: tuple[int, int, int]) -> Picture:
    """The same on a background, 8-bit RGB: opaque."""
    if picture.alpha is None:
        return picture
    grey = picture.grey and len(set(background)) == 1
    colour = picture.colour if grey or not picture.grey else np.repeat(picture.colour, 3, axis=2)
    out = np.empty_like(colour)
    for rows in parts(*colour.shape[:2]):
        out[rows] = _over(colour[rows], picture.alpha[rows], background)
    return replace(picture, colour=out, alpha=None)


def _over(colour: Samples, alpha: Samples, background: tuple[int, int, int]) -> Samples:
    under = np.array(background[: colour.shape[2]])
    if colour.dtype == np.uint8:  # Pillow's rounding, which stored numbers were measured with
        rgb = np.broadcast_to(colour, (*colour.shape[:2], 3))
        over = Image.fromarray(np.dstack([rgb, alpha]))
        below = Image.new("RGBA", over.size, (*background, 255))
        return np.asarray(Image.alpha_composite(below, over))[..., : colour.shape[2]]
    weight = alpha[..., None].astype(np.float32) / 65535
    mixed = colour * weight + under.astype(np.float32) * 257 * (1 - weight)
    return (mixed + 0.5).astype(np.uint16)
