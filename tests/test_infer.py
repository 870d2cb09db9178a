"""Whole images and tiles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mtkd import networks
from mtkd.infer import OVERLAP, TILE, upscale


class Small(nn.Module):
    """One 3x3 convolution and a pixel shuffle: each output sees one LR pixel beyond its own."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        torch.manual_seed(scale)
        self.layers = nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)).double()
        self.sizes: list[tuple[int, int]] = []

    def forward(self, lr_image: Tensor) -> Tensor:
        self.sizes.append((lr_image.shape[-2], lr_image.shape[-1]))
        image: Tensor = self.layers(lr_image)
        return image


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(40, 56), (33, 70), (17, 16), (16, 17), (3, 100), (1, 300)])
def test_tiles_make_the_whole(size: tuple[int, int], scale: int) -> None:
    network, lr_image = Small(scale), torch.rand(1, 3, *size, dtype=torch.float64)
    whole = upscale(network, lr_image, scale, tile=None)
    network.sizes.clear()
    tiled = upscale(network, lr_image, scale, tile=16)
    assert whole.shape == tiled.shape == (1, 3, scale * size[0], scale * size[1])
    assert torch.allclose(whole, tiled, rtol=0, atol=1e-12)
    if size[0] * size[1] > 16 * 16:
        assert len(network.sizes) > 1
    assert max(side for pair in network.sizes for side in pair) <= 16 + 2 * OVERLAP or len(network.sizes) == 1


def test_tiles_of_a_deeper_network_differ_little() -> None:
    """Its receptive field is within the overlap: equal up to the order of summation."""
    torch.manual_seed(0)
    network = networks.build("edsr_tiny", 2).eval()  # 11 convolutions in a row
    lr_image = torch.rand(1, 3, 48, 41)
    assert torch.allclose(upscale(network, lr_image, 2, tile=None), upscale(network, lr_image, 2, tile=24), atol=1e-5)


def test_windows_stay_where_they_are() -> None:
    """Tiles begin at multiples of a window of 8, so that a network of windows sees the same ones."""

    class Windows(nn.Module):
        def forward(self, lr_image: Tensor) -> Tensor:
            height, width = lr_image.shape[-2:]
            means = nn.functional.avg_pool2d(lr_image, 8, ceil_mode=True)
            image = means.repeat_interleave(8, -2)[..., :height, :].repeat_interleave(8, -1)[..., :width]
            return image.repeat_interleave(2, -2).repeat_interleave(2, -1)

    lr_image = torch.rand(1, 3, 50, 61)
    whole, tiled = (upscale(Windows(), lr_image, 2, tile) for tile in (None, 24))
    assert torch.allclose(whole, tiled, atol=1e-6)


def test_images_of_up_to_a_tiles_area_run_whole() -> None:
    network = Small(2)
    for size, calls in (((16, 16), 1), ((8, 32), 1), ((16, 17), 2)):
        network.sizes.clear()
        upscale(network, torch.rand(1, 3, *size, dtype=torch.float64), 2, tile=16)
        assert len(network.sizes) == calls
    assert TILE % 8 == 0


def test_progress_counts_tiles() -> None:
    calls: list[tuple[int, int]] = []
    lr_image = torch.rand(1, 3, 20, 35, dtype=torch.float64)
    upscale(Small(2), lr_image, 2, tile=16, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(i + 1, 6) for i in range(6)]
    calls.clear()
    upscale(Small(2), lr_image, 2, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(1, 1)]


def test_no_gradient_is_kept_and_nothing_is_clamped() -> None:
    class Large(nn.Module):
        def forward(self, lr_image: Tensor) -> Tensor:
            return 5 * lr_image.repeat_interleave(2, -1).repeat_interleave(2, -2) - 2

    image = upscale(Large(), torch.rand(1, 3, 9, 9), 2)
    assert not image.requires_grad and image.min() < 0 and image.max() > 1


@pytest.mark.parametrize("tile", [0, 4, 12, -8, 257])
def test_a_bad_tile_is_refused(tile: int) -> None:
    with pytest.raises(ValueError, match="tile must be a positive multiple of 8"):
        upscale(Small(2), torch.rand(1, 3, 8, 8), 2, tile)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 1, 8, 8)])
def test_other_than_one_rgb_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected one RGB image"):
        upscale(Small(2), torch.rand(*shape), 2)
