"""Images on disk and in memory: read, check, convert, write.

On disk and for people an image is ``uint8`` RGB; networks see float32 RGB in [0, 1], (N, 3, H, W).
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from mtkd.errors import UserError
from mtkd.files import atomic_write

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
"""What is decoded. Pillow knows many more, some of which (EPS) start other programs; GIF is here to be told apart."""
MAX_PIXELS = 50_000_000
"""Larger images are refused before they are decoded."""

UInt8Image = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""


def _to_rgb(image: Image.Image, name: str) -> UInt8Image:
    # A photo in MPO form (many telephones) is a JPEG with further views behind it: the first is the photo.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise UserError(f"{name}: an animation or multi-page file; save the one frame you want as an image")
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise UserError(f"{name}: floating-point samples have no agreed range; save it with 8 bits a channel")
    out = np.empty((image.height, image.width, 3), np.uint8)
    rows = 1_000_000 // image.width + 1  # a part at a time: the steps need memory
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(top + rows, image.height)))
        out[top : top + rows] = _part_to_rgb(part, name)
    return out


def _part_to_rgb(image: Image.Image, name: str) -> UInt8Image:
    if image.mode.startswith("I"):  # 16-bit grey (PIL keeps 32-bit integers for some files)
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise UserError(f"{name}: integer samples outside 0..65535; save it with 8 bits a channel")
        eight = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 255 is 257
        return np.repeat(eight[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def decode(file: str | Path | IO[bytes], name: str | None = None) -> UInt8Image:
    """Decode one image to (H, W, 3) uint8 RGB, upright.

    EXIF orientation is applied, grey is replicated, palettes and CMYK are converted, transparency is laid on
    white, 16 bits a channel are reduced to 8.

    Raises:
        UserError: not an image, truncated, animated, floating point, or more than ``MAX_PIXELS`` pixels.
    """
    name = name or (str(file) if isinstance(file, (str, Path)) else "image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata; MAX_PIXELS is checked below
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(
                        f"{name}: {image.width} x {image.height} pixels; the limit is "
                        f"{MAX_PIXELS // 1_000_000} million. Cut it into parts"
                    )
                image.load()
                return _to_rgb(image, name)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: too many pixels; the limit is {MAX_PIXELS // 1_000_000} million") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{name}: not an image that can be read (PNG, JPEG, BMP, TIFF, WebP)") from error
    except Exception as error:  # damaged files make decoders raise almost anything
        raise UserError(f"{name}: damaged or truncated image ({error})") from error


def read_image(path: str | Path) -> UInt8Image:
    """Read an image file as (H, W, 3) uint8 RGB; see :func:`decode`.

    Raises:
        UserError: missing, a folder, unreadable, or anything :func:`decode` refuses.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder, not an image")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return decode(io.BytesIO(data), str(path))


def find_images(folder: str | Path) -> list[Path]:
    """All image files directly in ``folder``, sorted by name; hidden ones (``._x.png`` of a Mac) are left out.

    Raises:
        UserError: no such folder, unreadable, or no image in it.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            problem = "a file, not a folder" if folder.exists() else "no such folder"
            raise UserError(f"{folder}: {problem}; give a folder of images")
        visible = [p for p in folder.iterdir() if not p.name.startswith(".")]
        found = sorted(p for p in visible if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise UserError(f"{folder}: no images ({', '.join(SUFFIXES)})")
    return found


def write_image(path: str | Path, image: UInt8Image | Tensor, about: str = "") -> None:
    """Write (H, W, 3) uint8, or a float (3, H, W) / (1, 3, H, W) in [0, 1], as PNG, atomically.

    ``about`` is kept in the file as its "Description".

    Raises:
        UserError: the folder is not writable, or the name does not end in .png (a lossy file would change
            the pixels that are compared).
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: results are written as PNG (lossless); give a name that ends in .png")
    array = to_uint8(image) if isinstance(image, Tensor) else image
    text = PngInfo()
    if about:
        text.add_text("Description", about)
    with atomic_write(path) as temporary:
        Image.fromarray(array).save(temporary, format="PNG", pnginfo=text)


def to_tensor(image: UInt8Image) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def to_uint8(image: Tensor) -> UInt8Image:
    """(1, 3, H, W) or (3, H, W) float -> (H, W, 3) uint8: clamped to [0, 1], rounded to the nearest level."""
    if image.dim() == 4 and image.shape[0] == 1:
        image = image[0]
    if image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(f"expected one RGB image (3, H, W), got {tuple(image.shape)}")
    levels = torch.empty(*image.shape[1:], 3, dtype=torch.uint8)
    rows = 1_000_000 // max(1, image.shape[2]) + 1  # of a large image a part at a time: the steps need memory
    for top in range(0, image.shape[1], rows):
        part = image.detach()[:, top : top + rows]
        levels[top : top + rows] = round_to_levels(part).to(torch.uint8).permute(1, 2, 0)
    return levels.numpy()


def round_to_levels(image: Tensor) -> Tensor:
    """Float in [0, 1], any shape -> the level in 0..255 of the ``uint8`` file it would become, as float32."""
    return (image.float() * 255).round().clamp(0, 255)


def chw(image: UInt8Image) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) uint8 tensor, contiguous."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def crop_to_multiple(image: UInt8Image, scale: int) -> UInt8Image:
    """Cut right and bottom so that both sides are multiples of ``scale``.

    Raises:
        UserError: a side is shorter than ``scale``.
    """
    height, width = image.shape[0] // scale * scale, image.shape[1] // scale * scale
    if height == 0 or width == 0:
        raise UserError(f"image of {image.shape[1]} x {image.shape[0]} is too small for scale {scale}")
    return np.ascontiguousarray(image[:height, :width])
