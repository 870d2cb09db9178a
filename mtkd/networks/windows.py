"""Windows and the attention inside them (Swin transformer), shared by SwinIR and the aggregator.

A window holds ``w * w`` tokens, row by row; "tokens" below are ``(B*nW, w*w, C)``: all windows of the first
image (row by row), then those of the second.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MASKED = -100.0
"""Added to the logit of a pair that must not attend to each other (as in Swin: finite, so never a NaN)."""


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad right and bottom until height and width are multiples: ``(N, C, H, W)`` -> ``(N, C, H', W')``.

    Each side is mirrored (without repeating the border) where it is longer than its padding, else replicated,
    so any size from 1x1 up works; values stay in their range.
    """
    if not all(isinstance(side, int) for side in x.shape[-2:]):  # a graph for every size
        return _pad_without_branches(x, multiple)
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    if bottom:
        x = F.pad(x, (0, 0, 0, bottom), mode="reflect" if bottom < x.shape[-2] else "replicate")
    if right:
        x = F.pad(x, (0, right, 0, 0), mode="reflect" if right < x.shape[-1] else "replicate")
    return x


def _pad_without_branches(x: Tensor, multiple: int) -> Tensor:
    """As :func:`pad_to_multiple`, by one gather a side: an exported graph must hold for every size."""
    for dim in (-2, -1):
        size = x.shape[dim]
        place = torch.arange((size + multiple - 1) // multiple * multiple, device=x.device)
        mirrored = 2 * (size - 1) - place  # beyond the border; negative at the end where the side is too short
        outside = torch.where(mirrored[-1:] >= 0, mirrored, size - 1)
        x = x.index_select(dim, torch.where(place < size, place, outside))
    return x


def partition_windows(x: Tensor, window: int) -> Tensor:
    """Cut ``(B, H, W, C)`` into tokens ``(B*nW, w*w, C)``; H and W must be multiples of the window."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // window, window, width // window, window, channels)
    # (B, nH, w, nW, w, C) -> (B, nH, nW, w, w, C) -> (B*nH*nW, w*w, C)
    return x.transpose(2, 3).reshape(-1, window * window, channels)


def merge_windows(tokens: Tensor, window: int, height: int, width: int) -> Tensor:
    """Put tokens ``(B*nW, w*w, C)`` back to ``(B, H, W, C)``: the inverse of ``partition_windows``."""
    channels = tokens.shape[-1]
    x = tokens.reshape(-1, height // window, width // window, window, window, channels)
    # (B, nH, nW, w, w, C) -> (B, nH, w, nW, w, C) -> (B, H, W, C)
    return x.transpose(2, 3).reshape(-1, height, width, channels)


GROUP = 64
"""Windows that pass a layer at once on a CPU: what it makes on the way (q, k, v, logits) then stays in the cache."""


def in_groups(layer: nn.Module, tokens: Tensor, mask: Tensor | None) -> Tensor:
    """``layer(tokens, mask)``, a group of windows after the other where that saves time: without gradients, on a CPU.

    The layer must treat each window by itself; the result is the same to the last bit.
    """
    if torch.is_grad_enabled() or tokens.device.type != "cpu" or torch.compiler.is_compiling():
        whole: Tensor = layer(tokens, mask)
        return whole
    out = torch.empty_like(tokens)
    count = len(tokens) if mask is None else len(mask)  # windows of an image
    for image in range(0, len(tokens), count):
        for first in range(0, count, GROUP):
            group = slice(image + first, image + min(first + GROUP, count))
            out[group] = layer(tokens[group], None if mask is None else mask[first : first + GROUP])
    return out


def shift_mask(height: int, width: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Mask ``(nW, w*w, w*w)`` for windows of an image rolled by ``-shift``: 0, or ``MASKED`` across the seam.

    A rolled image has two regions a dimension (the last ``shift`` rows came from the top); only tokens of the
    same region were neighbours. Device and dtype are those of ``like``. Make it once per forward.
    """
    rows = (torch.arange(height, device=like.device) >= height - shift).long()
    columns = (torch.arange(width, device=like.device) >= width - shift).long()
    region = 2 * rows[:, None] + columns[None, :]  # (H, W)
    region = partition_windows(region[None, :, :, None], window).squeeze(-1)  # (nW, w*w)
    apart = region[:, :, None] != region[:, None, :]  # (nW, w*w, w*w)
    return apart.to(like.dtype) * MASKED


def window_reach(depths: Iterable[int], window: int, convolutions: int = 1) -> int:
    """Distance in pixels from the edge of a tile, of whole windows, up to which features differ from those of the whole
    image.

    The network is a 3x3 convolution, blocks of so many layers on plain and shifted windows in turn, each block with
    ``convolutions`` of 3x3 at its end, and as many at the end of the body. A window with one token that differs differs
    as a whole; the shifted one at the edge has lost its other half, whether that wraps around, is masked or padded.
    """
    reach = 1
    for depth in depths:
        for number in range(depth):
            shift = window // 2 if number % 2 else 0
            reach = shift + -(-(reach - shift) // window) * window
        reach += convolutions
    return reach + convolutions


def relative_position_index(window: int) -> Tensor:
    """Row of the bias table for each pair of tokens, ``(w*w, w*w)`` in [0, (2w-1)**2).

    Entry (i, j) is ``(yi - yj + w - 1) * (2w - 1) + (xi - xj + w - 1)``, the order of public Swin weights.
    """
    axis = torch.arange(window)
    y, x = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing="ij"))  # (w*w,) each
    dy = y[:, None] - y[None, :] + window - 1
    dx = x[:, None] - x[None, :] + window - 1
    return dy * (2 * window - 1) + dx


