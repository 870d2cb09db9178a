"""PSNR and SSIM against hand-made values, scikit-image and the published numbers of bicubic interpolation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.images import UInt8Image, chw, find_images, read_image, to_tensor, to_uint8
from mtkd.metrics import PAPER, Protocol, luma, psnr, ssim, ssim_map
from mtkd.metrics.ssim import similarity
from mtkd.networks.bicubic import Bicubic
from mtkd.resize import imresize
from tests.conftest import benchmark_images

# SPEC section 0: MATLAB bicubic of the official LR files.
KNOWN = {
    ("Set5", 2): ("33.68", "0.9304"),
    ("Set5", 3): ("30.41", "0.8690"),
    ("Set5", 4): ("28.43", "0.8113"),
    ("Set14", 2): ("30.33", "0.8700"),
    ("Set14", 4): ("26.09", "0.7049"),
}


@pytest.mark.parametrize(("name", "scale"), KNOWN, ids=str)
def test_bicubic_of_the_benchmarks(data_root: Path, name: str, scale: int) -> None:
    network, rows = Bicubic(scale), []
    for hr_file, lr_file in benchmark_images(data_root, name, scale):
        hr, lr = read_image(hr_file), read_image(lr_file)
        sr = network(to_tensor(lr))
        rows.append((psnr(sr, hr, scale), ssim(sr, hr, scale)))
    decibel, similarity = np.mean(rows, axis=0)
    assert (f"{decibel:.2f}", f"{similarity:.4f}") == KNOWN[name, scale]


def flat(level: int, size: int = 32) -> UInt8Image:
    return np.full((size, size, 3), level, np.uint8)


def photo(folder: Path, name: str) -> UInt8Image:
    return read_image(folder / f"{name}.png")


def degraded(image: UInt8Image, seed: int = 0) -> UInt8Image:
    noise = np.random.default_rng(seed).normal(0, 12, image.shape)
    return np.clip(image * 0.9 + 10 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), 235.0),
        ((0, 0, 0), 16.0),
        ((255, 0, 0), 16 + 65.481),
        ((0, 255, 0), 16 + 128.553),
        ((0, 0, 255), 16 + 24.966),
    ],
)
def test_luma_of_pure_colours(rgb: tuple[int, int, int], expected: float) -> None:
    levels = torch.tensor(rgb, dtype=torch.float64).view(3, 1, 1)
    assert luma(levels).item() == pytest.approx(expected, abs=1e-9)


def test_luma_against_scikit_image(photos: Path) -> None:
    image = photo(photos, "astronaut")
    expected = torch.from_numpy(skimage.color.rgb2ycbcr(image)[..., 0])
    torch.testing.assert_close(luma(chw(image).double())[0], expected)


def test_psnr_of_a_constant_difference() -> None:
    """A step of d grey levels is d * 219/255 of luma, as the three coefficients add up to 219."""
    expected = 20 * math.log10(255 / (10 * 219 / 255))
    assert psnr(flat(100), flat(110), 4) == pytest.approx(expected, abs=1e-9)
    rgb = Protocol(channel="RGB")
    assert psnr(flat(100), flat(110), 4, rgb) == pytest.approx(20 * math.log10(25.5), abs=1e-9)
    assert psnr(flat(0), flat(255), 4, rgb) == 0


def test_psnr_of_equal_images_is_infinite() -> None:
    assert psnr(flat(7), flat(7), 2) == math.inf


def test_psnr_by_hand() -> None:
    """One pixel of a 4x4 interior is off by 8 levels of red."""
    sr, hr = flat(100, 8), flat(100, 8)
    sr[3, 4, 0] += 8
    expected = 10 * math.log10(255**2 / ((8 * 65.481 / 255) ** 2 / 16))
    assert psnr(sr, hr, 2) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_border_is_cut(scale: int) -> None:
    hr, sr = flat(100), flat(0)
    inner = slice(scale, -scale)
    sr[inner, inner] = 100
    assert psnr(sr, hr, scale) == math.inf
    assert ssim(sr, hr, scale) == pytest.approx(1)
    assert psnr(sr, hr, scale - 1) < 30
    sr[scale, scale] = 99
    assert psnr(sr, hr, scale) < 100


def test_psnr_against_scikit_image(photos: Path) -> None:
    hr = photo(photos, "coffee")
    sr = degraded(hr)
    cut = (slice(4, -4), slice(4, -4))
    y = [skimage.color.rgb2ycbcr(x)[cut][..., 0] for x in (hr, sr)]
    assert psnr(sr, hr, 4) == pytest.approx(skimage.metrics.peak_signal_noise_ratio(*y, data_range=255), abs=1e-9)
    expected = skimage.metrics.peak_signal_noise_ratio(hr[cut], sr[cut], data_range=255)
    assert psnr(sr, hr, 4, Protocol("RGB")) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
@pytest.mark.parametrize("scale", [2, 4])
def test_ssim_against_scikit_image(photos: Path, name: str, scale: int) -> None:
    hr = photo(photos, name)
    sr = degraded(hr)
    y = [skimage.color.rgb2ycbcr(x)[scale:-scale, scale:-scale, 0] for x in (sr, hr)]
    _, full = skimage.metrics.structural_similarity(
        *y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    expected = torch.from_numpy(full[5:-5, 5:-5])
    torch.testing.assert_close(ssim_map(sr, hr, scale)[0], expected, atol=1e-4, rtol=0)
    assert ssim(sr, hr, scale) == pytest.approx(float(expected.mean()), abs=2e-7)


def test_ssim_of_hard_images_against_scikit_image() -> None:
    """Bright and dark areas without structure, differences of whole areas, noise: where rounding would show."""
    random = np.random.default_rng(0)
    flat = np.full((70, 61), 252.0)
    flat[:33] = 3
    noise = random.integers(0, 256, flat.shape).astype(float)
    near = flat + random.integers(-2, 3, flat.shape)
    for a, b in (
        (flat, flat - 1),
        (flat, near),
        (flat, 255 - flat),
        (noise, 255 - noise),
        (noise[:11, :11], flat[:11, :11]),
    ):
        _, full = skimage.metrics.structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
        )
        expected = torch.from_numpy(full[5:-5, 5:-5])
        measured = similarity(torch.from_numpy(a)[None], torch.from_numpy(b)[None])[0]
        torch.testing.assert_close(measured, expected, atol=2e-5, rtol=0)
        assert float(measured.mean()) == pytest.approx(float(expected.mean()), abs=1e-6)


def test_ssim_of_flat_images_by_hand() -> None:
    """Without structure only the luminance term is left."""
    c1 = (0.01 * 255) ** 2
    a, b = (16 + 219 * level / 255 for level in (50, 200))
    assert ssim(flat(50), flat(200), 2) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), abs=1e-6)


def test_ssim_is_symmetric_and_one_for_equal_images(photos: Path) -> None:
    hr = photo(photos, "chelsea")
    sr = degraded(hr)
    assert ssim(hr, hr, 4) == pytest.approx(1, abs=1e-12)
    assert ssim(sr, hr, 4) == pytest.approx(ssim(hr, sr, 4), abs=1e-12)
    assert psnr(sr, hr, 4) == pytest.approx(psnr(hr, sr, 4), abs=1e-12)


@pytest.mark.parametrize("form", [chw, to_tensor, lambda x: to_tensor(x)[0], lambda x: chw(x)[None]])
def test_forms_of_an_image_are_equal(photos: Path, form) -> None:
    hr = photo(photos, "rocket")
    sr = degraded(hr)
    assert psnr(form(sr), hr, 4) == psnr(sr, form(hr), 4) == psnr(sr, hr, 4)
    assert ssim(form(sr), hr, 4) == ssim(sr, hr, 4)


def test_grey_counts_as_grey_in_all_channels(photos: Path) -> None:
    """Set14's img_003: luma of a replicated grey is 16 + 219/255 g."""
    hr = np.repeat(photo(photos, "chelsea")[..., :1], 3, axis=2)
    sr = np.repeat(degraded(hr)[..., :1], 3, axis=2)
    difference = (sr[4:-4, 4:-4, 0].astype(float) - hr[4:-4, 4:-4, 0]) * 219 / 255
    assert psnr(sr, hr, 4) == pytest.approx(10 * math.log10(255**2 / (difference**2).mean()), abs=1e-9)


