"""SwinIR: Swin transformer for restoration (Liang et al., ICCVW 2021); teacher and student in Table 1."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.networks.common import (
    IMAGE_SKIP_NOTE,
    UPSAMPLE_REACH,
    SuperResolutionNetwork,
    Upsample,
    UpsampleOneStep,
    conv3x3,
)
from mtkd.networks.windows import (
    WindowAttention,
    merge_windows,
    pad_to_multiple,
    partition_windows,
    shift_mask,
    window_reach,
)
from mtkd.plugins import network


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
            tokens = layer(partition_windows(x, self.window), mask if shifted else None)
            x = merge_windows(tokens, self.window, height, width)
            if shifted:
                x = x.roll((shift, shift), (1, 2))
        return x


class ResidualSwinBlock(nn.Module):
    """RSTB: ``x + conv(layers(x))``, ``(N, C, H, W)`` -> same (Liang et al. 2021, Eq. 5)."""

    def __init__(self, channels: int, window: int, depth: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.residual_group = SwinLayers(channels, window, depth, heads, mlp_ratio)
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        tokens = self.residual_group(x.permute(0, 2, 3, 1), mask)  # (N, H, W, C)
        residual: Tensor = self.conv(tokens.permute(0, 3, 1, 2))  # (N, C, H, W), channels last in memory
        return x + residual


class SwinIR(SuperResolutionNetwork):
    """SwinIR: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, not clamped; inner range 1.

    The image is padded right and bottom to whole windows (mirrored where it is large enough, else replicated)
    and cropped at the end, so any size from 1x1 up works. No drop path. Source: Liang et al. 2021, Sec. 3;
    names of parameters as in the public weights.

    Args:
        scale: 2, 3 or 4.
        channels: width of the body.
        depths: number of layers in each residual Swin block.
        heads: attention heads.
        window: side of a window; odd layers shift by half of it.
        mlp_ratio: hidden width of the MLP over ``channels``.
        upsampler: "pixelshuffle" (classical SR, 64 channels) or "pixelshuffledirect" (lightweight SR).
        image_skip: add the bilinearly enlarged input.
    """

    def __init__(
        self,
        scale: int,
        channels: int = 180,
        depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6),
        heads: int = 6,
        window: int = 8,
        mlp_ratio: float = 2.0,
        upsampler: Literal["pixelshuffle", "pixelshuffledirect"] = "pixelshuffle",
        image_skip: bool = False,
    ) -> None:
        super().__init__(scale, channels, 1.0, image_skip)
        self.window = window
        self.reach = window_reach(depths, window) + (1 + UPSAMPLE_REACH if upsampler == "pixelshuffle" else 1)
        count = len(depths)
        self.feature_points = (2, 4) if count == 6 else (max(1, count // 4), max(2, 3 * count // 4))
        self.conv_first = conv3x3(3, channels)
        self.patch_embed = nn.ModuleDict({"norm": nn.LayerNorm(channels)})
        self.layers = nn.ModuleList(ResidualSwinBlock(channels, window, depth, heads, mlp_ratio) for depth in depths)
        self.norm = nn.LayerNorm(channels)
        self.conv_after_body = conv3x3(channels, channels)
        if upsampler == "pixelshuffle":
            self.conv_before_upsample: nn.Module = nn.Sequential(conv3x3(channels, 64), nn.LeakyReLU(0.01))
            self.upsample: nn.Module = Upsample(scale, 64)
            self.conv_last: nn.Module = conv3x3(64, 3)
        else:
            self.conv_before_upsample = nn.Identity()
            self.upsample = UpsampleOneStep(scale, channels)
            self.conv_last = nn.Identity()
        self.apply(_initialise)

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
        image: Tensor = self.conv_last(self.upsample(self.conv_before_upsample(features)))
        return image


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


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

_declare("swinir", role="teacher", size="paper")(partial(SwinIR, channels=180, depths=(6,) * 6, heads=6))
_declare("swinir_lightweight", role="student", size="paper")(
    partial(SwinIR, channels=60, depths=(6,) * 4, heads=6, upsampler="pixelshuffledirect")
)
_declare(
    "swinir_mini",
    role="teacher",
    size="mini",
    deviations=(
        "4 residual Swin blocks of 2 layers, 48 channels and 3 heads, in place of 6 of 6 with 180 and 6.",
        "Enlarges with one convolution, as the published lightweight variant does.",
        IMAGE_SKIP_NOTE,
    ),
)(partial(_mini, channels=48, depths=(2,) * 4, heads=3))
_declare(
    "swinir_tiny",
    role="student",
    size="mini",
    deviations=(
        "2 residual Swin blocks of 2 layers, 32 channels and 2 heads, in place of 4 of 6 with 60 and 6.",
        IMAGE_SKIP_NOTE,
    ),
)(partial(_mini, channels=32, depths=(2,) * 2, heads=2))
