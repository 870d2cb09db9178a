"""Resampling against the benchmarks' own LR files, explicit padding, Pillow and a dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mtkd.images import chw, read_image
from mtkd.resize import Border, imresize, output_size
from tests.conftest import benchmark_images

BORDERS: tuple[Border, ...] = ("clamp", "mirror")


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def bytes_(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_benchmark_lr_files_bit_for_bit(data_root: Path, name: str, scale: int) -> None:
    for hr_file, lr_file in benchmark_images(data_root, name, scale):
        hr, lr = chw(read_image(hr_file)), chw(read_image(lr_file))
        assert torch.equal(imresize(hr, 1 / scale), lr), hr_file.name


def test_benchmarks_were_not_made_with_mirrored_borders(data_root: Path) -> None:
    hr_file, lr_file = benchmark_images(data_root, "Set5", 4)[0]
    assert not torch.equal(imresize(chw(read_image(hr_file)), 1 / 4, "mirror"), chw(read_image(lr_file)))


def cubic(x: float) -> float:
    """Keys' kernel, a = -0.5, as the piecewise polynomial of the textbook."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def dense_matrix(size: int, ratio: float, inside: Callable[[int], int]) -> np.ndarray:
    """(size out, size in) matrix by loops over the positions of pixels: out i lies at (i + 0.5) / ratio - 0.5."""
    shrink = min(1.0, ratio)
    rows = []
    for i in range(int(np.ceil(round(size * ratio, 6)))):
        centre = (i + 0.5) / ratio - 0.5
        row = np.zeros(size)
        for j in range(int(centre - 2 / shrink) - 3, int(centre + 2 / shrink) + 4):
            row[inside(j)] += cubic(shrink * (centre - j))
        rows.append(row / row.sum())
    return np.array(rows)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("ratio", [1 / 4, 1 / 3, 1 / 2, 0.7, 1, 1.5, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(24, 36), (13, 7), (3, 1)])
def test_against_a_dense_matrix(height: int, width: int, ratio: float, border: Border) -> None:
    def matrix(size: int) -> np.ndarray:
        def clamp(j: int) -> int:
            return max(0, min(size - 1, j))

        def mirror(j: int) -> int:
            return int(np.pad(np.arange(size), 40, mode="symmetric")[j + 40])

        return dense_matrix(size, ratio, clamp if border == "clamp" else mirror)

    image = noise(2, height, width)
    expected = matrix(height) @ image.numpy() @ matrix(width).T
    torch.testing.assert_close(imresize(image, ratio, border), torch.from_numpy(expected))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("border", "mode"), [("clamp", "edge"), ("mirror", "symmetric")])
def test_border_is_that_of_a_padded_image(scale: int, border: Border, mode: str) -> None:
    """Pad by whole LR pixels, resize, cut: the border rule no longer matters and the result is the same."""
    image, pad = noise(5 * scale, 7 * scale), 4
    padded = torch.from_numpy(np.pad(image.numpy(), pad * scale, mode=mode))  # type: ignore[call-overload]
    for other in BORDERS:
        small = imresize(padded, 1 / scale, other)[pad:-pad, pad:-pad]
        torch.testing.assert_close(imresize(image, 1 / scale, border), small)
        large = imresize(padded, scale, other)
        cut = pad * scale * scale
        torch.testing.assert_close(imresize(image, scale, border), large[cut:-cut, cut:-cut])


def test_clamp_and_mirror_differ_at_the_border_only() -> None:
    image = noise(40, 40)
    difference = (imresize(image, 1 / 4) - imresize(image, 1 / 4, "mirror")).abs()
    assert difference[0].max() > 1e-3
    torch.testing.assert_close(difference[2:-2, 2:-2], torch.zeros(6, 6, dtype=torch.float64))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("up", [False, True])
