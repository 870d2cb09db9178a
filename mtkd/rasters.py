"""Images that are read and written in parts: in memory here, elsewhere also on disk."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Source(Protocol):
    """An image that is read in parts."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    def read(self, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        """(1, 3, h, w) in [0, 1]; None: all of them."""


class Target(Protocol):
    """An image that is written in parts."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    def write(self, rows: slice, columns: slice, part: Tensor) -> None:
        """Put a part (1, 3, h, w) in its place."""


class Raster(Source, Target, Protocol):
    """Both: what is written is read later."""


class Held:
    """A raster in memory: ``image`` (1, 3, H, W)."""

    def __init__(self, image: Tensor) -> None:
        self.image = image

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[-2], self.image.shape[-1]

    def read(self, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        if rows is None or columns is None:
            return self.image
        return self.image[:, :, rows[:, None], columns]

    def write(self, rows: slice, columns: slice, part: Tensor) -> None:
        if part.shape == self.image.shape:
            self.image = part
        else:
            self.image[..., rows, columns] = part
