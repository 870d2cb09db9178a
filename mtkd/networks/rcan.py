"""RCAN: residual groups with channel attention (Zhang et al., ECCV 2018); teacher and student in Table 1."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mtkd.networks.common import (
    DIV2K_MEAN,
    HEAD_AND_TAIL,
    HEAD_AND_TAIL_MARKS,
    IMAGE_SKIP_NOTE,
    ONE_STEP_NOTE,
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
from mtkd.plugins import Configuration, network


class ChannelAttention(nn.Module):
    """Scales each channel by a weight in (0, 1) made from the channels' means, ``(N, C, h, w)`` -> same."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.attention: nn.Module = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // squeeze, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // squeeze, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.attention(x)  # (N, C, 1, 1)
        return x * weights


class _Fixed(nn.Module):
    """The weights ``(1, C, 1, 1)`` of a channel attention, whatever it is given."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        return self.weights


class ChannelAttentionBlock(nn.Module):
    """``x + res_scale * attention(conv(relu(conv(x))))``, ``(N, C, h, w)`` -> same."""

    def __init__(self, channels: int, squeeze: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.rcab = nn.Sequential(
            conv3x3(channels, channels),
            nn.ReLU(inplace=True),
            conv3x3(channels, channels),
            ChannelAttention(channels, squeeze),
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.rcab(x)
        return x + residual if self.res_scale == 1 else x.add(residual, alpha=self.res_scale)


class ResidualGroup(nn.Module):
    """``x + conv(blocks(x))``, ``(N, C, h, w)`` -> same."""

    def __init__(self, channels: int, blocks: int, squeeze: int, res_scale: float = 1.0) -> None:
        super().__init__()
        layers = [ChannelAttentionBlock(channels, squeeze, res_scale) for _ in range(blocks)]
        self.residual_group = nn.Sequential(*layers)
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv(self.residual_group(x))
        return x + residual


class RCAN(SuperResolutionNetwork):
    """RCAN: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, not clamped; inner range 255.

    The initialisation is PyTorch's own, as in the published code. Source: Zhang et al. 2018, Sec. 3;
    names of parameters as in BasicSR.

    Args:
        scale: 2, 3 or 4.
        channels: width of the body.
        groups: number of residual groups.
        blocks: blocks in each group.
        squeeze: factor by which channel attention narrows.
        one_step: upsample with one convolution (no ``conv_last``).
        image_skip: add the bilinearly upscaled input.
        res_scale: factor on each block's residual (not stored in weight files; 1 in the published code).
        value_range, mean: of the values inside; as published by default.
    """

    pools = True

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        groups: int = 10,
        blocks: int = 20,
        squeeze: int = 16,
        one_step: bool = False,
        image_skip: bool = False,
        res_scale: float = 1.0,
        value_range: float = 255.0,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__(scale, channels, value_range, image_skip, mean)
        self.reach = groups * (2 * blocks + 1) + 2 + (1 if one_step else UPSAMPLE_REACH)
        self.feature_points = points(max(1, 3 * groups // 10), max(2, 7 * groups // 10), groups)
        self.conv_first = conv3x3(3, channels)
        self.body = nn.Sequential(*(ResidualGroup(channels, blocks, squeeze, res_scale) for _ in range(groups)))
        self.conv_after_body = conv3x3(channels, channels)
        self.upsample = UpsampleOneStep(scale, channels) if one_step else Upsample(scale, channels)
        self.conv_last = nn.Identity() if one_step else conv3x3(channels, 3)

    def features(self, lr_image: Tensor) -> tuple[Tensor, ...]:
        shallow: Tensor = self.conv_first(self.normalise(lr_image))
        deep, maps = shallow, []
        for number, block in enumerate(self.body, start=1):
            deep = block(deep)
            if number in self.feature_points:
                maps.append(deep)
        return (*maps, shallow + self.conv_after_body(deep))

    @torch.no_grad()
    def with_means_of(self, lr_image: Tensor) -> RCAN:
        """A network whose channel attention is, for any input, what it is for one LR image ``(1, 3, h, w)``.

        It draws on its ``reach`` alone, and gives for a part of that image what this network gives for all of it.
        """
        alone, weights = copy.deepcopy(self), []
        layers = [layer for layer in alone.modules() if isinstance(layer, ChannelAttention)]
        hooks = [layer.attention.register_forward_hook(lambda *made: weights.append(made[-1])) for layer in layers]
        alone.trunk(lr_image)
        for layer, hook, found in zip(layers, hooks, weights, strict=True):
            hook.remove()
            layer.attention = _Fixed(found)
        alone.pools = False
        return alone

    def upscale(self, features: Tensor) -> Tensor:
        image: Tensor = self.conv_last(self.upsample(features))
        return image


def configuration(shapes: Shapes) -> Configuration:
    """What the shapes of an RCAN of any size say, and what is assumed.

    Raises:
        KeyError: a layer is missing.
    """
    channels, groups = shapes["conv_first.weight"][0], numbered(shapes, r"body\.(\d+)\.conv\.weight")
    blocks = numbered(shapes, r"body\.0\.residual_group\.(\d+)\.rcab\.0\.weight")
    squeeze = channels // shapes["body.0.residual_group.0.rcab.3.attention.1.weight"][0]
    scale, one_step = upsampled(shapes)
    options = {"channels": channels, "groups": groups, "blocks": blocks, "squeeze": squeeze, "one_step": one_step}
    assumed = {
        "res_scale": 1.0,
        "value_range": 255.0,
        "mean": DIV2K_MEAN,
        "image_skip": one_step,
    }
    return Configuration(scale, options, assumed, f"{channels} channels, {groups} groups of {blocks} blocks")


_MINI = (IMAGE_SKIP_NOTE, ONE_STEP_NOTE)

_declare = partial(
    network,
    family="rcan",
    title="RCAN",
    features=3,
    convert=(
        *HEAD_AND_TAIL,
        (r"body\.(\d+)\.body\.(\d+)\.body\.([02])\.(weight|bias)", r"body.\1.residual_group.\2.rcab.\3.\4"),
        (
            r"body\.(\d+)\.body\.(\d+)\.body\.3\.conv_du\.0\.(weight|bias)",
            r"body.\1.residual_group.\2.rcab.3.attention.1.\3",
        ),
        (
            r"body\.(\d+)\.body\.(\d+)\.body\.3\.conv_du\.2\.(weight|bias)",
            r"body.\1.residual_group.\2.rcab.3.attention.3.\3",
        ),
        (r"body\.(\d+)\.body\.\d+\.(weight|bias)", r"body.\1.conv.\2"),
    ),
    converts=HEAD_AND_TAIL_MARKS,
)

_declare("rcan", role="teacher", size="paper", configuration=configuration)(partial(RCAN, groups=10, blocks=20))
_declare("rcan_lightweight", role="student", size="paper")(partial(RCAN, groups=10, blocks=6))
_declare(
    "rcan_mini",
    role="teacher",
    size="mini",
    deviations=("4 groups of 4 blocks, 32 channels instead of 10 of 20 with 64.", *_MINI),
)(partial(RCAN, channels=32, groups=4, blocks=4, squeeze=8, one_step=True, image_skip=True))
_declare(
    "rcan_tiny",
    role="student",
    size="mini",
    deviations=("2 groups of 2 blocks, 24 channels instead of 10 of 6 with 64.", *_MINI),
)(partial(RCAN, channels=24, groups=2, blocks=2, squeeze=8, one_step=True, image_skip=True))
# attention narrows to 3 channels, as rcan_tiny's does
_declare(
    "rcan_tiny12",
    role="student",
    size="mini",
    deviations=("2 groups of 2 blocks, 12 channels instead of 10 of 6 with 64.", *_MINI),
)(partial(RCAN, channels=12, groups=2, blocks=2, squeeze=4, one_step=True, image_skip=True))
_declare(
    "rcan_tiny48",
    role="student",
    size="mini",
    deviations=("2 groups of 2 blocks, 48 channels instead of 10 of 6 with 64.", *_MINI),
)(partial(RCAN, channels=48, groups=2, blocks=2, squeeze=8, one_step=True, image_skip=True))
