"""MATLAB's imresize: the official LR files bit for bit, and independent oracles for everything else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.data.benchmarks import benchmark
from mtkd.images import chw, read_image
from mtkd.resize import imresize


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_reproduces_the_official_lr_files_bit_for_bit(data_root, name, scale):
    for image in benchmark(data_root, name, scale):
        made = imresize(chw(read_image(image.hr)), 1 / scale)
        assert torch.equal(made, chw(read_image(image.lr))), image.name


@pytest.mark.parametrize("scale", [0.5, 1 / 3, 0.25, 2, 3, 4])
def test_agrees_with_pillow_inside(scale):
    """Pillow has the same kernel (a = -0.5, stretched when shrinking) and another border; it works in float here."""
    image = np.random.default_rng(0).random((48, 60), dtype=np.float32)
    size = (round(60 * scale), round(48 * scale))
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    margin = max(3, int(3 * scale))
    inner = (slice(margin, -margin), slice(margin, -margin))
    made = imresize(torch.from_numpy(image), scale).numpy()
    assert made.shape == expected.shape
    np.testing.assert_allclose(made[inner], expected[inner], atol=2e-5)


@pytest.mark.parametrize(("border", "mode"), [("clamp", "edge"), ("mirror", "symmetric")])
@pytest.mark.parametrize("scale", [0.5, 1 / 3, 0.25, 2, 4])
def test_border_equals_explicit_padding(border, mode, scale):
    image = np.random.default_rng(1).random((24, 36))
    pad = 12  # a multiple of every ratio's period, and more than half a stretched kernel
    padded = torch.from_numpy(np.pad(image, pad, mode=mode))
    cut = round(pad * scale)
    expected = imresize(padded, scale)[cut:-cut, cut:-cut]
    torch.testing.assert_close(imresize(torch.from_numpy(image), scale, border), expected)


@pytest.mark.parametrize(
    ("size", "ratio", "expected"), [(7, 0.5, 4), (10, 1 / 3, 4), (9, 1 / 3, 3), (1, 0.25, 1), (5, 3, 15)]
)
def test_output_size_is_rounded_up(size, ratio, expected):
    assert imresize(torch.zeros(size, size), ratio).shape == (expected, expected)


def test_constant_stays_constant():
    for value in (0, 1, 254, 255):
        image = torch.full((3, 13, 17), value, dtype=torch.uint8)
        assert imresize(image, 1 / 3).unique().tolist() == [value]


def test_uint8_rounds_after_each_dimension_rows_first():
    """A hand-made case: after the rows 0.5 becomes 1, and only then come the columns."""
    image = torch.tensor([[0, 255], [1, 255]], dtype=torch.uint8)
    rows = imresize(image.double(), 0.5)[0]  # one value, rounded once
    taps = torch.tensor([0.5, 0.5], dtype=torch.float64)  # two equal halves: symmetric kernel, clamped border
    first = torch.floor(image.double().T @ taps + 0.5)  # (1, 255)
    expected = torch.floor(first @ taps + 0.5)
    assert imresize(image, 0.5).item() == expected.item() == 128
    assert rows.item() == pytest.approx(127.75)


def test_gradient():
    image = torch.rand(1, 1, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, 0.5), image)
    assert torch.autograd.gradcheck(lambda x: imresize(x, 2), image)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match="scale"):
        imresize(torch.zeros(4, 4), scale)


def test_bad_input():
    with pytest.raises(ValueError, match="border"):
        imresize(torch.zeros(4, 4), 2, border="wrap")
    with pytest.raises(ValueError, match="non-empty"):
        imresize(torch.zeros(3, 0, 4), 2)
    with pytest.raises(TypeError, match="int64"):
        imresize(torch.zeros(4, 4, dtype=torch.int64), 2)
