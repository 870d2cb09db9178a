"""Pictures of feature maps: signed colours around 0, many maps on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd.explore.draw.colours import diverging
from mtkd.images import UInt8Image

LARGEST = 1200
"""Maximum number of pixels; larger pictures are reduced by an integer factor."""
PERCENTILE = 99.5
"""Percentile of the absolute values of a large map at full colour, so that outliers do not make the rest pale."""
_GAP = 255

Values = NDArray[np.floating]


def reach(values: Values, percentile: float = 100) -> float:
    """A percentile of the absolute values (by default their maximum); 1 if it is 0, so that it can be a divisor."""
    return float(np.percentile(np.abs(values), percentile)) or 1.0


def signed_map(values: Values, full: float) -> UInt8Image:
    """(H, W) -> blue at ``-full``, white at 0, red at ``full``."""
    return diverging(values.astype(np.float64) / full)


def signed_log_map(values: Values, full: float, decades: float = 3) -> UInt8Image:
    """As :func:`signed_map` on a signed log scale, sign(x) log(1 + |x| 10^d / full) over its value at ``full``."""
    steep = 10**decades
    return signed_map(np.sign(values) * np.log1p(np.abs(values) / full * steep), float(np.log1p(steep)))


def mosaic(maps: Sequence[UInt8Image], columns: int, gap: int = 2) -> UInt8Image:
    """Arrange pictures (H, W, 3) of one size on a sheet, row by row, ``gap`` white pixels apart."""
    height, width = maps[0].shape[:2]
    rows = -(-len(maps) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), _GAP, np.uint8)
    for number, picture in enumerate(maps):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def signed_mosaic(maps: Values, columns: int) -> UInt8Image:
    """(C, H, W) -> a mosaic in which each map has its own scale, symmetric around 0: :data:`PERCENTILE`."""
    return mosaic([signed_map(values, reach(values, PERCENTILE)) for values in maps], columns)


def fit(picture: UInt8Image, largest: int = LARGEST) -> tuple[UInt8Image, int]:
    """The picture and 1, or the picture reduced by the smallest integer factor k to at most ``largest`` pixels, and
    k."""
    factor = -(-max(picture.shape[:2]) // largest)
    return (picture, 1) if factor == 1 else (np.asarray(Image.fromarray(picture).reduce(factor)), factor)
