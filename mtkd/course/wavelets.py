"""Sheets of subbands, and errors of equal size but different kinds, for the course."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mtkd.explain.subbands import transform
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw.colours import diverging
from mtkd.explore.draw.mosaics import reach
from mtkd.explore.inside.wavelets import Pair, enlarged
from mtkd.images import UInt8Image, to_uint8
from mtkd.networks.dct import dct_matrix


def bands_sheet(image: Tensor, levels: int = 1, wavelet: str = "haar") -> Image.Image:
    """The bands of an image (3, H, W), a row a level, each as large as the image; LL is divided by 2^level.

    Red is positive, blue negative; the value of full colour is below each detail band. LL bands before the last level
    are intermediate results of the transform.
    """
    cells = []
    for level in range(1, levels + 1):
        for name, band in transform(image, level, wavelet).items():
            if name.endswith(str(level)):
                final = name[:2] != "LL" or level == levels
                below, picture = _draw(name, band)
                cells.append((name if final else f"({name})", below, enlarged(picture, level, image)))
    return sheet(cells, columns=4)


def pair_sheet(pair: Pair) -> Image.Image:
    """The bands of two pictures and of their difference, one row per band; detail bands of a row share a scale."""
    cells = []
    for band in pair.bands:
        full = max(reach(values.mean(0).numpy(), 99.5) for values in (band.first, band.second))
        drawn = {
            f"{band.name}: {pair.first}": _draw(band.name, band.first, full),
            f"{band.name}: {pair.second}": _draw(band.name, band.second, full),
            "difference": _draw("", band.difference),
        }
        for title, (below, picture) in drawn.items():
            caption = f"{below}, contributes {band.contribution:.5f}" if title == "difference" else below
            cells.append((title, caption, enlarged(picture, band.level, pair.images[0])))
    return sheet(cells, columns=3)


def equal_errors(image: Tensor, rms: float) -> dict[str, Tensor]:
    """Four errors of an image (3, H, W) with the same root mean square, each (3, H, W).

    "blur" is towards a Gaussian blur of sigma 1; "shift" towards the image moved by one pixel to the right; "ringing"
    towards a low-pass with a hard edge, which keeps a quarter of the frequencies along each axis and leaves waves
    beside edges; "offset" is the same value everywhere. The first three are shortened or stretched to the size.
    """
    x = torch.arange(-4, 5, dtype=image.dtype)
    kernel = torch.exp(-x.square() / 2)
    kernel = torch.outer(kernel, kernel)[None, None] / kernel.sum() ** 2
    blurred = F.conv2d(F.pad(image[:, None], (4, 4, 4, 4), mode="reflect"), kernel)[:, 0]
    shifted = torch.cat([image[..., :1], image[..., :-1]], dim=-1)
    low = image
    for axis in (-1, -2):
        matrix = dct_matrix(image.shape[axis]).to(image.dtype)[: image.shape[axis] // 4]
        low = (low.transpose(axis, -1) @ matrix.T @ matrix).transpose(axis, -1)
    errors = {
        "blur": blurred - image,
        "shift": shifted - image,
        "ringing": low - image,
        "offset": torch.ones_like(image),
    }
    return {name: error * (rms / error.square().mean().sqrt()) for name, error in errors.items()}


def errors_sheet(image: Tensor, errors: dict[str, Tensor], full: float) -> Image.Image:
    """The image (3, H, W) with each error in the first row, the errors in the second, full colour at ``full``."""
    pictures = [(name, "", to_uint8(image + error)) for name, error in errors.items()]
    for name, error in errors.items():
        pictures.append((f"{name}: the error", "", _signed(error, full)))
    return sheet(pictures, columns=len(errors))


def _draw(name: str, band: Tensor, full: float | None = None) -> tuple[str, UInt8Image]:
    if name.startswith("LL"):
        return f"brightness, / {2 ** int(name[2:])}", to_uint8(band / 2 ** int(name[2:]))
    full = full or reach(band.mean(0).numpy(), 99.5)
    return f"±{full:.2g}", _signed(band, full)


def _signed(values: Tensor, full: float) -> UInt8Image:
    """Mean over colours, in 16 steps a side, so that the PNG is small."""
    return diverging(np.round(values.mean(0).double().numpy() / full * 16) / 16)
