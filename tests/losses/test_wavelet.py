"""Eq. 3 against PyWavelets, band by band."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from mtkd.errors import UserError
from mtkd.losses import WaveletLoss


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * 100 + width)
    return tuple(torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64) for _ in range(2))


def expected_bands(student, target, wavelet: str, levels: int) -> dict[str, float]:
    """Mean absolute difference per band by PyWavelets, both images transformed on their own."""
    transform = [
        pywt.wavedec2(x.numpy(), wavelet, mode="symmetric", level=levels, axes=(-2, -1)) for x in (student, target)
    ]
    (low_s, *details_s), (low_t, *details_t) = transform
    bands = {f"LL{levels}": np.abs(low_s - low_t).mean()}
    for level, one, other in zip(range(levels, 0, -1), details_s, details_t, strict=True):
        for name, s, t in zip(("LH", "HL", "HH"), one, other, strict=True):
            bands[f"{name}{level}"] = np.abs(s - t).mean()
    return bands


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 40)])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "bior2.2"])
def test_equals_pywavelets(wavelet, levels, size):
    student, target = pair(*size)
    expected = expected_bands(student, target, wavelet, levels)
    loss = WaveletLoss(levels, wavelet)
    terms = loss.bands(student, target)
    assert len(terms) == 3 * levels + 1
    assert {k: v.item() * (3 * levels + 1) for k, v in terms.items()} == pytest.approx(expected, rel=1e-9)
    assert loss(student, target).item() == pytest.approx(sum(expected.values()) / (3 * levels + 1), rel=1e-9)
    assert WaveletLoss(levels, wavelet, "sum")(student, target).item() == pytest.approx(sum(expected.values()))


def test_haar_by_hand():
    """One 2 x 2 block a b / c d: LL = (a+b+c+d)/2, LH = (a+b-c-d)/2, HL = (a-b+c-d)/2, HH = (a-b-c+d)/2."""
    image = torch.tensor([[8.0, 4.0], [2.0, 1.0]]).view(1, 1, 2, 2)
    terms = WaveletLoss(1, "haar", "sum").bands(image, torch.zeros_like(image))
    assert {k: v.item() for k, v in terms.items()} == pytest.approx({"LL1": 7.5, "LH1": 4.5, "HL1": 2.5, "HH1": 1.5})


def test_band_names():
    """A horizontal edge is seen by LH alone, a vertical one by HL alone, a checkerboard by HH alone."""
    rows = torch.tensor([1.0, 0.0]).repeat(8).view(1, 1, 16, 1).expand(1, 1, 16, 16) - 0.5
    seen = {"LH1": rows, "HL1": rows.mT, "HH1": 4 * rows * rows.mT}
    for name, image in seen.items():
        terms = WaveletLoss().bands(image, torch.zeros_like(image))
        assert {k for k, v in terms.items() if v > 1e-6} == {name}


def test_zero_for_equal_images_and_scales_of_errors():
    """SPEC, appendix: at K = 1 a white error gives about 1.00 times the pixel L1."""
    image = torch.rand(1, 3, 64, 64)
    assert WaveletLoss()(image, image) == 0
    white = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    assert WaveletLoss()(white, torch.zeros_like(white)) / white.abs().mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_gradient(wavelet):
    student, target = (x[:1, :1, :9, :10].clone() for x in pair(16, 16))
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: WaveletLoss(2, wavelet)(x, target), student)


def test_bad_input():
    with pytest.raises(UserError, match="did you mean 'haar'"):
        WaveletLoss(wavelet="harr")
    with pytest.raises(UserError, match="levels"):
        WaveletLoss(levels=0)
    with pytest.raises(UserError, match="reduction"):
        WaveletLoss(reduction="average")
    with pytest.raises(UserError, match="unequal size"):
        WaveletLoss()(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
    with pytest.raises(UserError, match="too small for 3"):
        WaveletLoss(3)(torch.zeros(1, 1, 7, 9), torch.zeros(1, 1, 7, 9))
