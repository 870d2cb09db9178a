"""The wavelet loss (Eq. 3) against PyWavelets and hand-made images."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.losses import WaveletLoss


def images(height: int, width: int, dtype: torch.dtype = torch.float64, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    both = torch.rand(2, batch, 3, height, width, dtype=dtype, generator=generator)
    return both[0], both[1]


def reference(student: Tensor, target: Tensor, wavelet: str, levels: int) -> dict[str, float]:
    """Mean |difference| by band; both images are transformed, as Eq. 3 is written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyWavelets on levels with more border than image
        one, other = (pywt.wavedec2(x.numpy(), wavelet, mode="symmetric", level=levels) for x in (student, target))
    terms = {f"LL{levels}": np.abs(one[0] - other[0]).mean()}
    for level, a, b in zip(range(levels, 0, -1), one[1:], other[1:], strict=True):
        for name, x, y in zip(("LH", "HL", "HH"), a, b, strict=True):
            terms[f"{name}{level}"] = np.abs(x - y).mean()
    return terms


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(16, 32), (17, 22), (33, 19)], ids=str)
@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "bior2.2"])
def test_against_pywavelets(wavelet: str, size: tuple[int, int], levels: int) -> None:
    student, target = images(*size)
    expected = reference(student, target, wavelet, levels)
    for reduction, divisor in (("mean", 3 * levels + 1), ("sum", 1)):
        loss = WaveletLoss(levels, wavelet, reduction)
        bands = loss.bands(student, target)
        assert list(bands) == list(expected)
        for name, value in bands.items():
            assert value.item() == pytest.approx(expected[name] / divisor, rel=1e-9), name
        assert loss(student, target).item() == pytest.approx(sum(expected.values()) / divisor, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("wavelet", pywt.wavelist(kind="discrete"))
def test_every_wavelet_against_pywavelets(wavelet: str) -> None:
    student, target = images(33, 22, batch=1)
    for levels in (1, 3):
        expected = sum(reference(student, target, wavelet, levels).values())
        assert WaveletLoss(levels, wavelet, "sum")(student, target).item() == pytest.approx(expected, rel=1e-8)


def test_paper_configuration_by_hand() -> None:
    """Haar, K = 1, one 2x2 block: (sum, difference of rows, difference of columns, diagonal) / 2, over 4 bands."""
    a, b, c, d = 0.9, 0.2, 0.4, 0.1
    student = torch.tensor([[a, b], [c, d]], dtype=torch.float64).view(1, 1, 2, 2)
    bands = WaveletLoss().bands(student, torch.zeros_like(student))
    expected = {"LL1": a + b + c + d, "LH1": a + b - c - d, "HL1": a - b + c - d, "HH1": a - b - c + d}
    assert {k: v.item() for k, v in bands.items()} == pytest.approx({k: abs(v) / 2 / 4 for k, v in expected.items()})


def stripes(axis: int) -> Tensor:
    """Alternating light and dark lines; axis 2: horizontal lines, 3: vertical ones."""
    signs = torch.tensor([1.0, -1.0]).repeat(8)
    return signs.view(-1, 1).expand(16, 16)[None, None] if axis == 2 else signs.expand(16, 16)[None, None]


@pytest.mark.parametrize(
    ("image", "band"),
    [
        (torch.ones(1, 1, 16, 16), "LL1"),
        (stripes(2), "LH1"),
        (stripes(3), "HL1"),
        (stripes(2) * stripes(3), "HH1"),
    ],
    ids=["flat", "horizontal edges", "vertical edges", "checkerboard"],
)
def test_names_of_bands(image: Tensor, band: str) -> None:
    terms = {k: v.item() for k, v in WaveletLoss(reduction="sum").bands(image, torch.zeros_like(image)).items()}
    assert terms.pop(band) == pytest.approx(2.0, abs=1e-6)  # a block of four ones / 2
    assert list(terms.values()) == pytest.approx([0, 0, 0], abs=1e-6)


def test_level_of_a_band() -> None:
    """Stripes two pixels wide are an edge at level 2."""
    wide = torch.nn.functional.interpolate(stripes(2), scale_factor=2.0)
    terms = WaveletLoss(3).bands(wide, torch.zeros_like(wide))
    assert max(terms, key=lambda name: terms[name].item()) == "LH2"
    assert list(terms) == ["LL3", "LH3", "HL3", "HH3", "LH2", "HL2", "HH2", "LH1", "HL1", "HH1"]


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_bands_add_up_to_the_loss(levels: int) -> None:
    student, target = images(35, 50, torch.float32)
    loss = WaveletLoss(levels)
    bands = loss.bands(student, target)
    assert len(bands) == 3 * levels + 1
    torch.testing.assert_close(sum(bands.values()), loss(student, target))


def test_scale_against_l1() -> None:
    """SPEC: a white error gives 1.00 times the pixel L1, an error that does not vary 0.5 times."""
    noise = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    loss = WaveletLoss()
    assert (loss(noise, torch.zeros_like(noise)) / noise.abs().mean()).item() == pytest.approx(1, abs=0.01)
    assert loss(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)).item() == pytest.approx(0.5)


