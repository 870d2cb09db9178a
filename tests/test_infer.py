"""Whole images and tiles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.examples import example
from mtkd.images import to_tensor
from mtkd.infer import OVERLAP, TILE, aggregate, overlap_of, upscale
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.networks.bicubic import Bicubic
from mtkd.networks.edsr import EDSR
from mtkd.networks.rcan import RCAN
from mtkd.networks.swinir import SwinIR
from tests.benchmarks.photo_memory import PEAK


class Small(nn.Module):
    """One 3x3 convolution and a pixel shuffle: each output sees one LR pixel beyond its own."""

    reach = 1

    def __init__(self, scale: int) -> None:
        super().__init__()
        torch.manual_seed(scale)
        self.layers = nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)).double()
        self.sizes: list[tuple[int, int]] = []

    def forward(self, lr_image: Tensor) -> Tensor:
        self.sizes.append((lr_image.shape[-2], lr_image.shape[-1]))
        image: Tensor = self.layers(lr_image)
        return image


def photo(height: int, width: int) -> Tensor:
    """A part of a photo with detail everywhere, (1, 3, height, width)."""
    return to_tensor(example("astronaut").read()[40 : 40 + height, 40 : 40 + width])


def difference(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(40, 56), (33, 70), (17, 16), (16, 17), (3, 100), (1, 300)])
def test_tiles_make_the_whole(size: tuple[int, int], scale: int) -> None:
    network, lr_image = Small(scale), torch.rand(1, 3, *size, dtype=torch.float64)
    whole = upscale(network, lr_image, scale, tile=None)
    for tile, overlap in ((16, None), (16, 8), (8, 16), (24, 40)):
        network.sizes.clear()
        tiled = upscale(network, lr_image, scale, tile, overlap)
        assert whole.shape == tiled.shape == (1, 3, scale * size[0], scale * size[1])
        assert torch.allclose(whole, tiled, rtol=0, atol=1e-12)
        context = tile + 2 * (8 if overlap is None else overlap)
        assert len(network.sizes) > 1 or max(size) <= context or size[0] * size[1] <= tile**2
        assert max(side for pair in network.sizes for side in pair) <= context or len(network.sizes) == 1


LOCAL = (
    lambda s: EDSR(s, channels=8, blocks=3),
    lambda s: EDSR(s, channels=8, blocks=4, one_step=True, image_skip=True),
    lambda s: SwinIR(s, channels=12, depths=(2, 3), heads=3),
    lambda s: SwinIR(s, channels=12, depths=(1, 2), heads=(3, 2), convolutions=3),
    lambda s: SwinIR(s, channels=12, depths=(2, 2), heads=3, upsampler="pixelshuffledirect", image_skip=True),
)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("build", LOCAL)
def test_reach_is_how_far_a_network_sees(build, scale: int) -> None:
    """Of a part that ends at a window's edge, the last pixel that the end has changed is ``reach`` before it."""
    torch.manual_seed(0)
    network, lr_image = build(scale).double().eval(), torch.rand(1, 3, 8, 160, dtype=torch.float64)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.5 if weight.dim() > 1 else 0.1)
    with torch.no_grad():
        changed = (network(lr_image)[..., : scale * 80] - network(lr_image[..., :80])).abs().amax((0, 1, 2))
    first = int((changed > 1e-12 * changed.max()).nonzero()[0]) // scale
    assert 80 - first == network.reach <= overlap_of(network)


@pytest.mark.parametrize("upsampler", ["pixelshuffle", "pixelshuffledirect"])
@pytest.mark.parametrize("shift", ["cyclic", "pad"])
def test_reach_of_an_aggregator(upsampler, shift) -> None:
    torch.manual_seed(0)
    aggregator = KnowledgeAggregator(
        2, ("a",), channels=6, blocks=2, heads=3, upsampler=upsampler, shift=shift, residual="weighted"
    ).double()
    for weight in aggregator.parameters():
        nn.init.normal_(weight, std=0.5 if weight.dim() > 1 else 0.1)
    image = torch.rand(1, 3, 16, 320, dtype=torch.float64)
    with torch.no_grad():
        changed = (aggregator([image])[..., :160] - aggregator([image[..., :160]])).abs().amax((0, 1, 2))[80:]
    first = int((changed > 1e-12 * changed.max()).nonzero()[0]) // 2
    assert 40 - first == aggregator.reach <= overlap_of(aggregator)


