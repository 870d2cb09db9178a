"""Images in memory: ``uint8`` RGB as people see it, float32 RGB in [0, 1] as networks do."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.images.picture import UInt8Image


def to_tensor(image: UInt8Image) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def to_uint8(image: Tensor) -> UInt8Image:
    """(1, 3, H, W) or (3, H, W) float -> (H, W, 3) uint8, clamped to [0, 1] and rounded to the nearest level."""
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
    """Crop at the right and bottom so that both sides are multiples of ``scale``.

    Raises:
        UserError: a side is shorter than ``scale``.
    """
    height, width = image.shape[0] // scale * scale, image.shape[1] // scale * scale
    if height == 0 or width == 0:
        raise UserError(f"image of {image.shape[1]} x {image.shape[0]} is too small for scale {scale}")
    return np.ascontiguousarray(image[:height, :width])
