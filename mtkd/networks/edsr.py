"""EDSR: residual blocks without normalisation (Lim et al., CVPRW 2017); teacher and student in Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
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


class ResidualBlock(nn.Module):
    """``x + res_scale * conv(relu(conv(x)))``, ``(N, C, h, w)`` -> same."""

    def __init__(self, channels: int, res_scale: float) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + residual if self.res_scale == 1 else x.add(residual, alpha=self.res_scale)


class EDSR(SuperResolutionNetwork):
    """EDSR: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, not clamped; inner range 255.

    The initialisation is PyTorch's own, as in the published code. Source: Lim et al. 2017, Table 1;
    names of parameters as in BasicSR.

    Args:
        scale: 2, 3 or 4.
        channels: width of the body.
        blocks: number of residual blocks.
        res_scale: factor on each block's residual (not stored in weight files).
        one_step: upsample with one convolution (no ``conv_last``).
        image_skip: add the bilinearly upscaled input.
        value_range, mean: of the values inside; as published by default.
    """

    exact_tiling = True

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        blocks: int = 16,
        res_scale: float = 1.0,
        one_step: bool = False,
        image_skip: bool = False,
        value_range: float = 255.0,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__(scale, channels, value_range, image_skip, mean)
        self.reach = 2 * blocks + 2 + (1 if one_step else UPSAMPLE_REACH)
        self.feature_points = points(max(1, blocks // 3), max(2, 2 * blocks // 3), blocks)
        self.conv_first = conv3x3(3, channels)
        self.body = nn.Sequential(*(ResidualBlock(channels, res_scale) for _ in range(blocks)))
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

    def upscale(self, features: Tensor) -> Tensor:
        image: Tensor = self.conv_last(self.upsample(features))
        return image


def configuration(shapes: Shapes) -> Configuration:
    """What the shapes of an EDSR of any size say, and what is assumed.

    Raises:
        KeyError: a layer is missing.
    """
    channels, blocks = shapes["conv_first.weight"][0], numbered(shapes, r"body\.(\d+)\.conv1\.weight")
    scale, one_step = upsampled(shapes)
    options = {"channels": channels, "blocks": blocks, "one_step": one_step}
    assumed = {
        "res_scale": 0.1 if channels >= 256 else 1.0,
        "value_range": 255.0,
        "mean": DIV2K_MEAN,
        "image_skip": one_step,
    }
    return Configuration(scale, options, assumed, f"{channels} channels, {blocks} blocks")


_MINI = (IMAGE_SKIP_NOTE, ONE_STEP_NOTE)


def _res_scale(name: str, factor: float) -> tuple[str, ...]:
    return (f"Factor on each block's residual: {factor:g}, that of {name}; it is not in the file.",)


_declare = partial(
    network,
    family="edsr",
    title="EDSR",
    features=3,
    exact_tiling=True,
    convert=(
        *HEAD_AND_TAIL,
        (r"body\.(\d+)\.body\.0\.(weight|bias)", r"body.\1.conv1.\2"),
        (r"body\.(\d+)\.body\.2\.(weight|bias)", r"body.\1.conv2.\2"),
    ),
    converts=HEAD_AND_TAIL_MARKS,
)

_declare("edsr", role="teacher", size="paper", facts=_res_scale("edsr", 0.1), configuration=configuration)(
    partial(EDSR, channels=256, blocks=32, res_scale=0.1)
)
_declare("edsr_baseline", role="student", size="paper", facts=_res_scale("edsr_baseline", 1))(
    partial(EDSR, channels=64, blocks=16)
)
_declare(
    "edsr_mini",
    role="teacher",
    size="mini",
    deviations=("8 residual blocks of 48 channels instead of 32 of 256.", *_MINI),
    facts=_res_scale("edsr_mini", 1),
)(partial(EDSR, channels=48, blocks=8, one_step=True, image_skip=True))
_declare(
    "edsr_tiny",
    role="student",
    size="mini",
    deviations=("4 residual blocks of 24 channels instead of 16 of 64.", *_MINI),
    facts=_res_scale("edsr_tiny", 1),
)(partial(EDSR, channels=24, blocks=4, one_step=True, image_skip=True))
