"""A rectangle of the image: what a person looks at, measures and prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtkd.errors import UserError
from mtkd.images import UInt8Image


@dataclass(frozen=True)
class Region:
    """A rectangle in HR pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, numbers: Sequence[int | str] | None) -> Region | None:
        """From [top, left, height, width], as the viewer gives it.

        Raises:
            UserError: something else.
        """
        if not numbers:
            return None
        try:
            top, left, height, width = map(int, numbers)
        except (TypeError, ValueError) as error:
            raise UserError(f"{numbers!r} is no region: give top, left, height and width") from error
        return cls(top, left, height, width)

    def cut(self, image: UInt8Image) -> UInt8Image:
        """The part of an image (H, W, 3).

        Raises:
            UserError: the region leaves the image.
        """
        self.check(*image.shape[:2])
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def check(self, height: int, width: int) -> None:
        """Refuse a region that an image of this size has not.

        Raises:
            UserError: the region leaves the image.
        """
        bottom, right = self.top + self.height, self.left + self.width
        if not (0 <= self.top < bottom <= height and 0 <= self.left < right <= width):
            raise UserError(f"{self} leaves the image of {width} x {height}")
