"""What the networks compute: sizes, values, gradients, and the parts against the public packages' formulas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd import networks
from mtkd.errors import UserError
from mtkd.networks.common import SuperResolutionNetwork, Upsample
from mtkd.networks.edsr import EDSR
from mtkd.networks.rcan import RCAN
from mtkd.networks.swinir import SwinIR
from mtkd.networks.windows import merge_windows, partition_windows, shift_mask

MEAN = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)

Builder = Callable[..., SuperResolutionNetwork]


def small_edsr(scale: int, **options: bool) -> SuperResolutionNetwork:
    return EDSR(scale, channels=8, blocks=2, res_scale=0.1, **options)


def small_rcan(scale: int, **options: bool) -> SuperResolutionNetwork:
    return RCAN(scale, channels=8, groups=2, blocks=2, squeeze=1, **options)


def small_swinir(scale: int, **options: bool) -> SuperResolutionNetwork:
    return SwinIR(scale, channels=12, depths=(2, 2), heads=3, **options)


def light_swinir(scale: int, **options: bool) -> SuperResolutionNetwork:
    return SwinIR(scale, channels=12, depths=(2,), heads=3, upsampler="pixelshuffledirect", **options)


SMALL: list[Builder] = [small_edsr, small_rcan, small_swinir, light_swinir]
SIZES = [(1, 1), (1, 9), (2, 3), (5, 4), (7, 8), (8, 8), (9, 1), (16, 24), (17, 13)]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("small", SMALL)
def test_any_input_size(small: Builder, scale: int, size: tuple[int, int]) -> None:
    with torch.no_grad():
        out = small(scale)(torch.rand(2, 3, *size))
    assert out.shape == (2, 3, scale * size[0], scale * size[1])
    assert out.dtype == torch.float32 and out.isfinite().all() and out.is_contiguous()


@pytest.mark.parametrize(
    "name", [n for n, s in networks.specs().items() if s.size == "mini" and s.family in ("edsr", "rcan", "swinir")]
)
def test_mini_networks_learn(name: str) -> None:
    network = networks.build(name, 2)
    lr_image = torch.rand(2, 3, 8, 8)
    target = F.interpolate(lr_image, scale_factor=2, mode="bicubic")
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = (network(lr_image) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("small", SMALL)
def test_without_weights_the_base_remains(small: Builder) -> None:
    """All parameters 0: the mean colour, or the bilinear image where the network has an image skip."""
    lr_image = torch.rand(1, 3, 5, 6)
    for image_skip in (False, True):
        network = small(3, image_skip=image_skip)
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
        expected = F.interpolate(lr_image, size=(15, 18), mode="bilinear") if image_skip else MEAN.expand(1, 3, 15, 18)
        torch.testing.assert_close(network(lr_image), expected)


@pytest.mark.parametrize("small", SMALL)
def test_value_range_is_inside(small: Builder) -> None:
    """Without biases, EDSR and RCAN of 255 (x - mean) are 255 times smaller outside; the output is not clamped."""
    network = small(2)
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 510.0)
    out = network(torch.rand(1, 3, 4, 4))
    inner_range = 1.0 if isinstance(network, SwinIR) else 255.0
    torch.testing.assert_close(out, (MEAN + 510.0 / inner_range).expand_as(out))


@pytest.mark.parametrize("small", SMALL)
def test_every_parameter_gets_a_gradient(small: Builder) -> None:
    network = small(4)
    lr_image = torch.rand(2, 3, 12, 9, requires_grad=True)
    (network(lr_image) ** 2).sum().backward()
    assert lr_image.grad is not None and lr_image.grad.abs().min() > 0
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("small", SMALL)
def test_forward_is_tail_of_trunk(small: Builder) -> None:
    network = small(2)
    lr_image = torch.rand(1, 3, 11, 6)
    features = network.trunk(lr_image)
    assert features.shape[1] == network.feature_channels
    torch.testing.assert_close(network.tail(features, lr_image), network(lr_image), rtol=0, atol=0)


@pytest.mark.parametrize("small", SMALL)
def test_works_on_the_meta_device_in_double_and_under_autocast(small: Builder) -> None:
    with torch.device("meta"):
        assert small(2)(torch.rand(1, 3, 9, 9)).shape == (1, 3, 18, 18)
    network = small(2)
    lr_image = torch.rand(1, 3, 9, 9)
    single = network(lr_image)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(lr_image)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, single, atol=0.02, rtol=0)
    double = network.double()(lr_image.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, atol=1e-4, rtol=0)


@pytest.mark.parametrize("small", SMALL)
def test_batch_and_inference_mode_change_nothing(small: Builder) -> None:
    network = small(2)
    lr_images = torch.rand(3, 3, 10, 9)
    with torch.inference_mode():
        alone = torch.cat([network(image[None]) for image in lr_images])
    together = network(lr_images)
    together.sum().backward()  # nothing made under inference_mode may be reused here
    torch.testing.assert_close(alone, together.detach(), atol=1e-4, rtol=1e-5)


def test_seeds_make_the_initialisation() -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(networks.build("swinir_tiny", 2).state_dict())
    key = "layers.0.residual_group.blocks.0.attn.qkv.weight"
    assert torch.equal(states[0][key], states[1][key]) and not torch.equal(states[0][key], states[2][key])
    assert states[0][key].std().item() == pytest.approx(0.02, rel=0.1)


def test_edsr_formula() -> None:
    """A one-channel-wide EDSR with identity-like kernels, worked out by hand."""
    network = EDSR(2, channels=3, blocks=1, res_scale=0.5)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    for conv in (network.conv_first, network.body[0].conv1, network.body[0].conv2, network.conv_after_body):
        nn.init.dirac_(conv.weight)
    nn.init.dirac_(network.conv_last.weight)
    with torch.no_grad():
        for channel in range(3):  # every sub-pixel copies its channel
            network.upsample[0].weight[4 * channel : 4 * channel + 4, channel, 1, 1] = 1.0
    lr_image = torch.rand(1, 3, 4, 5)
    x = lr_image - MEAN
    inner = x + (x + 0.5 * x.clamp(min=0))  # skip + body
    expected = MEAN + F.interpolate(inner, scale_factor=2, mode="nearest")
    torch.testing.assert_close(network(lr_image), expected)


def test_channel_attention_halves_at_zero() -> None:
    network = RCAN(2, channels=4, groups=1, blocks=1, squeeze=2)
    attention = network.body[0].residual_group[0].rcab[3]
    for parameter in attention.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(attention(x), 0.5 * x)


def pad_by_index(image: Tensor, size: int) -> Tensor:
    """Mirror to ``size`` columns and rows with plain indices."""
    rows, columns = ([i if i < n else 2 * n - 2 - i for i in range(size)] for n in image.shape[-2:])
    return image[..., rows, :][..., columns]


def test_held_channel_attention_gives_a_part_what_the_whole_image_has() -> None:
    network = RCAN(2, channels=8, groups=1, blocks=1, squeeze=1, one_step=True).double().eval()
    image = torch.rand(1, 3, 40, 36, dtype=torch.float64)
    held, whole, reach = network.with_means_of(image), network(image), network.reach
    part, inner = image[..., 8:40, 4:36], slice(2 * reach, 2 * (32 - reach))
    expected = whole[..., 16:, 8:][..., inner, inner]
    assert torch.allclose(held(part)[..., inner, inner], expected, rtol=0, atol=1e-12)
    assert not torch.allclose(network(part)[..., inner, inner], expected, rtol=0, atol=1e-6)
    assert network.pools and not held.pools and torch.equal(network(image), whole)  # itself as it was


def test_swinir_pads_by_mirroring() -> None:
    network = small_swinir(2)
    lr_image = torch.rand(1, 3, 13, 11)
    padded = network(pad_by_index(lr_image, 16))
    torch.testing.assert_close(network(lr_image), padded[..., :26, :22], atol=1e-5, rtol=1e-5)


def test_a_layer_on_plain_windows_sees_its_window_only() -> None:
    layers = small_swinir(2).layers[0].residual_group
    x = torch.randn(1, 16, 16, 12, requires_grad=True)
    (plain,) = torch.autograd.grad(only_first(layers, x)[0, 0, 0].sum(), x)
    reached = plain.abs().sum(-1)[0] > 0
    assert reached[:8, :8].all() and reached.sum() == 64


def test_shifted_windows_do_not_wrap_around() -> None:
    """The corner pixel, after a plain and a shifted layer, depends on its own corner of the image only."""
    layers = small_swinir(2).layers[0].residual_group
    mask = shift_mask(24, 24, 8, 4, like=torch.zeros(1))
    x = torch.randn(1, 24, 24, 12, requires_grad=True, dtype=torch.float32)
    (gradient,) = torch.autograd.grad(layers(x, mask)[0, 0, 0].sum(), x)
    reached = gradient.abs().sum(-1)[0] > 1e-20
    assert reached[:8, :8].any() and not reached[8:].any() and not reached[:, 8:].any()


def only_first(layers: nn.Module, x: Tensor) -> Tensor:
    tokens = layers.blocks[0](partition_windows(x, 8), None)
    return merge_windows(tokens, 8, *x.shape[1:3])


def test_no_upsampler_for_other_scales() -> None:
    with pytest.raises(UserError, match="scale 5"):
        Upsample(5, 8)