def test_pillow_agrees_away_from_the_border(scale: int, up: bool) -> None:
    """Pillow's bicubic has a = -0.5 and stretches its kernel too, but leaves out what lies outside."""
    size = (24, 36)
    image = noise(*size).float()
    ratio = scale if up else 1 / scale
    shape = tuple(round(n * ratio) for n in size)
    pillow = np.asarray(Image.fromarray(image.numpy()).resize(shape[::-1], Image.Resampling.BICUBIC))
    edge = 2 * scale if up else 2
    inner = (slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(imresize(image, ratio)[inner], torch.from_numpy(pillow.copy())[inner])


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("ratio", [1 / 4, 1 / 3, 2, 3])
def test_gradient(ratio: float, border: Border) -> None:
    image = noise(1, 2, 6, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: imresize(x, ratio, border), image)


def test_gradient_after_use_in_inference_mode() -> None:
    with torch.inference_mode():
        imresize(torch.rand(1, 3, 11, 13), 4)
    image = torch.rand(1, 3, 11, 13, requires_grad=True)
    imresize(image, 4).sum().backward()
    assert image.grad is not None


@pytest.mark.parametrize("ratio", [1 / 3, 1 / 2, 2, 4])
def test_linear(ratio: float) -> None:
    a, b = noise(2, 3, 12, 10).unbind()
    expected = 0.3 * imresize(a, ratio) - 2 * imresize(b, ratio)
    torch.testing.assert_close(imresize(0.3 * a - 2 * b, ratio), expected)


def test_images_of_a_batch_are_independent() -> None:
    batch = noise(2, 3, 12, 9)
    assert torch.equal(imresize(batch, 1 / 3)[1, 2], imresize(batch[1, 2], 1 / 3))


@pytest.mark.parametrize("ratio", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_constant_stays(ratio: float) -> None:
    grey = torch.full((3, 9, 14), 0.4488, dtype=torch.float64)
    torch.testing.assert_close(imresize(grey, ratio), torch.full_like(imresize(grey, ratio), 0.4488))
    level = torch.full((3, 9, 14), 77, dtype=torch.uint8)
    assert (imresize(level, ratio) == 77).all()


def test_scale_one_changes_nothing() -> None:
    assert torch.equal(imresize(bytes_(3, 9, 8), 1), bytes_(3, 9, 8))
    assert torch.equal(imresize(noise(3, 9, 8), 1), noise(3, 9, 8))


@pytest.mark.parametrize("ratio", [1 / 4, 1 / 3, 1 / 2, 2])
def test_uint8_rounds_after_rows_and_after_columns(ratio: float) -> None:
    image = bytes_(3, 24, 24)

    def half_up(x: Tensor) -> Tensor:
        return torch.floor(x + 0.5).clamp(0, 255)

    rows = half_up(torch.einsum("oh,chw->cow", torch.from_numpy(clamped(24, ratio)), image.double()))
    both = half_up(torch.einsum("ow,chw->cho", torch.from_numpy(clamped(24, ratio)), rows))
    assert torch.equal(imresize(image, ratio), both.to(torch.uint8))


def clamped(size: int, ratio: float) -> np.ndarray:
    return dense_matrix(size, ratio, lambda j: max(0, min(size - 1, j)))


@pytest.mark.parametrize("ratio", [1 / 4, 1 / 3, 1 / 2, 4])
def test_uint8_is_near_the_rounded_float(ratio: float) -> None:
    """Two roundings, each of half a level at most; the second resampling enlarges the first by 1.25 at most."""
    image = 96 + bytes_(3, 24, 24) // 4  # what overshoots stays in range
    exact = imresize(image.double(), ratio)
    assert (imresize(image, ratio).double() - exact).abs().max() <= 0.5 + 0.5 * 1.25


def test_float_overshoots() -> None:
    edge = torch.zeros(8, 8)
    edge[:, 4:] = 1
    enlarged = imresize(edge, 4)
    assert enlarged.min() < -0.01 and enlarged.max() > 1.01


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [(12, 1 / 3, 4), (13, 1 / 3, 5), (481, 1 / 4, 121), (1, 1 / 4, 1), (7, 3, 21), (5, 0.5, 3), (2040, 1 / 3, 680)],
)
def test_output_size_is_rounded_up(size: int, ratio: float, expected: int) -> None:
    assert output_size(size, ratio) == expected
    assert imresize(torch.zeros(size, 2), ratio).shape[0] == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_output_size_of_multiples(scale: int) -> None:
    assert all(output_size(scale * n, 1 / scale) == n and output_size(n, scale) == scale * n for n in range(1, 3000))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_dtype_is_kept(dtype: torch.dtype) -> None:
    assert imresize(torch.zeros(1, 3, 4, 5, dtype=dtype), 2).dtype == dtype


@pytest.mark.parametrize("scale", [0, -2, float("nan"), float("inf")])
def test_scale_must_be_positive(scale: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        imresize(torch.zeros(4, 4), scale)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="border"):
        imresize(torch.zeros(4, 4), 2, "wrap")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="non-empty"):
        imresize(torch.zeros(3, 0, 4), 2)
    with pytest.raises(ValueError, match="non-empty"):
        imresize(torch.zeros(4), 2)
    with pytest.raises(TypeError, match="int64"):
        imresize(torch.zeros(4, 4, dtype=torch.int64), 2)
