"""The aggregator: counts of Sec. 3.1, a slow oracle of its layer, its variants and its edges."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.special
import torch

from mtkd.networks import build, parameter_count
from mtkd.networks.aggregator import DCTSwinLayer, KnowledgeAggregator, MultiTeacher
from mtkd.networks.bicubic import Bicubic

TEACHERS = ("a", "b", "c")


def small(scale: int = 2, teachers=TEACHERS, **options) -> KnowledgeAggregator:
    torch.manual_seed(0)
    return KnowledgeAggregator(
        scale, teachers, channels=12, blocks=2, heads=3, upsampler="pixelshuffledirect", **options
    )


@pytest.mark.parametrize(("scale", "count"), [(2, 247_043), (3, 441_403), (4, 418_083)])
def test_parameters_of_the_papers_configuration(scale, count):
    assert parameter_count(build("aggregator", scale)) == count


def test_parameters_part_by_part():
    network = build("aggregator", 4)
    assert parameter_count(network.conv_first) == 31_128
    assert parameter_count(network.patch_norm) == 48
    assert [parameter_count(block) for block in network.body] == [17_652] * 4
    assert [parameter_count(layer) for layer in network.body[0].layers] == [6_222] * 2
    assert parameter_count(network.norm) == 48
    assert parameter_count(network.conv_after_body) == 5_208
    assert parameter_count(network.upsample) == 311_043


def test_variants_cost_about_as_much():
    full, v3, v4, masked = (parameter_count(build(f"aggregator{v}", 4)) for v in ("", "_v3", "_v4", "_v4_masked"))
    assert full == v4 == masked
    assert abs(v3 - v4) < 0.01 * v4


def attention_by_hand(layer: DCTSwinLayer, tokens: np.ndarray, dct: bool) -> np.ndarray:
    """One window (64, C) through LN, DCT, attention with relative position bias, IDCT, residual; then the MLP."""
    p = {k: v.double().numpy() for k, v in layer.state_dict().items()}
    heads, channels = layer.attn.heads, tokens.shape[1]
    size = channels // heads

    def norm(x, name):
        centred = x - x.mean(1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]

    def transform(function, x):
        return function(x.reshape(8, 8, channels), axes=(0, 1), norm="ortho").reshape(64, channels) if dct else x

    x = transform(scipy.fft.dctn, norm(tokens, "norm1"))
    q, k, v = np.split(x @ p["attn.qkv.weight"].T + p["attn.qkv.bias"], 3, axis=1)
    mixed = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(64):
            logits = np.empty(64)
            for j in range(64):
                row = (i // 8 - j // 8 + 7) * 15 + (i % 8 - j % 8 + 7)
                bias = p["attn.relative_position_bias_table"][row, head]
                logits[j] = q[i, part] @ k[j, part] / np.sqrt(size) + bias
            mixed[i, part] = scipy.special.softmax(logits) @ v[:, part]
    mixed = mixed @ p["attn.proj.weight"].T + p["attn.proj.bias"]
    tokens = tokens + transform(scipy.fft.idctn, mixed)
    hidden = norm(tokens, "norm2") @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"]
    gelu = hidden * 0.5 * (1 + scipy.special.erf(hidden / np.sqrt(2)))
    return tokens + gelu @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]


@pytest.mark.parametrize("dct", [True, False])
def test_layer_equals_a_slow_oracle(dct):
    torch.manual_seed(1)
    layer = DCTSwinLayer(6, 8, 2, 2.0, dct).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(2, 64, 6, dtype=torch.float64)
    if dct:  # the buffer is float32 inside; compare in float64
        from mtkd.networks.dct import window_dct_matrix

        layer.dct = window_dct_matrix(8)
    with torch.no_grad():
        made = layer(tokens, None).numpy()
    for window in range(2):
        np.testing.assert_allclose(made[window], attention_by_hand(layer, tokens[window].numpy(), dct), atol=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (9, 17)])
@pytest.mark.parametrize("mixing", ["dct_attention", "attention", "masked_attention", "mixer"])
def test_any_size(scale, size, mixing):
    images = [torch.rand(1, 3, scale * size[0], scale * size[1]) for _ in TEACHERS]
    assert small(scale, mixing=mixing)(images).shape == images[0].shape


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_teachers(count):
    images = [torch.rand(1, 3, 16, 16) for _ in range(count)]
    assert small(2, [f"t{i}" for i in range(count)])(images).shape == (1, 3, 16, 16)


def test_order_of_teachers_matters_and_their_number_is_checked():
    images = [torch.rand(1, 3, 16, 16) for _ in TEACHERS]
    network = small()
    assert not torch.allclose(network(images), network(images[::-1]))
    with pytest.raises(ValueError, match="2 images for the teachers a, b, c"):
        network(images[:2])
    with pytest.raises(ValueError, match="at least one"):
        small(teachers=())


def influence(shift: str, mixing: str) -> float:
    """How much the left edge of the output hears of the right edge of the input, through shifted windows alone."""
    network = small(2, ("a",), shift=shift, mixing=mixing)
    image = torch.rand(1, 3, 32, 64)
    changed = image.clone()
    changed[..., -4:] += 0.5
    with torch.no_grad():
        return float((network([image]) - network([changed]))[..., :4].abs().max())


def test_shift_wraps_around_unless_padded_or_masked():
    assert influence("cyclic", "dct_attention") > 1e-6
    assert influence("pad", "dct_attention") == 0
    assert influence("cyclic", "masked_attention") == 0
    with pytest.raises(ValueError, match="mask"):
        small(shift="pad", mixing="masked_attention")


@pytest.mark.parametrize("residual", ["mean", "weighted"])
def test_residual_starts_at_the_mean_of_the_teachers(residual):
    images = [torch.rand(2, 3, 12, 20) for _ in TEACHERS]
    made = small(residual=residual)(images)
    torch.testing.assert_close(made, torch.stack(images).mean(0))


@pytest.mark.parametrize("name", ["aggregator_mini", "aggregator_mini_v3", "aggregator_mini_v4"])
def test_gradient_reaches_every_parameter(name):
    network = build(name, 2)
    last = network.upsample[0]
    torch.nn.init.normal_(last.weight, std=0.1)  # it starts at zero, which stops the gradient of one step
    network([torch.rand(1, 3, 32, 32) for _ in range(3)]).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_multi_teacher_is_the_aggregator_of_its_teachers_outputs():
    network = small(2, ("a", "b"))
    teachers = [Bicubic(2), build("edsr_tiny", 2)]
    lr = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        expected = network([teacher(lr) for teacher in teachers])
        torch.testing.assert_close(MultiTeacher(teachers, network)(lr), expected)
    with pytest.raises(ValueError, match="1 networks for the teachers a, b"):
        MultiTeacher(teachers[:1], network)
