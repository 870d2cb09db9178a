"""Windows, padding, masks and window attention against loops and torch's own attention."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd.networks.swinir import SwinLayer
from mtkd.networks.windows import (
    WindowAttention,
    _pad_without_branches,
    in_groups,
    merge_windows,
    pad_to_multiple,
    partition_windows,
    relative_position_index,
    shift_mask,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def attention(channels: int = 12, window: int = 4, heads: int = 3) -> WindowAttention:
    module = WindowAttention(channels, window, heads).double()
    torch.nn.init.normal_(module.relative_position_bias_table)
    return module


@pytest.mark.parametrize(("height", "width", "window"), [(8, 8, 8), (8, 24, 8), (12, 4, 4), (6, 9, 3)])
def test_partition_and_merge(height: int, width: int, window: int) -> None:
    x = torch.randn(2, height, width, 5)
    tokens = partition_windows(x, window)
    assert tokens.shape == (2 * height * width // window**2, window**2, 5)
    assert torch.equal(merge_windows(tokens, window, height, width), x)
    number = 0
    for image in x:
        for top in range(0, height, window):
            for left in range(0, width, window):
                patch = image[top : top + window, left : left + window]
                for i in range(window):
                    assert torch.equal(tokens[number, i * window : (i + 1) * window], patch[i])
                number += 1


def test_pad_mirrors_where_it_can_and_replicates_where_not() -> None:
    row = torch.tensor([[1.0, 2, 3, 4, 5]]).expand(1, 1, 1, 5)
    out = pad_to_multiple(row, 8)
    assert out.shape == (1, 1, 8, 8)
    assert torch.equal(out[0, 0], torch.tensor([1.0, 2, 3, 4, 5, 4, 3, 2]).expand(8, 8))
    short = torch.tensor([[1.0, 2, 3, 4]]).expand(1, 1, 1, 4)  # 4 more are needed, 3 can be mirrored
    assert torch.equal(pad_to_multiple(short, 8)[0, 0, 5], torch.tensor([1.0, 2, 3, 4, 4, 4, 4, 4]))


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (8, 16), (5, 4), (31, 2)])
def test_pad_keeps_the_image_and_its_range(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    out = pad_to_multiple(x, 8)
    assert out.shape[-2] % 8 == 0 and out.shape[-1] % 8 == 0
    assert out.shape[-2] - size[0] < 8 and out.shape[-1] - size[1] < 8
    assert torch.equal(out[..., : size[0], : size[1]], x)
    assert out.min() == x.min() and out.max() == x.max()
    assert size != (8, 16) or out is x


@pytest.mark.parametrize("multiple", [4, 5, 8, 24])
def test_the_padding_of_an_exported_graph_is_the_same(multiple: int) -> None:
    for height in range(1, 27):
        for width in (1, 4, 5, 13, 24):
            x = torch.rand(2, 3, height, width)
            assert torch.equal(_pad_without_branches(x, multiple), pad_to_multiple(x, multiple)), (height, width)


@pytest.mark.parametrize(("height", "width", "window", "shift"), [(8, 8, 4, 2), (8, 12, 4, 1), (4, 4, 4, 2)])
def test_shift_mask_by_brute_force(height: int, width: int, window: int, shift: int) -> None:
    """Two tokens may attend iff the roll left them as far apart as they were in the image."""
    mask = shift_mask(height, width, window, shift, like=torch.zeros(1))
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1)
    original = partition_windows(place.roll((-shift, -shift), (0, 1))[None], window)
    current = partition_windows(place[None], window)
    assert mask.shape == (len(original), window**2, window**2)
    for number in range(len(mask)):
        for i in range(window**2):
            for j in range(window**2):
                moved = original[number, i] - original[number, j]
                together = torch.equal(moved, current[number, i] - current[number, j])
                assert mask[number, i, j] == (0.0 if together else -100.0)


def test_shift_mask_follows_its_model() -> None:
    assert shift_mask(8, 8, 8, 4, like=torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert shift_mask(8, 8, 8, 4, like=torch.zeros(1, device="meta")).device.type == "meta"


def test_relative_position_index_entries() -> None:
    index = relative_position_index(8)
    assert index.shape == (64, 64) and index.min() == 0 and index.max() == 224
    assert (index.diagonal() == 112).all()
    assert index[0, 63] == 0 and index[63, 0] == 224  # opposite corners
    assert index[9, 8] == 113 and index[16, 8] == 127  # one step right, one step down
    assert len(index.unique()) == 225


def naive(module: WindowAttention, tokens: Tensor, mask: Tensor | None) -> Tensor:
    """Attention written with loops over windows, heads and pairs of tokens."""
    windows, length, channels = tokens.shape
    side, dim = int(length**0.5), channels // module.heads
    weight, bias = module.qkv.weight, module.qkv.bias
    out = torch.zeros_like(tokens)
    for n in range(windows):
        rows = tokens[n] @ weight.T + bias
        q, k, v = rows[:, :channels], rows[:, channels : 2 * channels], rows[:, 2 * channels :]
        for h in range(module.heads):
            part = slice(h * dim, (h + 1) * dim)
            for i in range(length):
                logits = torch.zeros(length, dtype=tokens.dtype)
                for j in range(length):
                    dy, dx = i // side - j // side, i % side - j % side
                    place = (dy + side - 1) * (2 * side - 1) + dx + side - 1
                    logits[j] = (q[i, part] * k[j, part]).sum() / dim**0.5
                    logits[j] += module.relative_position_bias_table[place, h]
                    if mask is not None:
                        logits[j] += mask[n % len(mask), i, j]
                weights = logits.exp() / logits.exp().sum()
                out[n, i, part] = (weights[:, None] * v[:, part]).sum(0)
    return out @ module.proj.weight.T + module.proj.bias


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_loops(masked: bool) -> None:
    module = attention(channels=6, window=2, heads=2)
    tokens = torch.randn(8, 4, 6, dtype=torch.float64)
    mask = torch.randn(4, 4, 4, dtype=torch.float64) if masked else None
    with torch.no_grad():
        torch.testing.assert_close(module(tokens, mask), naive(module, tokens, mask))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torch_multihead(masked: bool) -> None:
    """torch's own multi-head attention with bias and mask given as one float mask, gradients included."""
    module = attention()
    mask = shift_mask(8, 8, 4, 2, like=torch.zeros(1, dtype=torch.float64)) if masked else None
    tokens = torch.randn(8, 16, 12, dtype=torch.float64, requires_grad=True)
    full = module.relative_position_bias_table[relative_position_index(4)].permute(2, 0, 1).repeat(8, 1, 1)
    if mask is not None:
        full = full + mask.repeat(2, 1, 1).repeat_interleave(3, 0)
    x = tokens.transpose(0, 1)
    expected, _ = F.multi_head_attention_forward(
        x, x, x, 12, 3, module.qkv.weight, module.qkv.bias, None, None, False, 0.0,
        module.proj.weight, module.proj.bias, attn_mask=full, need_weights=False,
    )  # fmt: skip
    expected = expected.transpose(0, 1)
    out = module(tokens, mask)
    torch.testing.assert_close(out, expected)
    direction = torch.randn_like(out)
    sources = (tokens, *module.parameters())
    ours = torch.autograd.grad((out * direction).sum(), sources, retain_graph=True)
    theirs = torch.autograd.grad((expected * direction).sum(), sources)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_masked_tokens_do_not_mix() -> None:
    module = attention().float()
    mask = shift_mask(4, 4, 4, 2, like=torch.zeros(1))
    tokens = torch.randn(1, 16, 12, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(tokens, mask)[0, 0].sum(), tokens)
    reached = gradient[0].abs().sum(-1).view(4, 4) > 1e-20
    assert reached[:2, :2].all() and reached.sum() == 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_attention_is_the_same_on_the_gpu() -> None:
    module = attention(24, 8, 3).float()
    tokens = torch.randn(8, 64, 24)
    for mask in (None, shift_mask(16, 16, 8, 4, like=tokens)):
        expected = module.cpu()(tokens, mask)
        out = module.cuda()(tokens.cuda(), None if mask is None else mask.cuda())
        torch.testing.assert_close(out.cpu(), expected, atol=2e-3, rtol=2e-3)


def test_heads_must_divide_channels() -> None:
    with pytest.raises(ValueError, match="heads"):
        WindowAttention(10, 8, 3)


@pytest.mark.parametrize("side", [16, 72, 136])  # 4, 81 and 289 windows: less than a group, and no multiple of one
@pytest.mark.parametrize("masked", [False, True])
def test_windows_in_groups_are_the_same_to_the_last_bit(side: int, masked: bool) -> None:
    layer = SwinLayer(12, 8, 3, 2.0)
    tokens = torch.randn(2 * (side // 8) ** 2, 64, 12)  # two images
    mask = shift_mask(side, side, 8, 4, like=tokens) if masked else None
    with torch.no_grad():
        assert torch.equal(in_groups(layer, tokens, mask), layer(tokens, mask))
    whole = in_groups(layer, tokens, mask)  # with gradients
    assert whole.requires_grad
