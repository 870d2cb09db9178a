"""PSNR and SSIM against hand-made values, scikit-image and the literature's bicubic numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity

from mtkd.data.benchmarks import benchmark
from mtkd.errors import UserError
from mtkd.evaluate import evaluate
from mtkd.metrics import PAPER, Protocol, luma, psnr, ssim
from mtkd.networks.bicubic import Bicubic


def images(seed: int = 0, size: tuple[int, int] = (40, 52)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hr = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return np.clip(hr + rng.integers(-30, 31, hr.shape), 0, 255).astype(np.uint8), hr


@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        ("Set5", 4, ("28.43", "0.8113")),
        ("Set5", 3, ("30.41", "0.8690")),
        ("Set5", 2, ("33.68", "0.9304")),
        ("Set14", 4, ("26.09", "0.7049")),
        ("Set14", 2, ("30.33", "0.8700")),
    ],
)
def test_bicubic_numbers_of_the_literature(data_root, name, scale, expected):
    result = evaluate(Bicubic(scale), benchmark(data_root, name, scale), scale)
    assert (f"{result.psnr:.2f}", f"{result.ssim:.4f}") == expected


def test_luma_against_scikit_image():
    sr, _ = images()
    expected = rgb2ycbcr(sr)[..., 0]
    made = luma(torch.from_numpy(sr.transpose(2, 0, 1)).double())[0].numpy()
    np.testing.assert_allclose(made, expected, atol=1e-9)


def test_psnr_by_hand():
    """A grey step of 10 levels moves luma by 10 * 219 / 255."""
    hr = np.full((20, 20, 3), 100, np.uint8)
    sr = np.full((20, 20, 3), 110, np.uint8)
    assert psnr(sr, hr, 4) == pytest.approx(20 * math.log10(255 / (10 * 219 / 255)))
    assert psnr(sr, hr, 4, Protocol(channel="RGB")) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(hr, hr, 4) == math.inf


def test_crop_leaves_the_border_out():
    hr = np.full((24, 24, 3), 100, np.uint8)
    sr = hr.copy()
    sr[:4] = sr[-4:] = sr[:, :4] = sr[:, -4:] = 0
    assert psnr(sr, hr, 4) == math.inf
    assert psnr(sr, hr, 3) < 40
    assert psnr(sr, hr, 4, Protocol(crop=0)) < 40


def test_floats_are_clamped_and_rounded():
    hr = torch.rand(1, 3, 20, 20).mul(255).round() / 255
    noisy = hr + 0.4 / 255 * torch.where(torch.rand_like(hr) > 0.5, 1, -1)
    assert psnr(noisy, hr, 2) == math.inf
    assert psnr(noisy, hr, 2, Protocol(quantise=False)) < 65
    assert psnr(torch.full_like(hr, 1.7), torch.ones_like(hr), 2) == math.inf


@pytest.mark.parametrize("size", [(40, 52), (19, 31)])
def test_ssim_against_scikit_image(size):
    sr, hr = images(1, size)
    y = [rgb2ycbcr(image)[4:-4, 4:-4, 0] for image in (sr, hr)]
    _, full = structural_similarity(
        *y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim(sr, hr, 4) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)
    assert ssim(hr, hr, 4) == pytest.approx(1)


def test_protocol_says_what_it_is():
    assert str(PAPER) == "Y, crop = scale, uint8"
    assert str(Protocol("RGB", 0, False)) == "RGB, crop = 0, float"


def test_bad_input():
    sr, hr = images()
    with pytest.raises(UserError, match="unequal sizes: 44 x 32 and 43 x 32"):
        psnr(sr, hr[:, :-1], 4)
    with pytest.raises(UserError, match="too small to crop"):
        psnr(sr[:8, :8], hr[:8, :8], 4)
    with pytest.raises(UserError, match="11 pixels"):
        ssim(sr[:18], hr[:18], 4)
    with pytest.raises(ValueError, match="RGB"):
        psnr(torch.zeros(1, 20, 20), torch.zeros(1, 20, 20), 4)
