"""SwinIR: Swin transformer for restoration (Liang et al., ICCVW 2021); teacher and student in Table 1."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.networks.common import (
    DIV2K_MEAN,
    IMAGE_SKIP_NOTE,
    UPSAMPLE_REACH,
    Shapes,
    SuperResolutionNetwork,
    Upsample,
    UpsampleOneStep,
    conv3x3,
    numbered,
    points,
    upsampled,
)
from mtkd.networks.windows import (
    WindowAttention,
    in_groups,
    merge_windows,
    pad_to_multiple,
    partition_windows,
    shift_mask,
    window_reach,
)
from mtkd.plugins import Configuration, network

Upsampler = Literal["pixelshuffle", "pixelshuffledirect", "nearest+conv"]


class Mlp(nn.Module):
    """Two linear layers with a GELU between, on the last dimension: ``(..., C)`` -> same."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class SwinLayer(nn.Module):
    """``x + attention(LN(x))``, then ``x + MLP(LN(x))``, on window tokens ``(B*nW, w*w, C)`` -> same."""

    def __init__(self, channels: int, window: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, window, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class SwinLayers(nn.Module):
    """Layers in turn on plain and shifted windows (odd layers, by half a window), ``(B, H, W, C)`` -> same.

    Everything in a layer but the attention works token by token, so a whole layer runs on window tokens.
    """

    def __init__(self, channels: int, window: int, depth: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(SwinLayer(channels, window, heads, mlp_ratio) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        shift = self.window // 2
        for number, layer in enumerate(self.blocks):
            shifted = number % 2 == 1
            if shifted:
                x = x.roll((-shift, -shift), (1, 2))
            tokens = in_groups(layer, partition_windows(x, self.window), mask if shifted else None)
            x = merge_windows(tokens, self.window, height, width)
            if shifted:
                x = x.roll((shift, shift), (1, 2))
        return x


class ResidualSwinBlock(nn.Module):
    """RSTB: ``x + conv(layers(x))``, ``(N, C, H, W)`` -> same (Liang et al. 2021, Eq. 5)."""

    def __init__(
        self, channels: int, window: int, depth: int, heads: int, mlp_ratio: float, convolutions: int = 1
    ) -> None:
        super().__init__()
        self.residual_group = SwinLayers(channels, window, depth, heads, mlp_ratio)
        self.conv = _convolution(channels, convolutions)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        tokens = self.residual_group(x.permute(0, 2, 3, 1), mask)  # (N, H, W, C)
        residual: Tensor = self.conv(tokens.permute(0, 3, 1, 2))  # (N, C, H, W), channels last in memory
        return x + residual


def _convolution(channels: int, count: int) -> nn.Module:
    """A 3x3 convolution, or three with a narrow middle (those of the large network for real photos)."""
    if count == 1:
        return conv3x3(channels, channels)
    narrow = channels // 4
    return nn.Sequential(
        conv3x3(channels, narrow),
        nn.LeakyReLU(0.2),
        nn.Conv2d(narrow, narrow, 1),
        nn.LeakyReLU(0.2),
        conv3x3(narrow, channels),
    )


class SwinIR(SuperResolutionNetwork):
    """SwinIR: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, not clamped; inner range 1.

    The image is padded right and bottom to whole windows (mirrored where it is large enough, else replicated)
    and cropped at the end, so any size from 1x1 up works. No drop path. Source: Liang et al. 2021, Sec. 3;
    names of parameters as in the public weights.

    Args:
        scale: 2, 3 or 4.
        channels: width of the body.
        depths: number of layers in each residual Swin block.
        heads: attention heads, of all blocks or block by block.
        window: side of a window; odd layers shift by half of it.
        mlp_ratio: hidden width of the MLP over ``channels``.
        upsampler: "pixelshuffle" (classical SR), "pixelshuffledirect" (lightweight SR), or "nearest+conv" (real photos,
            x2 and x4).
        image_skip: add the bilinearly upscaled input.
        convolutions: 1 or 3 at the end of each block and of the body.
        width: channels of the upsampler, other than "pixelshuffledirect".
        value_range, mean: of the values inside; as published by default.
    """

    def __init__(
        self,
        scale: int,
        channels: int = 180,
        depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6),
        heads: int | tuple[int, ...] = 6,
        window: int = 8,
        mlp_ratio: float = 2.0,
        upsampler: Upsampler = "pixelshuffle",
        image_skip: bool = False,
        convolutions: int = 1,
        width: int = 64,
        value_range: float = 1.0,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__(scale, channels, value_range, image_skip, mean)
        self.window = window
        blocks = 1 if convolutions == 1 else 2  # pixels that the convolutions at a block's end see beyond its own
        self.reach = window_reach(depths, window, blocks) + _TAIL[upsampler]
        count = len(depths)
        first, second = (2, 4) if count == 6 else (max(1, count // 4), max(2, 3 * count // 4))
        self.feature_points = points(first, second, count)
        each = (heads,) * count if isinstance(heads, int) else heads
        self.conv_first = conv3x3(3, channels)
        self.patch_embed = nn.ModuleDict({"norm": nn.LayerNorm(channels)})
        self.layers = nn.ModuleList(
            ResidualSwinBlock(channels, window, depth, number, mlp_ratio, convolutions)
            for depth, number in zip(depths, each, strict=True)
        )
        self.norm = nn.LayerNorm(channels)
        self.conv_after_body = _convolution(channels, convolutions)
        self.upsampler = upsampler
        self._add_upsampler(channels, width)
        self.apply(_initialise)

    def _add_upsampler(self, channels: int, width: int) -> None:
        self.conv_before_upsample: nn.Module = nn.Identity()
        self.upsample: nn.Module = nn.Identity()
        self.conv_last: nn.Module = nn.Identity()
        if self.upsampler == "pixelshuffledirect":
            self.upsample = UpsampleOneStep(self.scale, channels)
            return
        self.conv_before_upsample = nn.Sequential(conv3x3(channels, width), nn.LeakyReLU(0.01))
        if self.upsampler == "pixelshuffle":
            self.upsample = Upsample(self.scale, width)
        else:
            if self.scale == 3:
                raise UserError("the upsampler nearest+conv doubles; it is for scales 2 and 4")
            self.conv_up1 = conv3x3(width, width)
            if self.scale == 4:
                self.conv_up2 = conv3x3(width, width)
            self.conv_hr = conv3x3(width, width)
        self.conv_last = conv3x3(width, 3)

    def features(self, lr_image: Tensor) -> tuple[Tensor, ...]:
        x = self.normalise(pad_to_multiple(lr_image, self.window))  # (N, 3, H, W)
        shallow: Tensor = self.conv_first(x)
        height, width = x.shape[-2:]
        mask = shift_mask(height, width, self.window, self.window // 2, like=shallow)
        deep = self.patch_embed["norm"](shallow.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (N, C, H, W)
        maps = []
        for number, block in enumerate(self.layers, start=1):
            deep = block(deep, mask)
            if number in self.feature_points:
                maps.append(deep)
        deep = self.norm(deep.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (N, C, H, W)
        return (*maps, shallow + self.conv_after_body(deep))

    def upscale(self, features: Tensor) -> Tensor:
        x = self.conv_before_upsample(features)
        if self.upsampler == "nearest+conv":
            for layer in (self.conv_up1, *([self.conv_up2] if self.scale == 4 else [])):
                x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
            x = F.leaky_relu(self.conv_hr(x), 0.2)
        image: Tensor = self.conv_last(self.upsample(x))
        return image


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


_TAIL = {"pixelshuffle": 1 + UPSAMPLE_REACH, "pixelshuffledirect": 1, "nearest+conv": 1 + UPSAMPLE_REACH}
"""Receptive field through the upsamplers, in LR pixels."""


def configuration(shapes: Shapes) -> Configuration:
    """What the shapes of a SwinIR of any size say, and what is assumed.

    Raises:
        KeyError: a layer is missing.
    """
    channels, count = shapes["conv_first.weight"][0], numbered(shapes, r"layers\.(\d+)\.residual_group\..+")
    stems = [f"layers.{number}.residual_group.blocks" for number in range(count)]
    depths = tuple(numbered(shapes, rf"{re.escape(stem)}\.(\d+)\.norm1\.weight") for stem in stems)
    tables = [shapes[f"{stem}.0.attn.relative_position_bias_table"] for stem in stems]
    window, heads = (math.isqrt(tables[0][0]) + 1) // 2, tuple(table[1] for table in tables)
    hidden, upsampler, width, scale = shapes[f"{stems[0]}.0.mlp.fc1.weight"][0], "pixelshuffledirect", 64, 1
    if "conv_up1.weight" in shapes:
        upsampler, scale = "nearest+conv", 4 if "conv_up2.weight" in shapes else 2
    elif "conv_last.weight" in shapes:
        upsampler = "pixelshuffle"
    if upsampler != "nearest+conv":
        scale, _ = upsampled(shapes)
    if upsampler != "pixelshuffledirect":
        width = shapes["conv_before_upsample.0.weight"][0]
    options = {
        "channels": channels,
        "depths": depths,
        "heads": heads,
        "window": window,
        "mlp_ratio": hidden / channels if int(channels * (hidden / channels)) == hidden else (hidden + 0.5) / channels,
        "upsampler": upsampler,
        "convolutions": 1 if "layers.0.conv.weight" in shapes else 3,
        "width": width,
    }
    assumed = {
        "value_range": 1.0,
        "mean": DIV2K_MEAN,
        "image_skip": False,
    }
    text = f"{channels} channels, {count} blocks of {_one_or_all(depths)} layers, {_one_or_all(heads)} heads"
    return Configuration(scale, options, assumed, f"{text}, window {window}, {upsampler}")


def _one_or_all(numbers: Sequence[int]) -> str:
    """The numbers, once where all are the same."""
    return ", ".join(map(str, dict.fromkeys(numbers) if len(set(numbers)) == 1 else numbers))


_mini = partial(SwinIR, mlp_ratio=2.0, upsampler="pixelshuffledirect", image_skip=True)

_declare = partial(
    network,
    family="swinir",
    title="SwinIR",
    features=3,
    padding=8,
    convert=(
        (r"layers\.\d+\.residual_group\.blocks\.\d+\.attn_mask", None),
        (r"layers\.\d+\.residual_group\.blocks\.\d+\.attn\.relative_position_index", None),
    ),
)

_declare("swinir", role="teacher", size="paper", configuration=configuration)(
    partial(SwinIR, channels=180, depths=(6,) * 6, heads=6)
)
_declare("swinir_lightweight", role="student", size="paper")(
    partial(SwinIR, channels=60, depths=(6,) * 4, heads=6, upsampler="pixelshuffledirect")
)
_declare(
    "swinir_mini",
    role="teacher",
    size="mini",
    deviations=(
        "4 residual Swin blocks of 2 layers, 48 channels and 3 heads instead of 6 of 6 with 180 and 6.",
        "Upsamples with one convolution, as the published lightweight variant does.",
        IMAGE_SKIP_NOTE,
    ),
)(partial(_mini, channels=48, depths=(2,) * 4, heads=3))
_declare(
    "swinir_tiny",
    role="student",
    size="mini",
    deviations=(
        "2 residual Swin blocks of 2 layers, 32 channels and 2 heads instead of 4 of 6 with 60 and 6.",
        IMAGE_SKIP_NOTE,
    ),
)(partial(_mini, channels=32, depths=(2,) * 2, heads=2))