def test_properties_of_a_distance() -> None:
    student, target = images(20, 28)
    loss = WaveletLoss(2, "db2")
    assert loss(student, student).item() == 0
    assert loss(student, target).item() == pytest.approx(loss(target, student).item())
    assert loss(3 * student, 3 * target).item() == pytest.approx(3 * loss(student, target).item())
    assert loss(student + 0.3, target + 0.3).item() == pytest.approx(loss(student, target).item())


@pytest.mark.parametrize(
    ("wavelet", "levels", "size"), [("haar", 1, 6), ("haar", 2, 5), ("db2", 1, 7), ("bior2.2", 1, 6)]
)
def test_gradient(wavelet: str, levels: int, size: int) -> None:
    student, target = images(size, size, batch=1)
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: WaveletLoss(levels, wavelet)(x, target), student)


def test_gradient_reaches_the_student_from_every_band() -> None:
    student, target = images(16, 16, torch.float32)
    for name, value in WaveletLoss(2).bands(student.requires_grad_(), target).items():
        (gradient,) = torch.autograd.grad(value, student, retain_graph=True)
        assert gradient.abs().sum() > 0, name


def test_length_of_the_gradient() -> None:
    """Haar at even size is a rotation of the signs of 4 bands of n values, each weighted 1 / (4 n)."""
    student, target = images(8, 8, batch=1)
    WaveletLoss()(student.requires_grad_(), target).backward()
    assert student.grad is not None
    coefficients = student.numel()
    per_coefficient = 1 / (4 * (coefficients / 4))
    assert student.grad.norm().item() == pytest.approx(math.sqrt(coefficients) * per_coefficient)


def test_has_no_weights() -> None:
    assert not WaveletLoss().state_dict()


def test_single_precision_is_kept() -> None:
    student, target = images(16, 16, torch.float32)
    assert WaveletLoss()(student, target).dtype == torch.float32


@pytest.mark.parametrize(("height", "width"), [(3, 64), (64, 3), (1, 1)])
def test_too_small_an_image(height: int, width: int) -> None:
    with pytest.raises(UserError, match=f"{width} x {height} is too small for 2 wavelet levels"):
        WaveletLoss(2)(*images(height, width))


def test_smallest_image() -> None:
    student, target = images(4, 4)
    expected = sum(reference(student, target, "haar", 2).values())
    assert WaveletLoss(2, reduction="sum")(student, target).item() == pytest.approx(expected)


def test_bad_arguments() -> None:
    with pytest.raises(UserError, match=r"levels \(K\) must be 1 or more, not 0"):
        WaveletLoss(0)
    with pytest.raises(UserError, match=r"unknown wavelet 'harr'; did you mean 'haar'"):
        WaveletLoss(1, "harr")
    with pytest.raises(UserError, match="unknown wavelet 'morl'"):  # continuous: no filter bank
        WaveletLoss(1, "morl")
    with pytest.raises(UserError, match="unknown reduction 'none'"):
        WaveletLoss(1, "haar", "none")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="different sizes"):
        WaveletLoss()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 10))