class WindowAttention(nn.Module):
    """Multi-head attention of the tokens of a window with a learned bias per relative position.

    ``softmax(q k^T / sqrt(d) + bias + mask) v`` per head (Liu et al. 2021, "Swin Transformer", Eq. 4), then a
    linear layer over all heads.

    Args:
        channels: C, divisible by ``heads``.
        window: side w of the window.
        heads: number of heads.
    """

    relative_position_index: Tensor

    def __init__(self, channels: int, window: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide among {heads} heads")
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.register_buffer("relative_position_index", relative_position_index(window), persistent=False)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def position_bias(self) -> Tensor:
        """The bias ``(heads, w*w, w*w)``."""
        index = self.relative_position_index
        bias = self.relative_position_bias_table.index_select(0, index.flatten())  # (w^4, heads)
        return bias.t().reshape(self.heads, *index.shape)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens ``(B*nW, T, C)`` -> same; ``mask (nW, T, T)`` is added to the logits, image by image."""
        windows, length, channels = tokens.shape
        # (B*nW, T, 3C) -> (B*nW, T, 3, heads, d) -> (3, B*nW, heads, T, d)
        qkv = self.qkv(tokens).reshape(windows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.position_bias().to(qkv.dtype)[None]  # (1, heads, T, T)
        if mask is not None:
            # (1, heads, T, T) + (nW, 1, T, T) -> (nW, heads, T, T)
            bias = bias + mask[:, None].to(qkv.dtype)
        # (B*nW, heads, T, d) -> (B*nW, T, heads, d) -> (B*nW, T, C)
        q, k, v = qkv.unbind(0)
        mixed = self._attend(q, k, v, bias).transpose(1, 2).reshape(windows, length, channels)
        out: Tensor = self.proj(mixed)
        return out

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """q, k, v ``(B*nW, heads, T, d)``, bias ``(1 or nW, heads, T, T)`` -> ``(B*nW, heads, T, d)``."""
        windows, heads, length, _ = q.shape
        if q.is_cuda:
            full = bias.expand(windows // bias.shape[0], *bias.shape).reshape(windows, heads, length, length)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=full, scale=self.scale)
        logits = (q * self.scale) @ k.transpose(-2, -1)
        # (B*nW, heads, T, T) -> (B, nW or B*nW with one shared bias, heads, T, T) and back
        logits = logits.view(-1, *bias.shape).add_(bias).view_as(logits)
        mixed: Tensor = logits.softmax(dim=-1) @ v
        return mixed
