"""Large photos: the whole of one takes minutes, so an area of it can be compared instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd.errors import UserError
from mtkd.explore.comparison.core import LR
from mtkd.explore.comparison.region import Region
from mtkd.images import Reading, UInt8Image, image_size, read_image, read_picture
from mtkd.images.picture import eight_bits
from mtkd.images.transparency import bled

from ..server.queue import LARGE
from ..state import Mode
from .estimate import PACE

LARGEST = 16_000_000
"""Pixels of a result: 4K (8.3 million) and somewhat more."""
SIDE = 640
"""Of an area: pixels of the result."""
PREVIEW = 1600
"""Pixels a side of the photo in which the area is chosen, at most."""
WHOLE = "whole"
"""In place of an area."""


@dataclass(frozen=True)
class Choice:
    """What a person is asked about a large photo.

    Attributes:
        preview: the photo, smaller; ``factor`` pixels of the photo are one of it.
        side: of an area in the preview.
        seconds: what the whole photo would take.
        whole: the whole photo may be compared.
    """

    preview: UInt8Image
    factor: float
    side: int
    seconds: float
    whole: bool
    question: str


def result_pixels(shape: Sequence[int], mode: Mode, scale: int) -> int:
    """Of the result for an image (H, W, 3)."""
    return shape[0] * shape[1] * (1 if mode is Mode.TEST else scale**2)


def check_size(path: str, mode: Mode, scale: int) -> int:
    """Pixels of the result, from the file's head; 0 where it cannot be read: reading it tells what is wrong.

    Raises:
        UserError: more than :data:`LARGEST`.
    """
    try:
        pixels = result_pixels(image_size(path), mode, scale)
    except UserError:
        return 0
    if pixels > LARGEST:
        raise UserError(
            f"the result would have {pixels / 1e6:.1f} million pixels; the limit is {LARGEST // 1_000_000} million. "
            "Compare an area of it, or use `mtkd upscale`"
        )
    return pixels


def wanted(path: str, mode: Mode, scale: int, names: Sequence[str], part: str, largest: int | None) -> Choice | None:
    """The question to ask about a picture, or None where it is small enough or already answered.

    Raises:
        UserError: the file is no image that can be read.
    """
    try:
        pixels = result_pixels(image_size(path), mode, scale)
    except UserError:
        return None
    if part or pixels <= LARGE:
        return None
    image = read_image(path, largest)
    factor = max(1.0, max(image.shape[:2]) / PREVIEW)
    height, width = (round(side / factor) for side in image.shape[:2])
    preview = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
    side = SIDE if mode is Mode.TEST else SIDE // scale
    seconds = PACE.seconds([name for name in names if name != LR], scale, pixels)
    whole = pixels <= LARGEST
    size = f"This photo is {image.shape[1]} × {image.shape[0]}"
    asked = f"{size}, and the result {pixels / 1e6:.0f} megapixels. Select the area to compare"
    question = f"{asked}, or take the whole photo." if whole else f"{asked}; the whole is too large for the page."
    return Choice(preview, factor, min(round(side / factor), height, width), seconds, whole, question)


def opened(path: str, mode: Mode, part: str, largest: int | None) -> tuple[UInt8Image, NDArray[np.uint8] | None]:
    """The picture, or an area of it, and where it is transparent its opacity.

    To be measured a picture lies on white; to be upscaled it keeps its transparency.

    Raises:
        UserError: the file cannot be read, or the area is none.
    """
    picture = eight_bits(read_picture(path, Reading(largest)))
    if mode is Mode.TEST or picture.alpha is None:
        return cut(picture.rgb8(), part), None
    colour = replace(picture, colour=bled(picture.colour, picture.alpha), alpha=None).rgb8()
    return cut(colour, part), cut(picture.alpha, part)


def text(region: Region, factor: float) -> str:
    """A region of the preview as an area of the photo."""
    return ",".join(str(round(value * factor)) for value in vars(region).values())


def cut(image: UInt8Image, part: str) -> UInt8Image:
    """The area of an image.

    Raises:
        UserError: it is no area, or leaves the image by more than rounding.
    """
    if not part or part == WHOLE:
        return image
    region = Region.of(part.split(","))
    assert region is not None
    top, left = (max(0, value) for value in (region.top, region.left))
    bottom, right = min(image.shape[0], top + region.height), min(image.shape[1], left + region.width)
    return Region(top, left, bottom - top, right - left).cut(image)
