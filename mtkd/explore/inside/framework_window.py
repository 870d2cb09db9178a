"""One window of the aggregator before and after the DCT (Sec. 3.1.2, Fig. 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explore.comparison.core import Comparison
from mtkd.explore.comparison.crops import whole_with_box
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.mosaics import mosaic, reach, signed_log_map, signed_map
from mtkd.explore.inside.framework_run import Picture, Step, shape_text
from mtkd.explore.inside.trace import Windows
from mtkd.images import UInt8Image, chw
from mtkd.metrics import luma
from mtkd.networks.windows import pad_to_multiple, partition_windows

Place = tuple[int, int]
"""(row, column) of a window, counted from 0."""


def busiest_window(comparison: Comparison, size: int) -> Place:
    """The window of the LR image, padded to whole windows, whose luma has the largest standard deviation."""
    grey = pad_to_multiple(luma(chw(comparison.lr_image).double())[None], size)  # (1, 1, H, W)
    spread = partition_windows(grey.permute(0, 2, 3, 1), size).std(1)
    columns = grey.shape[-1] // size
    return divmod(int(spread.argmax()), columns)


def window_step(comparison: Comparison, windows: Windows, place: Place | None = None) -> Step:
    """One window of the first layer: DCT, attention and inverse DCT.

    Args:
        windows: of :func:`run`'s trace.
        place: the window; the one with most detail by default.

    Raises:
        UserError: there is no such window.
    """
    row, column = place or busiest_window(comparison, windows.size)
    if not (0 <= row < windows.rows and 0 <= column < windows.columns):
        raise UserError(
            f"no window in row {row}, column {column}: there are {windows.rows} rows and {windows.columns} columns, "
            "counted from 0"
        )
    number = row * windows.columns + column
    before, mixed, added = (_tokens(t, number, windows.size) for t in (windows.before, windows.mixed, windows.added))
    channel = int(before.std((1, 2)).argmax())
    place_picture = Picture.of(
        f"The window: row {row}, column {column}", _outlined(comparison, windows.size, row, column)
    )
    first = _signed(f"LN(x): channel {channel + 1} of {len(before)}", before[channel])
    last = _signed(f"{_LAST[windows.mixing]}: added to x", added[channel])
    if windows.frequencies is None:
        pictures: tuple[Picture, ...] = (place_picture, first, last)
        title, equation, text = "A window", "x + W^−1(mix(W(LN(x))))", _NO_DCT[windows.mixing]
    else:
        coefficients = _tokens(windows.frequencies, number, windows.size)
        pictures = (
            place_picture,
            first,
            _signed("DCT: log scale", coefficients[channel], log=True),
            _signed("SW-MSA: log scale", mixed[channel], log=True),
            last,
            Picture.of("LN(x): all channels", _small_mosaic(before)),
            Picture.of("DCT: all channels, log scale", _small_mosaic(coefficients, log=True)),
        )
        title, equation, text = "A window in the DCT", "x + W^−1(IDCT(SW-MSA(DCT(W(LN(x))))))", _DCT
    text += " Shown: the first layer of the first block, in its channel with the largest variance in this window."
    shape = shape_text(windows.before)
    return Step("window", title, "", "Sec. 3.1.2", equation, shape, f"{text} {_HELP}", pictures)


_DCT = (
    "Attention operates on the frequencies of a window instead of its pixels. The mean is at the top left; frequencies "
    "along x increase to the right, those along y downwards."
)
_NO_DCT = {
    "attention": "This aggregator has no DCT (v4 of Table 5): attention operates on the pixels of the window.",
    "mixer": "This aggregator has no DCT and no attention (v3 of Table 5): an MLP mixes the pixels of the window.",
}
_LAST = {"DCT": "IDCT", "attention": "SW-MSA", "mixer": "Mixer"}
_HELP = "Blue is negative, white is 0, red is positive. The shape is (windows, pixels of a window, C)."


def _tokens(tokens: Tensor, number: int, size: int) -> NDArray[np.float32]:
    """One window's tokens as maps (C, w, w)."""
    maps: NDArray[np.float32] = tokens[number].T.reshape(-1, size, size).numpy()
    return maps


def _signed(caption: str, values: NDArray[np.float32], log: bool = False) -> Picture:
    full = reach(values)
    draw = signed_log_map if log else signed_map
    return Picture(f"{caption}, ±{full:.2g}", draw(values, full))


def _small_mosaic(maps: NDArray[np.float32], log: bool = False) -> UInt8Image:
    draw = signed_log_map if log else signed_map
    return mosaic([draw(values, reach(values)) for values in maps], 6, gap=1)


def _outlined(comparison: Comparison, size: int, row: int, column: int) -> UInt8Image:
    """The LR image, enlarged, with one window outlined."""
    scale = comparison.scale
    enlarged = comparison.lr_image.repeat(scale, axis=0).repeat(scale, axis=1)
    side = size * scale
    top, left = row * side, column * side
    height, width = min(side, enlarged.shape[0] - top), min(side, enlarged.shape[1] - left)
    return np.asarray(whole_with_box(enlarged, Region(top, left, height, width)))
