"""The DCT against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from mtkd.networks.dct import dct_matrix, window_dct_matrix

SIZES = [1, 2, 3, 4, 8, 16]


def signals(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("size", SIZES)
def test_matrix(size: int) -> None:
    x, matrix = signals(5, size), dct_matrix(size).numpy()
    np.testing.assert_allclose(x @ matrix.T, scipy.fft.dct(x, norm="ortho"), atol=1e-13)
    np.testing.assert_allclose(x @ matrix, scipy.fft.idct(x, norm="ortho"), atol=1e-13)


@pytest.mark.parametrize("size", SIZES)
def test_window_matrix_both_ways(size: int) -> None:
    windows, matrix = signals(3, size, size), window_dct_matrix(size).numpy()
    tokens = windows.reshape(3, size * size)  # row by row
    forward = scipy.fft.dctn(windows, axes=(1, 2), norm="ortho").reshape(3, -1)
    np.testing.assert_allclose(tokens @ matrix.T, forward, atol=1e-13)
    inverse = scipy.fft.idctn(windows, axes=(1, 2), norm="ortho").reshape(3, -1)
    np.testing.assert_allclose(tokens @ matrix, inverse, atol=1e-13)


@pytest.mark.parametrize("size", SIZES)
def test_orthonormal(size: int) -> None:
    matrix = window_dct_matrix(size)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size**2, dtype=torch.float64), atol=1e-13, rtol=0)


def test_first_frequency_is_eight_times_the_mean() -> None:
    """Orthonormal: sum / 8. The authors' unnormalised transform has 64 times as much."""
    window = torch.rand(64, dtype=torch.float64)
    assert (window_dct_matrix(8) @ window)[0].item() == pytest.approx(8 * window.mean().item())


def test_order_of_frequencies() -> None:
    """Token u * 8 + v is the cosine of u half waves down and v half waves across."""
    n = np.arange(8)
    down, across = np.cos(np.pi * (2 * n + 1) * 3 / 16), np.cos(np.pi * (2 * n + 1) * 5 / 16)
    spectrum = window_dct_matrix(8) @ torch.from_numpy(np.outer(down, across).ravel())
    assert spectrum.abs().argmax().item() == 3 * 8 + 5
    assert spectrum.abs().sum().item() == pytest.approx(4)  # sum of cos^2 = 4 times sqrt(2 / 8), a dimension
