"""Compact (SRVGG): a plain chain of convolutions (Wang et al., Real-ESRGAN); what video and anime models use."""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.networks.common import Shapes, SuperResolutionNetwork, conv3x3, numbered, points
from mtkd.plugins import Configuration, network


class Compact(SuperResolutionNetwork):
    """Compact: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, not clamped.

    Adds the nearest-neighbour upscaled input. Names of parameters as in the public files of Real-ESRGAN, where the
    network is called SRVGGNetCompact: ``body.0``, an activation, ``body.2``, ..., all in one list.

    Args:
        scale: 2, 3 or 4.
        channels: width.
        convolutions: how many lie between the first and the last one.
    """

    exact_tiling = True

    def __init__(self, scale: int, channels: int = 64, convolutions: int = 16) -> None:
        super().__init__(scale, channels, 1.0, image_skip=True)
        self.reach = convolutions + 2
        self.feature_points = points(max(1, convolutions // 3), max(2, 2 * convolutions // 3), convolutions)
        layers: list[nn.Module] = [conv3x3(3, channels), nn.PReLU(channels)]
        for _ in range(convolutions):
            layers += [conv3x3(channels, channels), nn.PReLU(channels)]
        self.body = nn.ModuleList([*layers, conv3x3(channels, 3 * scale**2)])

    def normalise(self, lr_image: Tensor) -> Tensor:
        """The image itself: this network subtracts no mean."""
        return lr_image.contiguous(memory_format=torch.channels_last) if lr_image.device.type == "cpu" else lr_image

    def features(self, lr_image: Tensor) -> tuple[Tensor, ...]:
        deep, maps = self.normalise(lr_image), []
        for number, layer in enumerate(self.body[:-1]):
            deep = layer(deep)
            if number % 2 and number // 2 in self.feature_points:
                maps.append(deep)
        return (*maps, deep)

    def upscale(self, features: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body[-1](features), self.scale)

    def tail(self, features: Tensor, lr_image: Tensor) -> Tensor:
        image = self.upscale(features).to(lr_image.dtype, memory_format=torch.contiguous_format)
        return image + F.interpolate(lr_image, scale_factor=self.scale, mode="nearest")


def configuration(shapes: Shapes) -> Configuration:
    """What the shapes of a Compact of any size say.

    Raises:
        KeyError: a layer is missing.
    """
    channels, layers = shapes["body.0.weight"][0], numbered(shapes, r"body\.(\d+)\.weight")
    convolutions, scale = (layers - 3) // 2, math.isqrt(shapes[f"body.{layers - 1}.weight"][0] // 3)
    options = {"channels": channels, "convolutions": convolutions}
    return Configuration(scale, options, {}, f"{channels} channels, {convolutions} convolutions")


_declare = partial(network, family="compact", title="Compact (SRVGG)", features=3, exact_tiling=True)

_declare("compact", role="student", size="paper", configuration=configuration)(partial(Compact, convolutions=16))
_declare("compact_32", role="student", size="paper")(partial(Compact, convolutions=32))
_declare(
    "compact_tiny",
    role="student",
    size="mini",
    deviations=("12 convolutions of 24 channels instead of 16 of 64.",),
)(partial(Compact, channels=24, convolutions=12))
