"""Room for large pictures: what would not fit well into memory lies in a file without a name, and is read in parts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from mtkd.errors import UserError
from mtkd.images.picture import Rows, Samples
from mtkd.memory import size_text

HELD = 512 << 20
"""Bytes of one image that are held in memory; larger ones lie on disk."""
LUMA = (0.299, 0.587, 0.114)
"""Of a grey result: the weights of the channels (ITU-R BT.601)."""


class Canvas:
    """An array that is written and read in parts, in memory or in a file that goes with this object."""

    def __init__(self, shape: tuple[int, ...], kind: DTypeLike, folder: Path) -> None:
        self.shape, self.dtype = shape, np.dtype(kind)
        size = int(np.prod(shape)) * self.dtype.itemsize
        self._held: NDArray[Any] | None = None
        self._file: IO[bytes] | None = None
        if size <= HELD:
            self._held = np.empty(shape, self.dtype)
            return
        free = shutil.disk_usage(folder).free
        if size > free:
            raise UserError(
                f"{folder}: a result of this size needs {size_text(size)} of disk while it is made, and "
                f"{size_text(free)} are free; upscale parts of the image"
            )
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._file.truncate(size)

    @property
    def array(self) -> NDArray[Any]:
        """The array; of a file a new view, whose pages leave the memory with it."""
        if self._held is not None:
            return self._held
        return np.memmap(cast("IO[bytes]", self._file), self.dtype, "r+", shape=self.shape)

    def samples(self, channels: slice | int) -> Samples:
        """Some channels of (H, W, C), or one as (H, W): an array, or what reads the file in parts."""
        if self._held is not None:
            return self._held[..., channels]
        count = () if isinstance(channels, int) else (len(range(*channels.indices(self.shape[2]))),)
        shape = (*self.shape[:2], *count)
        return Rows(shape, self.dtype, lambda rows: np.array(self.array[rows][..., channels])).samples


class FromSamples:
    """The samples of a picture as a source: (H, W, 1 or 3) uint8 or uint16; grey is replicated."""

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self.samples, self.device = samples, device
        self.top = float(np.iinfo(samples.dtype).max)

    @property
    def size(self) -> tuple[int, int]:
        return self.samples.shape[0], self.samples.shape[1]

    def read(self, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        """A part as (1, 3, h, w) in [0, 1]."""
        part = self.samples
        if rows is not None and columns is not None:
            part = part[rows.numpy()[:, None], columns.numpy()]
        planes = torch.from_numpy(part.astype(np.float32)).permute(2, 0, 1)[None]
        return planes.expand(1, 3, -1, -1).contiguous().to(self.device) / self.top


class IntoLevels:
    """A target that rounds what is written to levels, into some channels of a canvas of integers."""

    def __init__(self, canvas: Canvas, channels: slice) -> None:
        self.canvas, self.channels = canvas, channels
        self.top = int(np.iinfo(canvas.dtype).max)
        self.grey = len(range(*channels.indices(canvas.shape[2]))) == 1

    @property
    def size(self) -> tuple[int, int]:
        return self.canvas.shape[0], self.canvas.shape[1]

    def write(self, rows: slice, columns: slice, part: Tensor) -> None:
        """Round (1, 3, h, w) to the nearest levels; of grey the luma."""
        target = self.canvas.array[rows, columns]
        step = 1_000_000 // max(1, part.shape[3]) + 1  # a part at a time: the steps need memory
        for top in range(0, part.shape[2], step):
            levels = part[0, :, top : top + step].float().cpu()
            if self.grey:
                weights = torch.tensor(LUMA, dtype=torch.float64)
                levels = (levels.double() * weights[:, None, None]).sum(0, keepdim=True)
            levels = (levels * self.top).round().clamp(0, self.top).permute(1, 2, 0)
            target[top : top + step, :, self.channels] = levels.numpy().astype(self.canvas.dtype)


class OnCanvas:
    """A raster of floating-point numbers on a canvas: an image of an aggregator's teacher."""

    def __init__(self, canvas: Canvas, device: torch.device) -> None:
        self.canvas, self.device = canvas, device

    @property
    def size(self) -> tuple[int, int]:
        return self.canvas.shape[1], self.canvas.shape[2]

    def read(self, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        """A part as (1, 3, h, w)."""
        part = self.canvas.array
        if rows is not None and columns is not None:
            part = part[:, rows.numpy()[:, None], columns.numpy()]
        return torch.from_numpy(np.array(part))[None].to(self.device)

    def write(self, rows: slice, columns: slice, part: Tensor) -> None:
        """Put (1, 3, h, w) in its place."""
        self.canvas.array[:, rows, columns] = part[0].float().cpu().numpy()


def rooms(folder: Path, device: torch.device) -> Callable[[int, int], OnCanvas]:
    """What makes rasters for the images of teachers."""
    return lambda height, width: OnCanvas(Canvas((3, height, width), np.float32, folder), device)
