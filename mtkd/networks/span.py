"""SPAN: attention without parameters (Wan et al., CVPRW 2024); a baseline of efficient super-resolution challenges."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.networks.common import (
    DIV2K_MEAN,
    IMAGE_SKIP_NOTE,
    Shapes,
    SuperResolutionNetwork,
    UpsampleOneStep,
    conv3x3,
    points,
    upsampled,
)
from mtkd.plugins import Configuration, network

BLOCKS = 6


class _Kernel(nn.Module):
    """The weights of one convolution as buffers: what branches fold into, and no parameters of their own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs, 3, 3))
        self.register_buffer("bias", torch.zeros(outputs))

    weight: Tensor
    bias: Tensor


class FoldingConv(nn.Module):
    """A 3x3 convolution, ``(N, C, h, w) -> (N, C', h, w)``, that is trained as ``1x1 -> 3x3 -> 1x1`` beside a ``1x1``.

    Nothing nonlinear stands between these branches and zeros surround the image before the first of them, so they are
    one convolution: it is computed from them at every pass, in training with gradients. ``eval_conv`` holds it in state
    dicts, as in public files, and is made anew whenever one is taken. ``branches=False`` leaves nothing else.
    """

    def __init__(self, inputs: int, outputs: int, branches: bool, gain: int = 2) -> None:
        super().__init__()
        self.branches = branches
        if not branches:
            self.eval_conv: nn.Module = conv3x3(inputs, outputs)
            return
        self.eval_conv = _Kernel(inputs, outputs)
        self.sk = nn.Conv2d(inputs, outputs, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, gain * inputs, 1),
            nn.Conv2d(gain * inputs, gain * outputs, 3),
            nn.Conv2d(gain * outputs, outputs, 1),
        )
        self.register_state_dict_pre_hook(FoldingConv._hold)  # type: ignore[no-untyped-call]

    @property
    def surplus(self) -> int:
        """Number of parameters that training alone needs."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return parameters - sum(b.numel() for b in self.eval_conv.buffers()) if self.branches else 0

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight ``(C', C, 3, 3)`` and bias ``(C',)`` of the one convolution."""
        first, middle, last = (layer for layer in self.conv if isinstance(layer, nn.Conv2d))
        device = middle.weight.device.type
        # in float32 also where the images are in bfloat16: a product of three roundings would be felt
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            into, out = first.weight[..., 0, 0], last.weight[..., 0, 0]  # matrices (2C, C), (C', 2C')
            spread = torch.tensordot(middle.weight, into, ([1], [0])).permute(0, 3, 1, 2)  # (2C', C, 3, 3)
            weight = torch.tensordot(out, spread, ([1], [0])) + F.pad(self.sk.weight, (1, 1, 1, 1))
            inner = middle.weight.sum((2, 3)) @ _bias(first) + _bias(middle)
            return weight, out @ inner + _bias(last) + _bias(self.sk)

    @staticmethod
    def _hold(module: Any, *_: object) -> None:
        with torch.no_grad():
            weight, bias = module.kernel()
            module.eval_conv.weight.copy_(weight)
            module.eval_conv.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        if not self.branches:
            folded: Tensor = self.eval_conv(x)
            return folded
        weight, bias = self.kernel()
        return F.conv2d(x, weight, bias, padding=1)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


class AttentionBlock(nn.Module):
    """``(y + x) * (sigmoid(y) - 0.5)``, y three convolutions of x: (N, C, h, w) -> same, and the first one's output."""

    def __init__(self, channels: int, branches: bool) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (FoldingConv(channels, channels, branches) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = F.silu(self.c1_r(x))
        deep = self.c3_r(F.silu(self.c2_r(first)))
        return (deep + x) * (torch.sigmoid(deep) - 0.5), first


class SPAN(SuperResolutionNetwork):
    """SPAN: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, not clamped; inner range 255.

    As published, the last convolution gives the image itself: neither mean nor range are undone. Source: Wan et al.
    2024, Sec. 3; names of parameters as in the authors' public files.

    Args:
        scale: 2, 3 or 4.
        channels: width of the body.
        branches: with the convolutions that are trained; without them each is one convolution, as they are folded.
        image_skip: add the bilinearly upscaled input to an output in the inner range.
        value_range, mean: of the values inside; as published by default.
    """

    exact_tiling = True
    reach = 3 * BLOCKS + 3

    def __init__(
        self,
        scale: int,
        channels: int = 48,
        branches: bool = True,
        image_skip: bool = False,
        value_range: float = 255.0,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__(scale, channels, value_range, image_skip, mean)
        self.options: dict[str, Any] = {
            "channels": channels, "image_skip": image_skip, "value_range": value_range, "mean": mean,
        }  # fmt: skip
        self.feature_points = points(2, 4, BLOCKS)
        self.conv_1 = FoldingConv(3, channels, branches)
        for number in range(1, BLOCKS + 1):
            setattr(self, f"block_{number}", AttentionBlock(channels, branches))
        self.conv_cat = nn.Conv2d(4 * channels, channels, 1)
        self.conv_2 = FoldingConv(channels, channels, branches)
        self.upsampler = UpsampleOneStep(scale, channels)

    def features(self, lr_image: Tensor) -> tuple[Tensor, ...]:
        shallow: Tensor = self.conv_1(self.normalise(lr_image))
        deep, first, maps = shallow, shallow, []
        for number in range(1, BLOCKS + 1):
            deep, begun = getattr(self, f"block_{number}")(deep)
            if number == 1:
                first = deep
            if number in self.feature_points:
                maps.append(deep)
        return (*maps, self.conv_cat(torch.cat([shallow, self.conv_2(deep), first, begun], 1)))

    def upscale(self, features: Tensor) -> Tensor:
        image: Tensor = self.upsampler(features)
        return image

    def tail(self, features: Tensor, lr_image: Tensor) -> Tensor:
        if self.image_skip:
            return super().tail(features, lr_image)
        return self.upscale(features).to(lr_image.dtype, memory_format=torch.contiguous_format)

    def folded(self) -> SPAN:
        """A network with the same output, one convolution in the place of its branches."""
        with torch.device(self.conv_cat.weight.device):
            alone = SPAN(self.scale, branches=False, **self.options).train(self.training)
        wanted = alone.state_dict().keys()
        alone.load_state_dict({key: value for key, value in self.state_dict().items() if key in wanted})
        return alone


def configuration(shapes: Shapes) -> Configuration:
    """What the shapes of a SPAN of any width say, and what is assumed.

    Raises:
        KeyError: a layer is missing.
    """
    channels, branches = shapes["conv_cat.weight"][0], "conv_1.sk.weight" in shapes
    scale, _ = upsampled({"upsample.0.weight": shapes["upsampler.0.weight"]})
    assumed = {
        "value_range": 255.0,
        "mean": DIV2K_MEAN,
        "image_skip": False,
    }
    text = f"{channels} channels" + ("" if branches else ", folded")
    return Configuration(scale, {"channels": channels, "branches": branches}, assumed, text)


_declare = partial(network, family="span", title="SPAN", features=3, exact_tiling=True)

_declare("span", role="student", size="paper", configuration=configuration)(partial(SPAN, channels=48))
_declare("span_28", role="student", size="paper")(partial(SPAN, channels=28))
_declare(
    "span_tiny",
    role="student",
    size="mini",
    deviations=("20 channels instead of 48.", IMAGE_SKIP_NOTE),
)(partial(SPAN, channels=20, image_skip=True))
