"""FLIP: differences that a person sees who flips between two pictures (Andersson et al. 2020)."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd.errors import UserError
from mtkd.plugins import metric


def _program() -> Any:
    """``flip_evaluator``, of its authors.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("flip_evaluator")
    except ImportError as error:
        raise UserError(f"FLIP needs the extra 'flip': pip install 'mtkd[flip]' ({error})") from error


@metric("flip", better="lower", digits=4, title="FLIP")
def visible_difference(sr_image: Tensor, hr_image: Tensor) -> float:
    """Mean FLIP error of planes (C, H, W) in 0..255: 0 for equal images, at most 1.

    Seen at the program's usual 67 pixels a degree. One channel is taken as a grey picture: ``--channels rgb`` measures
    colours.

    Raises:
        UserError: the program is not installed.
    """
    planes = (plane.expand(3, -1, -1).permute(1, 2, 0) for plane in (sr_image, hr_image))
    return float(error_map(*(plane.contiguous().cpu().numpy() for plane in planes)).mean())


def error_map(sr: NDArray[Any], hr: NDArray[Any]) -> NDArray[np.float32]:
    """FLIP errors of pictures (H, W, 3) in 0..255, pixel by pixel: (H, W), 0 to 1.

    Raises:
        UserError: the program is not installed.
    """
    pictures = [(picture.astype(np.float32) / 255).clip(0, 1) for picture in (hr, sr)]
    errors, _, _ = _program().evaluate(*pictures, "LDR", applyMagma=False)
    return np.asarray(errors, np.float32)[..., 0]
