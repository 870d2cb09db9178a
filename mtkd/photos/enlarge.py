"""One picture, upscaled: its colours by the network, its transparency by bicubic interpolation."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mtkd import infer
from mtkd.bfloat16 import fast_bf16
from mtkd.images.picture import Picture, flattened
from mtkd.images.transparency import bled
from mtkd.networks.bicubic import Bicubic
from mtkd.photos.canvas import Canvas, FromSamples, IntoLevels, rooms


@dataclass(frozen=True)
class Enlarging:
    """What is done with a picture beside the network.

    Attributes:
        tile, overlap: as in :func:`mtkd.infer.upscale`.
        background: 8-bit RGB that transparent pictures are laid on; None: they stay transparent.
        bits: of the result, 8 or 16; None: as many as the picture has.
        bf16: the network computes in bfloat16.
    """

    tile: int | None = infer.TILE
    overlap: int | None = None
    background: tuple[int, int, int] | None = None
    bits: int | None = None
    bf16: bool = False


PLAIN = Enlarging()


def enlarged(
    network: nn.Module,
    picture: Picture,
    scale: int,
    how: Enlarging,
    device: torch.device,
    progress: infer.Progress | None = None,
    folder: Path | None = None,
) -> Picture:
    """The picture ``scale`` times as large: as many bits, grey if it is grey, with its metadata.

    Args:
        folder: where large results lie while they are made [default: the system's folder of temporary files].

    Raises:
        UserError: the disk has no room for it.
    """
    if how.background is not None:
        picture = flattened(picture, how.background)
    folder = folder or Path(tempfile.gettempdir())
    width, height = picture.size
    channels = picture.colour.shape[2]
    depth = np.uint8 if (how.bits or picture.bits) == 8 else np.uint16
    shape = (scale * height, scale * width, channels + (picture.alpha is not None))
    canvas = Canvas(shape, depth, folder)
    colours, opacity = slice(0, channels), slice(channels, channels + 1)
    lr = FromSamples(bled(picture.colour, picture.alpha), device)
    out = IntoLevels(canvas, colours)
    with torch.autocast(device.type, torch.bfloat16, enabled=how.bf16), fast_bf16(device):
        infer.upscale_into(network, lr, scale, out, rooms(folder, device), how.tile, how.overlap, progress)
    alpha = None
    if picture.alpha is not None:
        lr, out = FromSamples(picture.alpha[..., None], torch.device("cpu")), IntoLevels(canvas, opacity)
        infer.upscale_into(Bicubic(scale), lr, scale, out, rooms(folder, lr.device), how.tile)
        alpha = canvas.samples(channels)
    metadata = picture.metadata
    if metadata.dpi:
        metadata = replace(metadata, dpi=(metadata.dpi[0] * scale, metadata.dpi[1] * scale))
    return replace(picture, colour=canvas.samples(colours), alpha=alpha, metadata=metadata)


def opacity(alpha: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Opacity (H, W), ``scale`` times as large."""
    canvas = Canvas((scale * alpha.shape[0], scale * alpha.shape[1], 1), np.uint8, Path(tempfile.gettempdir()))
    lr = FromSamples(alpha[..., None], torch.device("cpu"))
    infer.upscale_into(Bicubic(scale), lr, scale, IntoLevels(canvas, slice(0, 1)), rooms(Path(), lr.device))
    return canvas.array[..., 0]
