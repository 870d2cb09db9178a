"""bfloat16 on a CPU without instructions for it: products as the instructions make them, at the speed of fp32."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mtkd import bfloat16, networks
from mtkd.bfloat16 import emulates_bf16, fast_bf16

CPU = torch.device("cpu")
PRODUCTS: dict[str, tuple[Callable[..., torch.Tensor], list[tuple[int, ...]]]] = {
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(2, 6, 9, 7), (5, 6, 3, 3), (5,)]),
    "transposed": (lambda x, w: F.conv_transpose2d(x, w, stride=2), [(2, 6, 9, 7), (6, 5, 3, 3)]),
    "linear": (F.linear, [(2, 9, 6), (5, 6), (5,)]),
    "matmul": (torch.matmul, [(2, 9, 6), (6, 5)]),
    "@": (lambda a, b: a @ b, [(2, 9, 6), (2, 6, 5)]),
    "bmm": (torch.bmm, [(2, 9, 6), (2, 6, 5)]),
    "method": (lambda a, b: a.bmm(b), [(2, 9, 6), (2, 6, 5)]),
    "sum": (torch.addmm, [(9, 5), (9, 6), (6, 5)]),
    "einsum": (lambda a, b: torch.einsum("nij,nkj->nik", a, b), [(2, 9, 6), (2, 5, 6)]),
    "conv1d": (F.conv1d, [(2, 6, 9), (5, 6, 3)]),
    "conv3d": (F.conv3d, [(1, 2, 5, 5, 5), (3, 2, 3, 3, 3)]),
}


@pytest.fixture
def emulated(monkeypatch) -> None:
    """Have this CPU be one without the instructions."""
    monkeypatch.setattr(bfloat16, "emulates_bf16", lambda: True)


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="the flags of x86 on Linux are the oracle"
)
def test_a_cpu_without_avx512_emulates_it() -> None:
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert emulates_bf16() == ("avx512bw" not in flags[1].split())


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_exact_until_it_is_rounded_once(name: str, emulated: None) -> None:
    """The oracle computes in float64 with the same rounded factors; bfloat16 has 8 bits: it is off by 2^-8 at most."""
    product, shapes = PRODUCTS[name]
    generator = torch.Generator().manual_seed(0)
    factors = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    exact = [factor.detach().bfloat16().double().requires_grad_() for factor in factors]
    expected = product(*exact)
    weight = torch.randn(expected.shape, generator=generator).bfloat16()
    expected.backward(weight.double())
    with fast_bf16(CPU), torch.autocast("cpu", torch.bfloat16):
        result = product(*factors)
    result.backward(weight)
    assert result.dtype == torch.bfloat16
    pairs = [(result, expected), *((a.grad, b.grad) for a, b in zip(factors, exact, strict=True))]
    for value, target in pairs:
        assert ((value.double() - target).abs() <= 2**-7.99 * target.abs() + 1e-5).all()


def test_attention_is_near_its_value_in_float64(emulated: None) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 16, 8, generator=generator) for _ in range(3))
    expected = F.scaled_dot_product_attention(*(x.bfloat16().double() for x in (q, k, v)))
    with fast_bf16(CPU), torch.autocast("cpu", torch.bfloat16):
        result = F.scaled_dot_product_attention(q, k, v)
    assert result.dtype == torch.bfloat16
    assert (result.double() - expected).abs().max() <= 2**-7.99 * expected.abs().max()


def test_outside_autocast_nothing_changes(emulated: None) -> None:
    x, w = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
    with fast_bf16(CPU):
        inside = F.conv2d(x, w)
    assert torch.equal(inside, F.conv2d(x, w))


def test_what_autocast_leaves_alone_is_left_alone(emulated: None) -> None:
    a, b = torch.rand(3, 4, dtype=torch.float64), torch.rand(4, 2, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        control = a @ b
        with fast_bf16(CPU):
            result = a @ b
    assert result.dtype == control.dtype == torch.float64 and torch.equal(result, control)


class Dtypes(TorchDispatchMode):
    """Collects the data types of the products that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if re.match(r"aten::(_?conv|\w*mm\b|_scaled_dot|linear|matmul)", func.name()):
            self.seen.add(next(x for x in args if isinstance(x, torch.Tensor)).dtype)
        return func(*args, **(kwargs or {}))


def seen_under_autocast(network: nn.Module, images: Sequence[torch.Tensor], fast: bool) -> set[torch.dtype]:
    with Dtypes() as products, torch.autocast("cpu", torch.bfloat16), fast_bf16(CPU) if fast else nullcontext():
        network(*images)
    return products.seen


@pytest.mark.parametrize("name", [name for name in networks.specs() if name.endswith(("_tiny", "_mini"))])
def test_no_network_multiplies_in_bfloat16_itself(name: str, emulated: None) -> None:
    """That is what takes more than ten times as long; PyTorch's own autocast is the control."""
    merges = networks.specs()[name].role == "aggregator"
    network = networks.build(name, 2, ("bicubic", "bicubic") if merges else ())
    images = [[torch.rand(1, 3, 32, 32) for _ in range(2)]] if merges else [torch.rand(1, 3, 16, 16)]
    assert torch.bfloat16 in seen_under_autocast(network, images, fast=False)
    assert seen_under_autocast(network, images, fast=True) == {torch.float32}


def test_nor_does_attention_of_pytorch_in_a_network_of_ones_own(emulated: None) -> None:
    tokens = torch.rand(2, 9, 8)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    assert torch.bfloat16 in seen_under_autocast(attention, [tokens] * 3, fast=False)
    assert seen_under_autocast(attention, [tokens] * 3, fast=True) == {torch.float32}
    exact = attention(*[tokens] * 3)[0]
    with torch.autocast("cpu", torch.bfloat16), fast_bf16(CPU):
        result = attention(*[tokens] * 3)[0]
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), exact, atol=0.02, rtol=0)
