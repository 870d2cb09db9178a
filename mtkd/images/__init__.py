"""Images on disk and in memory: read, check, convert, write.

On disk a picture may be anything (:mod:`mtkd.images.reading`, :mod:`mtkd.images.writing`); what is trained on and
measured is ``uint8`` RGB in sRGB. Networks see float32 RGB in [0, 1], (N, 3, H, W).
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from mtkd.errors import UserError
from mtkd.images.arrays import chw, crop_to_multiple, round_to_levels, to_tensor, to_uint8
from mtkd.images.folders import find_images
from mtkd.images.formats import SUFFIXES
from mtkd.images.picture import Metadata, Picture, UInt8Image
from mtkd.images.reading import Reading, decode, image_size, read_image, read_picture
from mtkd.images.writing import write_picture

MAX_PIXELS = 50_000_000
"""Of an image that a stranger sends: larger ones are refused before they are decoded."""

__all__ = [
    "MAX_PIXELS", "SUFFIXES", "Metadata", "Picture", "Reading", "UInt8Image", "chw", "crop_to_multiple", "decode",
    "find_images", "image_size", "read_image", "read_picture", "round_to_levels", "to_tensor", "to_uint8",
    "write_image", "write_picture",
]  # fmt: skip


def write_image(path: str | Path, image: UInt8Image | Tensor, about: str = "") -> None:
    """Write (H, W, 3) uint8, or a float (3, H, W) / (1, 3, H, W) in [0, 1], as PNG, atomically.

    ``about`` is stored in the file as its "Description".

    Raises:
        UserError: the folder is not writable, or the name does not end in .png (a lossy file would change
            the pixels that are compared).
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: results are written as PNG (lossless); give a name that ends in .png")
    array = to_uint8(image) if isinstance(image, Tensor) else image
    write_picture(path, Picture(array, metadata=Metadata(text={"Description": about} if about else {})))
