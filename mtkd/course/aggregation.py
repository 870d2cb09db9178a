"""Pictures of the aggregator for the course: one window step by step, attention between frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mtkd.explore.comparison.crops import sheet, whole_with_box
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw.colours import diverging
from mtkd.explore.draw.mosaics import reach, signed_log_map, signed_map
from mtkd.explore.inside.trace import Windows
from mtkd.images import UInt8Image

_SIDE = 160


def window_sheet(photo: UInt8Image, windows: Windows, row: int, column: int, channel: int) -> Image.Image:
    """One channel of one window before the DCT, after it, after attention, and back among the pixels.

    Frequencies are drawn on a log scale; red is positive, blue negative, and the range stands under each picture.

    Args:
        photo: HR image (H, W, 3) of the windows, in which the window is outlined.
        windows: of :func:`mtkd.explore.inside.trace.trace`, of an aggregator with DCT.
        row, column, channel: which one, counted from 0.
    """
    size, number = windows.size, row * windows.columns + column
    side = photo.shape[0] // windows.rows
    outlined = np.asarray(whole_with_box(photo, Region(row * side, column * side, side, side)))
    outlined = np.asarray(Image.fromarray(outlined).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
    cells = [("window", f"row {row}, column {column}", outlined)]
    assert windows.frequencies is not None
    steps = {
        "LN(x), pixels": windows.before,
        "DCT, log": windows.frequencies,
        "attention, log": windows.mixed,
        "IDCT: is added": windows.added,
    }
    for name, tokens in steps.items():
        values = tokens[number, :, channel].reshape(size, size).numpy()
        full = reach(values)
        picture = (signed_log_map if "log" in name else signed_map)(values, full)
        cells.append((name, f"±{full:.3g}", picture.repeat(_SIDE // size, 0).repeat(_SIDE // size, 1)))
    return sheet(cells, columns=len(cells))


def attention_sheet(weights: Tensor, zoom: int = 2) -> Image.Image:
    """Attention (heads, T, T) of T tokens by T tokens, a picture a head: red where more than 1/T is taken, blue less.

    The scale is the logarithm of weight times T, each head's own (its 98th percentile, so that one odd row
    does not make the rest pale); smallest and largest weight stand under it.
    """
    cells = []
    for number, head in enumerate(weights.double().numpy(), 1):
        logs = np.log2(np.maximum(head * len(head), 1e-9))
        caption = f"{head.min():.3f} to {head.max():.3f}"
        cells.append((f"head {number}", caption, _rounded(logs / reach(logs, 98))))
    return sheet(cells, zoom, columns=len(cells))


def difference_map(first: Tensor, second: Tensor, full: float) -> UInt8Image:
    """First minus second, images (1, 3, H, W) in [0, 1], mean over colours: red where the first is brighter.

    Args:
        full: levels, of 255, at full colour. The picture has 16 steps of it, so that the PNG is small.
    """
    levels = 255 / full * (first - second)[0].mean(0).double().numpy()
    return _rounded(levels)


def _rounded(values: NDArray[np.floating]) -> UInt8Image:
    return diverging(np.round(values.astype(np.float64) * 16) / 16)
