"""The conventions of other programs, against independent implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mtkd.metrics.conventions import CONVENTIONS, Convention

SCALE = 4


def images(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Smooth noise and a noisier copy, of odd sizes."""
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(40, 60)), int(rng.integers(40, 60))
    hr = gaussian_filter(rng.uniform(0, 255, (height, width, 3)), (2, 2, 0)) * 2 - 128
    sr = hr + rng.normal(0, 8, hr.shape)
    return tuple(np.clip(np.round(image), 0, 255).astype(np.uint8) for image in (sr, hr))  # type: ignore[return-value]


def planes(image: NDArray[np.uint8], name: str) -> Any:
    values = image.astype(float) if name.startswith("RGB") else rgb2ycbcr(image)[..., 0]
    values = values.round() if "rounded" in name else values
    border = 0 if "no crop" in name else SCALE + 6 if "+ 6" in name else SCALE
    return values[border : values.shape[0] - border, border : values.shape[1] - border]


def matlab_ssim(a: Any, b: Any) -> float:
    """Wang et al.'s formula with scipy's filter, edges repeated."""

    def blur(x: Any) -> Any:
        return gaussian_filter(x, 1.5, mode="nearest", radius=5)

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 2.55**2, 7.65**2
    return float(np.mean((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: f"{c.metric} {c.name}")
def test_against_other_libraries(convention: Convention, seed: int) -> None:
    sr, hr = images(seed)
    a, b = planes(sr, convention.name), planes(hr, convention.name)
    if convention.metric == "PSNR":
        expected = peak_signal_noise_ratio(b, a, data_range=255)
    elif "MATLAB's ssim" in convention.name:
        expected = matlab_ssim(a, b)
    else:
        gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        expected = structural_similarity(
            a, b, data_range=255, channel_axis=2 if a.ndim == 3 else None,
            **({} if "flat" in convention.name else gaussian),
        )  # fmt: skip
    assert convention(sr, hr, SCALE) == pytest.approx(expected, abs=2e-4 if convention.metric == "PSNR" else 1e-6)
