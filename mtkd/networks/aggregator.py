"""The knowledge aggregation network, Stage 1 of MTKD (Sec. 3.1, Fig. 1): merges the images of N teachers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.networks.common import DIV2K_MEAN, UPSAMPLE_REACH, Upsample, UpsampleOneStep, conv3x3
from mtkd.networks.dct import window_dct_matrix
from mtkd.networks.swinir import Mlp
from mtkd.networks.windows import (
    WindowAttention,
    in_groups,
    merge_windows,
    pad_to_multiple,
    partition_windows,
    shift_mask,
    window_reach,
)
from mtkd.plugins import network

Mixing = Literal["dct_attention", "attention", "masked_attention", "mixer"]
Shift = Literal["cyclic", "pad"]
Upsampler = Literal["pixelshuffle", "pixelshuffledirect"]
Residual = Literal["none", "mean", "weighted"]


class DCTSwinLayer(nn.Module):
    """One DCTSTL (Sec. 3.1.2) on window tokens ``(B*nW, w*w, C)``: ``t + IDCT(attn(DCT(LN(t))))``, then the MLP.

    The DCT runs over the window's pixels, channel by channel, so that attention's tokens are frequencies.
    ``dct=False`` omits DCT and IDCT (v4 of Table 5).
    """

    dct: Tensor | None

    def __init__(self, channels: int, window: int, heads: int, mlp_ratio: float, dct: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, window, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        self.register_buffer("dct", window_dct_matrix(window).float() if dct else None, persistent=False)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        mixed = self.norm1(tokens)
        if self.dct is not None:
            mixed = self.dct.T @ self.attn(self.dct @ mixed, mask)  # (w*w, w*w) @ (B*nW, w*w, C)
        else:
            mixed = self.attn(mixed, mask)
        tokens = tokens + mixed
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class MixerLayer(nn.Module):
    """Mixer layer on window tokens ``(B*nW, w*w, C)`` (v3 of Table 5; Tolstikhin et al. 2021, Eq. 1).

    ``hidden`` = 28 token units keep the parameter count of the attention they replace (at C = 24).
    """

    def __init__(self, channels: int, window: int, mlp_ratio: float, hidden: int = 28) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.token_mlp = Mlp(window * window, hidden)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        tokens = tokens + self.token_mlp(self.norm1(tokens).transpose(1, 2)).transpose(1, 2)
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class DCTSwinBlock(nn.Module):
    """L layers, a 3x3 convolution and a residual, ``(B, C, H, W)`` -> same; odd layers see shifted windows.

    ``shift="cyclic"`` rolls the image, so windows at one edge also hold pixels of the opposite edge;
    ``shift="pad"`` reflects the border of the image instead.
    """

    def __init__(self, layers: Sequence[nn.Module], channels: int, window: int, shift: Shift) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.conv = conv3x3(channels, channels)
        self.window, self.shift = window, shift

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        half = self.window // 2
        deep = x
        for number, layer in enumerate(self.layers):
            shifted = number % 2 == 1
            if shifted and self.shift == "pad":
                deep = F.pad(deep, (half,) * 4, mode="reflect")
            elif shifted:
                deep = deep.roll((-half, -half), (2, 3))
            height, width = deep.shape[2:]
            tokens = partition_windows(deep.permute(0, 2, 3, 1), self.window)  # (B*nW, w*w, C)
            tokens = in_groups(layer, tokens, mask if shifted else None)
            deep = merge_windows(tokens, self.window, height, width).permute(0, 3, 1, 2)  # (B, C, H, W)
            if shifted and self.shift == "pad":
                deep = deep[:, :, half:-half, half:-half]
            elif shifted:
                deep = deep.roll((half, half), (2, 3))
        residual: Tensor = self.conv(deep)
        return x + residual


class KnowledgeAggregator(nn.Module):
    """The DCTSwin aggregator: N teachers' HR images -> one better HR image (Sec. 3.1, Fig. 1, Table 5).

    Args:
        scale: s in {2, 3, 4}; the images are pixel-unshuffled by it.
        teachers: names of the teachers **in the order of their images**; stored with the weights.
        channels, blocks, layers: C, B and L of Sec. 4.2.
        heads, window, mlp_ratio: of the attention.
        mixing: ``dct_attention`` (the paper), ``attention`` (v4), ``masked_attention`` (v4 with Swin's shift
            mask) or ``mixer`` (v3).
        shift: see :class:`DCTSwinBlock`.
        upsampler: ``pixelshuffle`` with 64 features (the paper), ``pixelshuffledirect`` (one convolution).
        residual: add nothing (the paper), the ``mean`` of the teachers, or a ``weighted`` sum of them with one
            learned weight a teacher.

    Raises:
        ValueError: no teachers, an unknown choice, or a mask asked for where tokens do not wrap around.
    """

    def __init__(
        self,
        scale: int,
        teachers: Sequence[str],
        channels: int = 24,
        blocks: int = 4,
        layers: int = 2,
        heads: int = 6,
        window: int = 8,
        mlp_ratio: float = 2.0,
        mixing: Mixing = "dct_attention",
        shift: Shift = "cyclic",
        upsampler: Upsampler = "pixelshuffle",
        residual: Residual = "none",
    ) -> None:
        super().__init__()
        if not teachers:
            raise ValueError("an aggregator needs at least one teacher")
        choices = ((mixing, Mixing), (shift, Shift), (upsampler, Upsampler), (residual, Residual))
        for choice, known in choices:  # a misspelt one would silently build another network
            if choice not in get_args(known):
                raise ValueError(f"'{choice}' is not among {', '.join(get_args(known))}")
        if mixing == "masked_attention" and shift == "pad":
            raise ValueError("a shift mask is for cyclic shifts; with shift='pad' nothing wraps around")
        self.scale, self.teachers, self.window = scale, tuple(teachers), window
        self.masked, self.residual = mixing == "masked_attention", residual
        # In LR pixels: see SuperResolutionNetwork.
        self.reach = window_reach([layers] * blocks, window) + (
            1 + UPSAMPLE_REACH if upsampler == "pixelshuffle" else 1
        )

        def layer() -> nn.Module:
            if mixing == "mixer":
                return MixerLayer(channels, window, mlp_ratio)
            return DCTSwinLayer(channels, window, heads, mlp_ratio, dct=mixing == "dct_attention")

        self.conv_first = conv3x3(3 * len(self.teachers) * scale**2, channels)
        self.patch_norm = nn.LayerNorm(channels)
        self.body = nn.ModuleList(
            DCTSwinBlock([layer() for _ in range(layers)], channels, window, shift) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(channels)
        self.conv_after_body = conv3x3(channels, channels)
        if upsampler == "pixelshuffle":
            self.upsample = nn.Sequential(
                conv3x3(channels, 64), nn.LeakyReLU(0.01), Upsample(scale, 64), conv3x3(64, 3)
            )
        else:
            self.upsample = UpsampleOneStep(scale, channels)
        if residual == "weighted":
            self.teacher_weights = nn.Parameter(torch.full((len(self.teachers),), 1 / len(self.teachers)))
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 1, 3, 1, 1), persistent=False)
        self._initialise()

    mean: Tensor
    wraps: bool = True
    """Whether windows at one edge of the image contain pixels of the opposite edge, which tiles then need, too."""

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        if self.residual != "none":  # start at the (mean of the) teachers, not at noise around it
            last = [m for m in self.upsample.modules() if isinstance(m, nn.Conv2d)][-1]
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, teacher_outputs: Sequence[Tensor]) -> Tensor:
        """N images ``(B, 3, sH, sW)``, float, in the order of ``teachers`` -> ``(B, 3, sH, sW)``, not clamped.

        Raises:
            ValueError: not as many images as teachers.
        """
        if len(teacher_outputs) != len(self.teachers):
            raise ValueError(f"{len(teacher_outputs)} images for the teachers {', '.join(self.teachers)}")
        height, width = teacher_outputs[0].shape[-2:]
        images = torch.stack(tuple(teacher_outputs), dim=1) - self.mean  # (B, N, 3, sH, sW)
        padded = pad_to_multiple(images.flatten(1, 2), self.window * self.scale)  # (B, 3N, sH', sW')
        inner = self.upsample(self.features(padded))[..., :height, :width]
        base = self.mean[:, 0]
        if self.residual == "mean":
            base = base + images.mean(1)
        elif self.residual == "weighted":
            base = base + (images * self.teacher_weights.view(1, -1, 1, 1, 1)).sum(1)
        # In the images' own precision: bfloat16 would cost the sum its last bits.
        out: Tensor = base + inner.to(images.dtype)
        return out

    def features(self, padded: Tensor) -> Tensor:
        """Concatenated teachers ``(B, 3N, sH, sW)``, whole windows -> ``F_s + F_d`` ``(B, C, H, W)``."""
        shallow: Tensor = self.conv_first(F.pixel_unshuffle(padded, self.scale))  # F_s (B, C, H, W)
        mask = None
        if self.masked:
            height, width = shallow.shape[2:]
            mask = shift_mask(height, width, self.window, self.window // 2, like=shallow)
        deep = self.patch_norm(shallow.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (B, C, H, W)
        for block in self.body:
            deep = block(deep, mask)  # F_d^1 ... F_d^B
        deep = self.conv_after_body(self.norm(deep.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))  # F_d (B, C, H, W)
        features: Tensor = shallow + deep
        return features


def with_teachers(network: nn.Module) -> MultiTeacher | None:
    """The network, if it is an aggregator together with its teachers; else None."""
    return network if isinstance(network, MultiTeacher) else None


class MultiTeacher(nn.Module):
    """The teachers and their aggregator as one network, ``MT``: LR ``(N, 3, h, w)`` -> ``(N, 3, sh, sw)``.

    Args:
        teachers: the teacher networks in the order of ``aggregator.teachers``.
    """

    aggregator: KnowledgeAggregator

    def __init__(self, teachers: Sequence[nn.Module], aggregator: nn.Module) -> None:
        super().__init__()
        names: tuple[str, ...] = aggregator.teachers  # type: ignore[assignment]
        if len(teachers) != len(names):
            raise ValueError(f"{len(teachers)} networks for the teachers {', '.join(names)}")
        self.teachers = nn.ModuleList(teachers)
        self.aggregator = aggregator  # type: ignore[assignment]

    def forward(self, lr_image: Tensor) -> Tensor:
        image: Tensor = self.aggregator(tuple(teacher(lr_image) for teacher in self.teachers))
        return image


_PAPER_TEACHERS = ("edsr", "rcan", "swinir")
_MINI_TEACHERS = ("edsr_mini", "rcan_mini", "swinir_mini")
_MINI_NOTES = (
    "Upsamples with one convolution instead of the 64-feature upsampler, which would triple a training step on a CPU.",
    "Adds a weighted sum of the teachers to its output, with one learned weight per teacher.",
)
_VARIANTS: dict[str, Mixing] = {
    "": "dct_attention",
    "_v3": "mixer",
    "_v4": "attention",
    "_v4_masked": "masked_attention",
}


def _declare(variant: str, mixing: Mixing) -> None:
    declare = partial(network, role="aggregator", family="aggregator", title="Aggregator", inputs="teachers")
    declare(f"aggregator{variant}", size="paper")(partial(KnowledgeAggregator, teachers=_PAPER_TEACHERS, mixing=mixing))
    declare(f"aggregator_mini{variant}", size="mini", deviations=_MINI_NOTES)(
        partial(
            KnowledgeAggregator,
            teachers=_MINI_TEACHERS,
            mixing=mixing,
            upsampler="pixelshuffledirect",
            residual="weighted",
        )
    )


for _variant, _mixing in _VARIANTS.items():
    _declare(_variant, _mixing)
