"""The aggregator: published counts, layers against slow loops, borders, order of teachers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.special
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd import networks
from mtkd.errors import UserError
from mtkd.networks.aggregator import DCTSwinBlock, DCTSwinLayer, KnowledgeAggregator, MixerLayer, MultiTeacher
from mtkd.networks.bicubic import Bicubic
from mtkd.networks.windows import shift_mask

NAMES = ("ada", "bob", "cleo", "dan", "eve")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def shaken(module: nn.Module) -> nn.Module:
    """All parameters away from their start, so that none is without effect."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module.eval()


def small(scale: int = 2, teachers: int = 2, **options: Any) -> KnowledgeAggregator:
    """One block of two layers on 12 channels and windows of 8."""
    options = {"channels": 12, "blocks": 1, "heads": 3, **options}
    module = KnowledgeAggregator(scale, NAMES[:teachers], **options)
    shaken(module)
    return module


def outputs(height: int, width: int, teachers: int = 2, batch: int = 1) -> tuple[Tensor, ...]:
    return tuple(torch.rand(batch, 3, height, width) for _ in range(teachers))


# Counts (SPEC section 2) -----------------------------------------------------------------------------------


def on_meta(name: str, scale: int) -> nn.Module:
    with torch.device("meta"):
        return networks.build(name, scale)


@pytest.mark.parametrize(("scale", "count"), [(2, 247_043), (3, 441_403), (4, 418_083)])
def test_published_counts(scale: int, count: int) -> None:
    aggregator = on_meta("aggregator", scale)
    assert aggregator.teachers == ("edsr", "rcan", "swinir")
    assert networks.parameter_count(aggregator) == count


def test_counts_of_parts_at_x4() -> None:
    whole = on_meta("aggregator", 4)
    block = whole.body[0]
    parts = (whole.conv_first, whole.patch_norm, *whole.body, whole.norm, whole.conv_after_body, whole.upsample)
    counts = [networks.parameter_count(part) for part in parts]
    assert counts == [31_128, 48, *[17_652] * 4, 48, 5_208, 311_043]
    assert [networks.parameter_count(layer) for layer in block.layers] == [6_222] * 2
    assert networks.parameter_count(block.conv) == 5_208
    assert sum(counts) == networks.parameter_count(whole)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_variants_are_of_equal_size(scale: int) -> None:
    body = {name: networks.parameter_count(on_meta(f"aggregator{name}", scale).body) for name in ("", "_v3", "_v4")}
    assert body["_v4"] == body[""]
    assert body["_v3"] == pytest.approx(body["_v4"], rel=0.01)
    masked = networks.parameter_count(on_meta("aggregator_v4_masked", scale))
    assert masked == networks.parameter_count(on_meta("aggregator_v4", scale))


def test_checkpoint_holds_parameters_only() -> None:
    module = small(residual="weighted")
    assert set(module.state_dict()) == {name for name, _ in module.named_parameters()}


# Layers against loops --------------------------------------------------------------------------------------

Array = np.ndarray
Weights = dict[str, Array]


