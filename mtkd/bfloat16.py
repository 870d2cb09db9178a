"""bfloat16 on CPUs without instructions for it, as fast as fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_PRODUCTS = {
    F.conv2d, F.conv_transpose2d, F.linear, F.scaled_dot_product_attention,
    torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm, torch.bmm, torch.addmm, torch.baddbmm,
}  # fmt: skip
"""What autocast computes in bfloat16 and the networks call."""


def emulates_bf16() -> bool:
    """Whether PyTorch has no instructions of this computer's CPU for products in bfloat16.

    Its own code for such a CPU takes more than ten times as long as fp32.
    """
    return not bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _Float32Products(TorchFunctionMode):
    """Under autocast, products of bfloat16 factors in fp32, rounded to bfloat16 once: what the instructions do."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        if func not in _PRODUCTS or not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        args, kwargs = tree_map(_rounded, (args, kwargs))
        with torch.autocast("cpu", enabled=False):
            return func(*args, **kwargs).bfloat16()


def _rounded(value: Any) -> Any:
    """A factor as bfloat16 holds it, in fp32; all else as it is."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.bfloat16().float()


def fast_bf16(device: torch.device) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 inside this context is fast on every CPU; elsewhere it changes nothing."""
    return _Float32Products() if device.type == "cpu" and emulates_bf16() else nullcontext()
