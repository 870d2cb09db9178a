"""The aggregator's tensors on their way: recomposed, they are what the network computes."""

from __future__ import annotations

import pytest
import scipy.fft
import torch
from torch import Tensor

from mtkd.explore.inside.trace import Trace, trace
from mtkd.networks.aggregator import KnowledgeAggregator
from mtkd.networks.windows import pad_to_multiple, partition_windows

SIZE = (36, 44)
"""HR, at ×2: 18 x 22 LR, padded to 24 x 24, so 3 x 3 windows."""


def traced(**options: object) -> tuple[KnowledgeAggregator, list[Tensor], Trace]:
    torch.manual_seed(0)
    network = KnowledgeAggregator(2, ["a", "b", "c"], **options).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    images = [torch.rand(1, 3, *SIZE) for _ in range(3)]
    return network, images, trace(network, images)


@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "masked_attention", "mixer"])
@pytest.mark.parametrize("residual", ["none", "weighted"])
def test_recomposed_it_is_the_network(mixing: str, residual: str) -> None:
    network, images, found = traced(mixing=mixing, residual=residual)
    padded = pad_to_multiple(torch.cat([image - network.mean[:, 0] for image in images], 1), 16)
    assert torch.equal(found.concatenated, padded) and padded.shape == (1, 9, 48, 48)
    assert found.unshuffled.shape == (1, 36, 24, 24)
    assert torch.equal(found.unshuffled[0, 4 * 5 + 2 * 1 + 0], padded[0, 5, 1::2, 0::2])  # channel 5, phase (1, 0)
    assert torch.equal(found.shallow, network.conv_first(found.unshuffled))
    assert torch.equal(found.merged, network.features(padded))
    assert torch.equal(found.shallow + found.deep, found.merged)
    assert len(found.blocks) == 4 and not torch.equal(found.blocks[0], found.blocks[3])
    assert torch.equal(found.image, network(images)) and found.image.shape == (1, 3, *SIZE)


@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "mixer"])
def test_windows_are_those_of_the_first_layer(mixing: str) -> None:
    network, _, found = traced(mixing=mixing)
    layer, windows = network.body[0].layers[0], found.windows
    tokens = partition_windows(network.patch_norm(found.shallow.permute(0, 2, 3, 1)), 8)
    mixed = tokens + windows.added
    assert torch.allclose(layer(tokens, None), mixed + layer.mlp(layer.norm2(mixed)), atol=1e-5)
    assert torch.equal(windows.before, layer.norm1(tokens))
    assert (windows.rows, windows.columns) == (3, 3) and windows.before.shape == (9, 64, 24)
    # Window (1, 2) holds the rows 8..15 and columns 16..23 of the padded image.
    place = network.patch_norm(found.shallow.permute(0, 2, 3, 1))[0, 8:16, 16:24]
    assert torch.equal(tokens[1 * 3 + 2], place.reshape(64, 24))
    assert windows.mixing == {"dct_attention": "DCT"}.get(mixing, mixing)


def test_dct_and_inverse_are_scipys() -> None:
    windows = traced()[2].windows
    assert windows.frequencies is not None
    for tokens, transformed in ((windows.before, windows.frequencies), (windows.added, windows.mixed)):
        expected = scipy.fft.dctn(tokens[4].reshape(8, 8, 24).double().numpy(), axes=(0, 1), norm="ortho")
        assert torch.allclose(transformed[4].double(), torch.from_numpy(expected).reshape(64, 24), atol=1e-5)


def test_leaves_no_hooks_behind() -> None:
    network, images, _ = traced()
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(ValueError, match="2 images for the teachers a, b, c"):
        trace(network, images[:2])
