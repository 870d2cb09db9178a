"""The window DCT against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from mtkd.networks.dct import dct_matrix, window_dct_matrix


@pytest.mark.parametrize("size", [1, 2, 5, 8, 16])
def test_one_dimension(size):
    x = np.random.default_rng(size).random(size)
    matrix = dct_matrix(size).numpy()
    np.testing.assert_allclose(matrix @ x, scipy.fft.dct(x, norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(matrix.T @ x, scipy.fft.idct(x, norm="ortho"), atol=1e-12)


def test_window():
    x = torch.rand(5, 64, 24, dtype=torch.float64)  # (windows, tokens, channels)
    matrix = window_dct_matrix(8)
    image = x.view(5, 8, 8, 24).numpy()
    np.testing.assert_allclose(
        (matrix @ x).view(5, 8, 8, 24), scipy.fft.dctn(image, axes=(1, 2), norm="ortho"), atol=1e-12
    )
    np.testing.assert_allclose(
        (matrix.T @ x).view(5, 8, 8, 24), scipy.fft.idctn(image, axes=(1, 2), norm="ortho"), atol=1e-12
    )
    torch.testing.assert_close(matrix.T @ (matrix @ x), x)