def test_float_images_are_clamped_and_rounded() -> None:
    sr = torch.full((3, 24, 24), 100.4 / 255)
    sr[:, 10] = 1.7
    sr[:, 11] = -0.3
    rounded = flat(100, 24)
    rounded[10], rounded[11] = 255, 0
    assert psnr(sr, flat(100, 24), 2) == psnr(rounded, flat(100, 24), 2)
    exact = psnr(torch.full((3, 24, 24), 100.4 / 255, dtype=torch.float64), flat(100, 24), 2, Protocol(quantise=False))
    assert exact == pytest.approx(20 * math.log10(255 / (0.4 * 219 / 255)), abs=1e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_number_is_that_of_the_written_file(photos: Path, scale: int) -> None:
    """Bicubic of whole levels falls on halves often: metric and file must round them alike."""
    for file in find_images(photos):
        hr = read_image(file)
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        sr = imresize(to_tensor(hr)[0], 1 / scale)
        sr = imresize((sr * 255).round() / 255, scale)
        assert psnr(sr, hr, scale) == psnr(to_uint8(sr), hr, scale)


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        (PAPER, "Y, crop = scale, uint8"),
        (Protocol("RGB", 0, False), "RGB, crop = 0, float"),
        (Protocol("Y", 6), "Y, crop = 6, uint8"),
    ],
)
def test_protocol_tells_what_it_does(protocol: Protocol, text: str) -> None:
    assert str(protocol) == text


def test_no_crop() -> None:
    sr, hr = flat(100, 12), flat(100, 12)
    sr[0, 0] = 0
    assert psnr(sr, hr, 4) == math.inf
    assert psnr(sr, hr, 4, Protocol("RGB", 0)) == pytest.approx(10 * math.log10(255**2 / (100**2 / 144)), abs=1e-9)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_unequal_sizes(measure) -> None:
    with pytest.raises(UserError, match=r"differ in size after cropping: 24 x 16 and 24 x 24"):
        measure(flat(0)[:24], flat(0), 4)


@pytest.mark.parametrize("size", [1, 8])
def test_too_small_to_crop(size: int) -> None:
    with pytest.raises(UserError, match="too small to crop 4 pixels"):
        psnr(flat(0, size), flat(0, size), 4)
    assert psnr(flat(0, 9), flat(1, 9), 4) > 40


def test_too_small_for_ssim() -> None:
    with pytest.raises(UserError, match="at least 11"):
        ssim(flat(0, 18), flat(0, 18), 4)
    assert ssim(flat(0, 19), flat(0, 19), 4) == pytest.approx(1)
    assert ssim_map(flat(0, 19), flat(0, 19), 4).shape == (1, 1, 1)


@pytest.mark.parametrize("image", [torch.zeros(1, 32, 32), torch.zeros(2, 3, 32, 32), torch.zeros(32, 32)])
def test_shape_must_be_that_of_one_rgb_image(image: Tensor) -> None:
    with pytest.raises(ValueError, match="one RGB image"):
        psnr(image, image, 4)