def linear(weights: Weights, name: str, x: Array) -> Array:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def layer_norm(weights: Weights, name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def mlp(weights: Weights, name: str, x: Array) -> Array:
    hidden = linear(weights, f"{name}.fc1", x)
    return linear(weights, f"{name}.fc2", hidden * scipy.special.ndtr(hidden))  # GELU: x times normal CDF


def slow_attention(weights: Weights, tokens: Array, window: int, heads: int, apart: Array) -> Array:
    """Pair by pair; ``apart`` (T, T) says which must not see each other."""
    count, channels = tokens.shape
    wide, q_k_v = channels // heads, linear(weights, "attn.qkv", tokens)
    table, results = weights["attn.relative_position_bias_table"], []
    for head in range(heads):
        q, k, v = (q_k_v[:, part * channels + head * wide :][:, :wide] for part in range(3))
        logits = q @ k.T / np.sqrt(wide)
        for i, j in itertools.product(range(count), repeat=2):
            down, right = i // window - j // window, i % window - j % window
            logits[i, j] += table[(down + window - 1) * (2 * window - 1) + right + window - 1, head]
            if apart[i, j]:
                logits[i, j] = -np.inf
        results.append(scipy.special.softmax(logits, axis=1) @ v)
    return linear(weights, "attn.proj", np.concatenate(results, axis=1))


def slow_layer(weights: Weights, pixels: Array, heads: int, mixing: str, apart: Array) -> Array:
    """One window (w, w, C) through one layer."""
    window, _, channels = pixels.shape
    mixed = layer_norm(weights, "norm1", pixels)
    if mixing == "mixer":
        mixed = mlp(weights, "token_mlp", mixed.reshape(-1, channels).T).T.reshape(pixels.shape)
    else:
        if mixing == "dct_attention":
            mixed = scipy.fft.dctn(mixed, axes=(0, 1), norm="ortho")
        tokens = mixed.reshape(-1, channels)
        mixed = slow_attention(weights, tokens, window, heads, apart).reshape(pixels.shape)
        if mixing == "dct_attention":
            mixed = scipy.fft.idctn(mixed, axes=(0, 1), norm="ortho")
    pixels = pixels + mixed
    return pixels + mlp(weights, "mlp", layer_norm(weights, "norm2", pixels))


def slow_shifted(weights: Weights, image: Array, window: int, heads: int, mixing: str, shift: int, wrap: str) -> Array:
    """A layer on an image (H, W, C) whose windows begin at ``shift``; ``wrap``: "cyclic", "masked" or "pad"."""
    height, width, _ = image.shape
    result = np.full_like(image, np.nan)
    around = np.pad(image, ((window,) * 2, (window,) * 2, (0, 0)), mode="reflect")
    first = shift - window if wrap == "pad" and shift else shift
    for top, left in itertools.product(range(first, height, window), range(first, width, window)):
        rows, columns = np.arange(top, top + window), np.arange(left, left + window)
        far = 2 * (rows >= height)[:, None] + (columns >= width)[None]
        apart = (far.ravel()[:, None] != far.ravel()[None]) & (wrap == "masked")
        if wrap == "pad":
            pixels = around[np.ix_(rows + window, columns + window)]
        else:
            pixels = image[np.ix_(rows % height, columns % width)]
        out = slow_layer(weights, pixels, heads, mixing, apart)
        for (y, row), (x, column) in itertools.product(enumerate(rows), enumerate(columns)):
            if wrap != "pad":
                result[row % height, column % width] = out[y, x]
            elif 0 <= row < height and 0 <= column < width:
                result[row, column] = out[y, x]
    assert not np.isnan(result).any()
    return result


def weights_of(module: nn.Module) -> Weights:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def make_layer(mixing: str, channels: int, window: int, heads: int) -> nn.Module:
    if mixing == "mixer":
        layer: nn.Module = MixerLayer(channels, window, 2.0, hidden=5)
    else:
        layer = DCTSwinLayer(channels, window, heads, 2.0, dct=mixing == "dct_attention")
    return shaken(layer).double()


@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "mixer"])
@pytest.mark.parametrize(("window", "heads"), [(8, 3), (4, 1), (2, 6)])
def test_layer_of_one_window(mixing: str, window: int, heads: int) -> None:
    layer = make_layer(mixing, 6, window, heads)
    pixels = torch.randn(2, window, window, 6, dtype=torch.float64)
    found = layer(pixels.flatten(1, 2), None).unflatten(1, (window, window))
    apart = np.zeros((window**2,) * 2, bool)
    expected = [slow_layer(weights_of(layer), one, heads, mixing, apart) for one in pixels.numpy()]
    torch.testing.assert_close(found, torch.from_numpy(np.stack(expected)), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("mixing", "wrap"),
    [
        ("dct_attention", "cyclic"),
        ("dct_attention", "pad"),
        ("attention", "cyclic"),
        ("attention", "masked"),
        ("attention", "pad"),
        ("mixer", "cyclic"),
        ("mixer", "pad"),
    ],
)
@pytest.mark.parametrize("size", [(12, 8), (4, 16), (4, 4)], ids=str)
def test_block(mixing: str, wrap: str, size: tuple[int, int]) -> None:
    """Three layers, the middle one shifted by half a window, then convolution and residual."""
    window, heads, channels = 4, 3, 6
    layers = [make_layer(mixing, channels, window, heads) for _ in range(3)]
    block = DCTSwinBlock(layers, channels, window, "pad" if wrap == "pad" else "cyclic").double()
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    mask = shift_mask(*size, window, window // 2, like=x) if wrap == "masked" else None
    deep = []
    for image in x.permute(0, 2, 3, 1).numpy():
        for layer, shift in zip(layers, (0, window // 2, 0), strict=True):
            image = slow_shifted(weights_of(layer), image, window, heads, mixing, shift, wrap)
        deep.append(torch.from_numpy(image).permute(2, 0, 1))
    expected = x + F.conv2d(torch.stack(deep), block.conv.weight, block.conv.bias, padding=1)
    torch.testing.assert_close(block(x, mask), expected, atol=1e-6, rtol=1e-6)


# The whole -------------------------------------------------------------------------------------------------


def test_pieces_in_their_order() -> None:
    """Mean, unshuffle, first convolution, normed tokens, blocks, norm, convolution, shallow skip, upsampler."""
    module, scale = small(3, blocks=2), 3
    images = outputs(24, 48)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    stacked = torch.cat([image - mean for image in images], dim=1).numpy()  # ada's RGB, then bob's
    folded = stacked.reshape(1, 6, 8, scale, 16, scale).transpose(0, 1, 3, 5, 2, 4).reshape(1, 6 * scale**2, 8, 16)
    shallow = module.conv_first(torch.from_numpy(np.ascontiguousarray(folded)))

    def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        deviation = (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        return centred / deviation * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)

    deep = normed(shallow, module.patch_norm)
    for block in module.body:
        deep = block(deep, None)
    features = shallow + module.conv_after_body(normed(deep, module.norm))
    torch.testing.assert_close(module(images), module.upsample(features) + mean, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upsampler(scale: int) -> None:
    """SPEC section 2: 3x3 to 64 with LeakyReLU, steps of 2 (or one of 3) by pixel shuffle, 3x3 to RGB."""
    module = small(scale)
    x, (first, _, steps, last) = torch.randn(1, 12, 5, 4), module.upsample
    y = first(x)
    y = torch.where(y > 0, y, 0.01 * y)
    convolutions = [m for m in steps if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == {2: [256], 3: [576], 4: [256, 256]}[scale]
    for convolution in convolutions:
        y = F.pixel_shuffle(convolution(y), 3 if scale == 3 else 2)
    torch.testing.assert_close(module.upsample(x), last(y))


@pytest.mark.parametrize("teachers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_number_of_teachers(teachers: int, scale: int) -> None:
    module = small(scale, teachers, upsampler="pixelshuffledirect", residual="weighted")
    assert module.conv_first.in_channels == 3 * teachers * scale**2
    assert module(outputs(scale * 3, scale * 5, teachers)).shape == (1, 3, scale * 3, scale * 5)


@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "masked_attention", "mixer"])
@pytest.mark.parametrize("size", [(4, 4), (4, 44), (36, 8), (20, 52), (7, 1), (32, 64)], ids=str)
def test_any_size(size: tuple[int, int], mixing: str) -> None:
    module = small(4, mixing=mixing, upsampler="pixelshuffledirect")
    for shift in ("cyclic", "pad") if mixing != "masked_attention" else ("cyclic",):
        for block in module.body:
            block.shift = shift
        image = module(outputs(*size, batch=2))
        assert image.shape == (2, 3, *size) and image.isfinite().all()


def test_padding_is_by_reflection_on_the_right_and_below() -> None:
    module, (a, b) = small(2), outputs(22, 18)
    padded = tuple(torch.from_numpy(np.pad(x, ((0, 0), (0, 0), (0, 10), (0, 14)), mode="reflect")) for x in (a, b))
    torch.testing.assert_close(module((a, b)), module(padded)[..., :22, :18])


def test_images_of_a_batch_are_independent() -> None:
    module, images = small(2, mixing="masked_attention"), outputs(32, 16, batch=3)
    together = module(images)
    for i in range(3):
        torch.testing.assert_close(module(tuple(x[i : i + 1] for x in images))[0], together[i], atol=1e-5, rtol=1e-5)


def test_order_of_teachers_matters() -> None:
    module, (a, b) = small(residual="weighted"), outputs(16, 16)
    assert (module((a, b)) - module((b, a))).abs().max() > 1e-3


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_number_of_images(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} images for the teachers ada, bob"):
        small()(outputs(16, 16, count))


@pytest.mark.parametrize("upsampler", ["pixelshuffle", "pixelshuffledirect"])
@pytest.mark.parametrize("residual", ["mean", "weighted"])
def test_residual_starts_at_the_mean_of_the_teachers(residual: Any, upsampler: Any) -> None:
    module = KnowledgeAggregator(2, NAMES[:3], 12, 1, heads=3, residual=residual, upsampler=upsampler)
    images = outputs(18, 22, 3)
    torch.testing.assert_close(module(images), sum(images) / 3, atol=1e-6, rtol=0)


def test_weighted_residual() -> None:
    module = KnowledgeAggregator(2, NAMES[:2], 12, 1, heads=3, residual="weighted")
    with torch.no_grad():
        module.teacher_weights.copy_(torch.tensor([0.75, 0.25]))
    a, b = outputs(16, 16)
    torch.testing.assert_close(module((a, b)), 0.75 * a + 0.25 * b, atol=1e-6, rtol=0)


@pytest.mark.parametrize("residual", ["none", "mean", "weighted"])
@pytest.mark.parametrize("mixing", ["dct_attention", "masked_attention", "mixer"])
def test_gradient_reaches_every_parameter_and_teacher(mixing: Any, residual: Any) -> None:
    module = small(mixing=mixing, residual=residual)
    images = tuple(x.requires_grad_() for x in outputs(16, 32))
    F.l1_loss(module(images), torch.rand(1, 3, 16, 32)).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    for image in images:
        assert image.grad is not None and image.grad.abs().sum() > 0


def test_fresh_residual_network_can_learn() -> None:
    """The zeroed last convolution lets gradient through to itself at once, and to the rest a step later."""
    module = KnowledgeAggregator(2, NAMES[:2], 12, 1, heads=3, residual="mean")
    optimiser, images, target = torch.optim.Adam(module.parameters(), 1e-3), outputs(16, 16), torch.rand(1, 3, 16, 16)
    losses = []
    for _ in range(8):
        loss = F.l1_loss(module(images), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert module.conv_first.weight.grad.abs().sum() > 0


# Borders ---------------------------------------------------------------------------------------------------


def influence(axis: int, **options: Any) -> Tensor:
    """Change of the output, by line of pixels, when the last line along ``axis`` changes; 96 x 96 pixels, x2."""
    module, images = small(**options), outputs(96, 96)
    with torch.no_grad():
        before = module(images)
        for image in images:
            image.select(axis, 95).add_(0.5)
        return (module(images) - before).abs().amax(dim=[d for d in (0, 1, 2, 3) if d != axis])


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "mixer"])
def test_cyclic_shift_wraps_around(mixing: str, axis: int) -> None:
    change = influence(axis, mixing=mixing, shift="cyclic")
    assert change[:8].min() > 1e-6
    assert change[30:40].max() == 0


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "mixer"])
def test_padded_shift_does_not(mixing: str, axis: int) -> None:
    change = influence(axis, mixing=mixing, shift="pad")
    assert change[:40].max() == 0 and change[-8:].min() > 1e-6


@pytest.mark.parametrize("axis", [2, 3])
def test_mask_keeps_edges_apart(axis: int) -> None:
    change = influence(axis, mixing="masked_attention")
    assert change[:40].max() < 1e-6 and change[-8:].min() > 1e-6


@pytest.mark.parametrize("mixing", ["dct_attention", "mixer"])
def test_moves_with_the_image_by_whole_windows(mixing: str) -> None:
    """Away from the borders, by multiples of 8 s pixels; windows lie elsewhere for other distances."""
    module, wide = small(mixing=mixing), outputs(16, 160)

    def at(start: int) -> Tensor:
        with torch.no_grad():
            return module(tuple(x[..., start : start + 128] for x in wide))

    here = at(0)[..., 64:80]
    torch.testing.assert_close(at(16)[..., 48:64], here, atol=1e-5, rtol=1e-5)
    assert (at(8)[..., 56:72] - here).abs().max() > 1e-4


# Choices and composition -----------------------------------------------------------------------------------


def test_variants_compute_different_things() -> None:
    images, results = outputs(32, 32), []
    for mixing in ("dct_attention", "attention", "masked_attention"):
        torch.manual_seed(1)
        results.append(small(mixing=mixing)(images))
    for one, other in itertools.combinations(results, 2):
        assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teachers": ()}, "at least one teacher"),
        ({"mixing": "masked_attention", "shift": "pad"}, "mask is for cyclic"),
        ({"mixing": "dct"}, "'dct' is not among dct_attention, attention"),
        ({"shift": "pda"}, "'pda' is not among cyclic, pad"),
        ({"upsampler": "direct"}, "'direct' is not among pixelshuffle"),
        ({"residual": "average"}, "'average' is not among none, mean"),
        ({"channels": 25}, "25 channels do not divide among 6 heads"),
    ],
)
def test_bad_choices(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KnowledgeAggregator(**{"scale": 2, "teachers": ("ada", "bob"), **options})


def test_bad_scale() -> None:
    with pytest.raises(UserError, match="scale 5"):
        KnowledgeAggregator(5, ("ada",))


class Brighter(nn.Module):
    """A teacher: enlarges and adds ``step``."""

    def __init__(self, scale: int, step: float) -> None:
        super().__init__()
        self.bicubic, self.step = Bicubic(scale), step

    def forward(self, lr_image: Tensor) -> Tensor:
        return self.bicubic(lr_image) + self.step


def test_multi_teacher() -> None:
    aggregator, lr_image = small(3), torch.rand(2, 3, 5, 7)
    whole = MultiTeacher([Brighter(3, 0.0), Brighter(3, 0.2)], aggregator)
    enlarged = Bicubic(3)(lr_image)
    torch.testing.assert_close(whole(lr_image), aggregator((enlarged, enlarged + 0.2)))
    assert whole(lr_image).shape == (2, 3, 15, 21)
    with pytest.raises(ValueError, match="1 networks for the teachers ada, bob"):
        MultiTeacher([Brighter(3, 0.0)], aggregator)