EXACT = ("edsr_mini", "edsr_tiny-mtkd", "swinir_mini", "swinir_tiny-mtkd", "bicubic")


@pytest.mark.parametrize("name", EXACT)
def test_tiles_of_trained_networks_are_exact(name: str) -> None:
    """By default, up to the order of summation; the image's sides are multiples of nothing."""
    network, lr_image = zoo.load(name, 4), photo(67, 141)
    whole = upscale(network, lr_image, 4, tile=None)
    assert difference(upscale(network, lr_image, 4, tile=16), whole) < 1e-5
    assert difference(upscale(network, lr_image, 4, tile=16, overlap=0), whole) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edsr_baseline", "edsr", "swinir_lightweight", "swinir"])
def test_tiles_of_the_papers_networks_are_exact(name: str) -> None:
    """With random weights, once the overlap covers what they reach."""
    torch.manual_seed(0)
    network = networks.build(name, 2).eval()
    overlap = -(-network.reach // 8) * 8
    lr_image = photo(12, 200)
    lr_image = torch.cat([lr_image, lr_image.flip(-1)], -1)[..., : 2 * overlap + 20]
    whole = upscale(network, lr_image, 2, None)
    assert difference(upscale(network, lr_image, 2, 8, overlap), whole) < 1e-5


def test_tiles_of_a_network_that_pools_differ() -> None:
    network, lr_image = zoo.load("rcan_tiny-mtkd", 4), photo(64, 120)
    off = [difference(upscale(network, lr_image, 4, 24, o), upscale(network, lr_image, 4, None)) for o in (0, 16)]
    assert off[0] > 1e-2 > off[1] > 1e-4


@pytest.mark.parametrize(
    "mixing, shift, scale",
    [
        ("dct_attention", "cyclic", 2),
        ("masked_attention", "cyclic", 2),
        ("mixer", "pad", 2),
        ("attention", "cyclic", 3),
    ],
)
def test_tiles_of_an_aggregator_wrap_as_the_image_does(mixing, shift, scale: int) -> None:
    torch.manual_seed(0)
    options = {"channels": 6, "blocks": 1, "heads": 3, "mixing": mixing, "shift": shift}
    aggregator = KnowledgeAggregator(scale, ("a", "b"), **options, upsampler="pixelshuffledirect", residual="mean")
    for weight in aggregator.double().parameters():
        nn.init.normal_(weight, std=0.5 if weight.dim() > 1 else 0.1)
    assert overlap_of(aggregator) == 16
    for (height, width), tile in (((45, 67), 16), ((7, 100), 8), ((60, 33), 24)):
        images = [torch.rand(1, 3, scale * height, scale * width, dtype=torch.float64) for _ in range(2)]
        whole = aggregate(aggregator, images, None)
        assert difference(aggregate(aggregator, images, tile), whole) < 1e-9 * float(whole.abs().max())


def test_a_multi_teacher_runs_each_of_its_networks_in_tiles() -> None:
    network, lr_image = zoo.load("aggregator_mini-v1", 4), photo(40, 150)
    assert isinstance(network, MultiTeacher)
    calls: list[tuple[int, int]] = []
    whole = upscale(network, lr_image, 4, None)
    tiled = upscale(network, lr_image, 4, 24, progress=lambda done, of: calls.append((done, of)))
    assert difference(tiled, whole) < 1e-5
    counts = {overlap: len(range(0, 150 - 2 * overlap, 24)) for overlap in (24, 40)}
    assert overlap_of(network.teachers[0]) == 40 or overlap_of(network.teachers[1]) == 40
    total = sum(counts[overlap_of(part)] for part in (*network.teachers, network.aggregator))
    assert calls == [(i + 1, total) for i in range(total)]
    images = [upscale(teacher, lr_image, 4, 24) for teacher in network.teachers]
    assert torch.equal(tiled, aggregate(network.aggregator, images, 24))


def test_overlaps_by_default() -> None:
    expected = {"edsr_baseline": 40, "rcan_mini": 40, "rcan_lightweight": OVERLAP, "swinir_mini": 40}
    expected |= {"swinir_lightweight": OVERLAP, "aggregator": 48, "aggregator_mini": 40}
    assert {name: overlap_of(networks.build(name, 4)) for name in expected} == expected
    assert overlap_of(EDSR(2, channels=1, blocks=32)) == 72  # EDSR's are exact by default
    assert overlap_of(Bicubic(2)) == 8 and overlap_of(nn.Identity()) == OVERLAP
    assert RCAN(2, 8, 2, 2, 1).reach == 2 * 5 + 4


def test_windows_stay_where_they_are() -> None:
    """Tiles begin at multiples of a window of 8, so that a network of windows sees the same ones."""

    class Windows(nn.Module):
        def forward(self, lr_image: Tensor) -> Tensor:
            height, width = lr_image.shape[-2:]
            means = nn.functional.avg_pool2d(lr_image, 8, ceil_mode=True)
            image = means.repeat_interleave(8, -2)[..., :height, :].repeat_interleave(8, -1)[..., :width]
            return image.repeat_interleave(2, -2).repeat_interleave(2, -1)

    lr_image = torch.rand(1, 3, 50, 61)
    whole = upscale(Windows(), lr_image, 2, None)
    for overlap in (0, 8, 16):
        assert torch.allclose(whole, upscale(Windows(), lr_image, 2, 24, overlap), atol=1e-6)


def test_images_of_up_to_a_tiles_area_run_whole() -> None:
    network = Small(2)
    for size, calls in (((16, 16), 1), ((8, 32), 1), ((16, 32), 1), ((16, 33), 2)):
        network.sizes.clear()
        upscale(network, torch.rand(1, 3, *size, dtype=torch.float64), 2, tile=16)
        assert len(network.sizes) == calls
    assert TILE % 8 == 0


def test_progress_counts_tiles() -> None:
    calls: list[tuple[int, int]] = []
    lr_image = torch.rand(1, 3, 33, 50, dtype=torch.float64)
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


PEAKS = (
    PEAK
    + """
import torch
from mtkd import networks
from mtkd.infer import upscale

torch.set_num_threads(1)
network = networks.build("swinir_tiny", 4).eval()
for side in (64, 128, 320):
    upscale(network, torch.rand(1, 3, side, side), 4, 64, 8)
    print(peak() // 2**20)
"""
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of a process as Linux tells it")
def test_memory_is_bounded_by_the_tile() -> None:
    """Peak MB of one process, as the image grows: by its result alone. Run whole, the last one takes 400 more."""
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    peaks = [int(line) for line in done.stdout.split()]
    assert peaks[2] - peaks[1] < 3 * 4 * (4 * 320) ** 2 / 2**20 + 20, peaks


@pytest.mark.parametrize("tile", [0, 4, 12, -8, 257])
def test_a_bad_tile_is_refused(tile: int) -> None:
    with pytest.raises(ValueError, match="tile must be a positive multiple of 8"):
        upscale(Small(2), torch.rand(1, 3, 8, 8), 2, tile)


@pytest.mark.parametrize("overlap", [-8, 4, 257])
def test_a_bad_overlap_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap must be a multiple of 8"):
        upscale(Small(2), torch.rand(1, 3, 8, 8), 2, overlap=overlap)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 1, 8, 8)])
def test_other_than_one_rgb_image_is_refused(shape: Sequence[int]) -> None:
    with pytest.raises(ValueError, match="expected one RGB image"):
        upscale(Small(2), torch.rand(*shape), 2)
