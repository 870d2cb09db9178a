"""The orthonormal two-dimensional DCT-II of an 8 x 8 window and its inverse (Sec. 3.1.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dct_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II matrix D (size, size), float64: D @ x transforms a signal, D.T @ y inverts.

    D[k, n] = sqrt((1 if k == 0 else 2) / size) * cos(pi (2 n + 1) k / (2 size)).
    """
    n = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi * (2 * n + 1) * n[:, None] / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def window_dct_matrix(size: int) -> Tensor:
    """The 2-D DCT of a size x size window as one orthonormal matrix over its tokens, (size^2, size^2) float64.

    Tokens are the pixels in row-major order; token u * size + v of the result is frequency (u, v). One matrix
    product a window is faster than two small ones, and its transpose is the inverse.
    """
    d = dct_matrix(size)
    return torch.kron(d, d)
