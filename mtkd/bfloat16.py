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
    F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d, F.linear,
    F.scaled_dot_product_attention, F.multi_head_attention_forward, torch.einsum, torch.tensordot,
    *(getattr(space, name) for space in (torch, torch.Tensor)
      for name in ("matmul", "mm", "mv", "bmm", "addmm", "addbmm", "baddbmm")),
    torch.Tensor.__matmul__, torch.Tensor.__rmatmul__,
}  # fmt: skip
"""What autocast computes in bfloat16, as a network may call it."""


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
            result = func(*args, **kwargs)
        return tree_map(lambda value: value.bfloat16() if _is_cast(value) else value, result)


def _is_cast(value: Any) -> bool:
    """Whether autocast casts this argument: a tensor of real numbers, but not of float64."""
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != torch.float64


def _rounded(value: Any) -> Any:
    """A factor as bfloat16 holds it, in fp32; all else as it is."""
    return value.bfloat16().float() if _is_cast(value) else value


def fast_bf16(device: torch.device) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 inside this context is fast on every CPU; elsewhere it changes nothing."""
    return _Float32Products() if device.type == "cpu" and emulates_bf16() else nullcontext()
