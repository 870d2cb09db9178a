"""An oracle that knows the ground truth and picks the best image block by block: for the notebook on the teachers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def oracle_gain(residuals: NDArray[np.float64], block: int = 1, over: NDArray[np.float64] | None = None) -> float:
    """Gain in dB of taking the best of several images in every block of ``block`` x ``block`` pixels.

    Rows and columns beyond the last whole block are ignored.

    Args:
        residuals: (n, H, W), each image minus the ground truth.
        over: (H, W), residual of the image to compare with; the best of the n images by default.

    Raises:
        ValueError: the block is larger than the image, or smaller than a pixel.
    """
    count, height, width = residuals.shape
    rows, columns = (height // block, width // block) if block > 0 else (0, 0)
    if not rows or not columns:
        raise ValueError(f"a block of {block} pixels does not fit into {width} x {height}")
    squared = np.square(residuals[:, : rows * block, : columns * block])
    of_block = squared.reshape(count, rows, block, columns, block).mean((2, 4))
    whole = of_block.mean((1, 2)).min() if over is None else np.square(over[: rows * block, : columns * block]).mean()
    return 10 * math.log10(float(whole) / float(of_block.min(0).mean()))
