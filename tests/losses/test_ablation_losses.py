"""The losses of Table 5's variants: v6 against scipy, v7 against Eq. 3's own bands."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from mtkd.errors import UserError
from mtkd.losses import DCTLoss, WaveletLoss
from mtkd.methods import create


def pair(height: int = 24, width: int = 40):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize(("norm", "scipys"), [("ortho", "ortho"), ("raw", None)])
def test_dct_of_whole_patches(norm, scipys):
    student, target = pair()
    expected = [scipy.fft.dctn(x.numpy(), axes=(2, 3), norm=scipys) for x in (student, target)]
    made = DCTLoss(norm=norm)(student, target).item()
    assert made == pytest.approx(np.abs(expected[0] - expected[1]).mean(), rel=1e-9)


def test_dct_of_blocks():
    student, target = pair()
    difference = (student - target).numpy().reshape(2, 3, 3, 8, 5, 8)
    expected = np.abs(scipy.fft.dctn(difference, axes=(3, 5), norm="ortho")).mean()
    assert DCTLoss(block=8)(student, target).item() == pytest.approx(expected, rel=1e-9)


def test_dct_gradient_and_bad_input():
    student, target = (x[:1, :1, :5, :6].clone() for x in pair())
    assert torch.autograd.gradcheck(lambda x: DCTLoss()(x, target), student.requires_grad_())
    with pytest.raises(UserError, match="not a multiple of the block of 7"):
        DCTLoss(block=7)(*pair())
    with pytest.raises(UserError, match="different sizes"):
        DCTLoss()(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
    with pytest.raises(UserError, match="norm"):
        DCTLoss(norm="orthogonal")


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_details_only(levels):
    student, target = pair(32, 32)
    full = WaveletLoss(levels, reduction="sum").bands(student, target)
    expected = sum(v.item() for k, v in full.items() if not k.startswith("LL")) / (3 * levels)
    assert WaveletLoss(levels, details_only=True)(student, target).item() == pytest.approx(expected)
    blind = WaveletLoss(1, details_only=True)
    assert blind(student, student + 0.1).item() == pytest.approx(0, abs=1e-9)  # a shift of brightness


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"loss": "l1"}, torch.nn.L1Loss()),
        ({"loss": "dct", "block": 8}, DCTLoss(8)),
        ({"loss": "wavelet", "levels": 2, "wavelet": "db2"}, WaveletLoss(2, "db2")),
        ({"details_only": True}, WaveletLoss(details_only=True)),
    ],
)
def test_variants_of_mtkd(options, expected):
    from mtkd.data.patches import Batch

    class Student(torch.nn.Module):
        def forward(self, lr_image):
            return student

    student, target = pair(32, 32)
    data = Batch(student, student + 0.5, {"MT": target})
    terms = create("mtkd", {"alpha": 0.2, **options}, ("MT",)).loss(Student(), data)
    assert terms["alpha L_stu"].item() == pytest.approx(0.1)
    assert terms["L_dis"].item() == pytest.approx(expected(student, target).item())


def test_options_of_another_loss_are_refused():
    with pytest.raises(UserError, match="unknown option of method mtkd 'levels'"):
        create("mtkd", {"loss": "dct", "levels": 2}, ("MT",))
    with pytest.raises(UserError, match="unknown loss 'wavelets'; did you mean 'wavelet'"):
        create("mtkd", {"loss": "wavelets"}, ("MT",))
