"""Common parts of the super-resolution networks: value range, image skip, sub-pixel upsampling.

The names of parameters follow the public BasicSR checkpoints, so that those load strictly.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.plugins import KeyRule

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K's training images, RGB in [0, 1]; public EDSR, RCAN and SwinIR weights are centred on it."""

IMAGE_SKIP_NOTE = "Adds the bilinearly upscaled input to its output, so that short training starts from an image."
ONE_STEP_NOTE = "Upsamples with one convolution and one pixel shuffle instead of the published chain."

HEAD_AND_TAIL: tuple[KeyRule, ...] = (
    (r"(sub_mean|add_mean)\.(weight|bias)", None),
    (r"head\.0\.(weight|bias)", r"conv_first.\1"),
    (r"tail\.0\.(\d+)\.(weight|bias)", r"upsample.\1.\2"),
    (r"tail\.1\.(weight|bias)", r"conv_last.\1"),
    (r"body\.\d+\.(weight|bias)", r"conv_after_body.\1"),
)
"""Key rules for the original code of both EDSR and RCAN; the mean-shift layers follow from the mean colour."""
HEAD_AND_TAIL_MARKS = ("head.", "tail.")
"""Key prefixes that occur in files of the original code only."""


Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of a state dict by key."""


def numbered(shapes: Shapes, pattern: str) -> int:
    """How many parts there should be, whose number is the group of a ``pattern`` of whole keys; some may be missing.

    Raises:
        KeyError: there are none, or more than half of them are missing.
    """
    numbers = {int(match[1]) for key in shapes if (match := re.fullmatch(pattern, key))}
    if not numbers or max(numbers) >= 2 * len(numbers):
        raise KeyError(pattern)
    return max(numbers) + 1


def upsampled(shapes: Shapes) -> tuple[int, bool]:
    """The scale of an ``upsample`` chain, and whether it is a single step to RGB (there is no ``conv_last``).

    Raises:
        KeyError: no such layer.
    """
    if "conv_last.weight" not in shapes:
        return math.isqrt(shapes["upsample.0.weight"][0] // 3), True
    scale, layers = 1, [shape for key, shape in shapes.items() if re.fullmatch(r"upsample\.\d+\.weight", key)]
    for outputs, inputs, *_ in layers:
        scale *= math.isqrt(outputs // inputs)
    return scale, False


def points(first: int, second: int, blocks: int) -> tuple[int, ...]:
    """Feature points after two of the blocks; fewer where a network has fewer blocks."""
    return tuple(point for point in (first, second) if point <= blocks)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width (zero padding)."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Upsample(nn.Sequential):
    """Sub-pixel upsampling ``(N, C, h, w) -> (N, C, s*h, s*w)`` by convolutions, each before a pixel shuffle.

    x2 and x3 take one step, x4 two of factor 2; convolutions have the indices 0 and 2, as in public weights.

    Raises:
        UserError: the scale is neither 2, 3 nor 4.
    """

    def __init__(self, scale: int, channels: int) -> None:
        factors = {2: (2,), 3: (3,), 4: (2, 2)}.get(scale)
        if factors is None:
            raise UserError(f"no upsampler for scale {scale}; use 2, 3 or 4")
        layers: list[nn.Module] = []
        for factor in factors:
            layers += [conv3x3(channels, channels * factor**2), nn.PixelShuffle(factor)]
        super().__init__(*layers)


UPSAMPLE_REACH = 2
"""Receptive field of an SR pixel, in LR pixels, through :class:`Upsample` and a final 3x3 convolution.

One through the convolution on LR pixels, and one more through all of those on finer pixels together.
"""


class UpsampleOneStep(nn.Sequential):
    """Sub-pixel upsampling straight to an image, ``(N, C, h, w) -> (N, 3, s*h, s*w)``, for light variants."""

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))


class SuperResolutionNetwork(nn.Module, ABC):
    """Base of EDSR, RCAN and SwinIR: ``forward(x) = tail(trunk(x), x)``.

    Internal values are ``(x - mean) * value_range`` with the mean of DIV2K; inputs and outputs are in [0, 1]. The split
    is for cross distillation, which feeds the features of a student into the tail of its teacher.

    Args:
        scale: upscaling factor, 2, 3 or 4.
        feature_channels: number of channels C between ``trunk`` and ``tail``.
        value_range: 255 (EDSR, RCAN) or 1 (SwinIR).
        image_skip: add the bilinearly upscaled input to the output (instead of the constant mean).
        mean: the colour that is subtracted, RGB in [0, 1].
    """

    mean: Tensor

    def __init__(
        self,
        scale: int,
        feature_channels: int,
        value_range: float,
        image_skip: bool,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.feature_channels = feature_channels
        self.value_range = value_range
        self.image_skip = image_skip
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)

    reach: int
    """Receptive field beyond a whole window, in LR pixels, without global pooling (:mod:`mtkd.infer`).

    A network without windows has windows of one pixel. Pixels farther than this from the edge of a tile have the values
    of the whole image.
    """

    pools: bool = False
    """Whether it draws on means of the whole image, which no part of the image has.

    Such a network may offer ``with_means_of(lr_image)``: one like it whose means are held (see RCAN). Attributions of
    photos then walk its ``reach`` alone.
    """

    exact_tiling: bool = False
    """Whether tiles always overlap by the whole ``reach``, so that they give the values of the whole image."""

    feature_points: tuple[int, ...] = ()
    """Numbers of the blocks of the body (residual blocks, groups, residual Swin blocks) after which a map is taken."""

    @property
    def feature_count(self) -> int:
        """Number of maps that :meth:`features` returns."""
        return len(self.feature_points) + 1

    @abstractmethod
    def features(self, lr_image: Tensor) -> tuple[Tensor, ...]:
        """The maps at ``feature_points``, then the trunk's output: ``(N, 3, h, w)`` in [0, 1] -> ``(N, C, h', w')``.

        The last one is the body's end, convolution and global skip included. ``h' = h`` and ``w' = w``, except in
        SwinIR, whose maps keep the padding to whole windows.
        """

    def trunk(self, lr_image: Tensor) -> Tensor:
        """Features before the upsampler, global skip included: the last of :meth:`features`."""
        return self.features(lr_image)[-1]

    @abstractmethod
    def upscale(self, features: Tensor) -> Tensor:
        """The upsampler alone: ``(N, C, h', w')`` -> ``(N, 3, s*h', s*w')`` in the inner value range."""

    def tail(self, features: Tensor, lr_image: Tensor) -> Tensor:
        """The SR image ``(N, 3, s*h, s*w)`` in [0, 1], not clamped, from features ``(N, C, h', w')``.

        ``lr_image (N, 3, h, w)`` gives the size to crop to and, with ``image_skip``, the image to add.
        """
        height, width = lr_image.shape[-2:]
        inner = self.upscale(features)[..., : self.scale * height, : self.scale * width]
        base = self.mean.to(lr_image.dtype)
        if self.image_skip:
            base = F.interpolate(lr_image, scale_factor=self.scale, mode="bilinear", align_corners=False)
        # Back in the input's precision before the base is added (bfloat16 would cost the image its last bits),
        # and in the layout callers have theirs in (mixing layouts makes their losses several times slower).
        image = inner.to(lr_image.dtype, memory_format=torch.contiguous_format)
        return base + (image if self.value_range == 1 else image / self.value_range)

    @overload
    def forward(self, lr_image: Tensor, with_features: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, lr_image: Tensor, with_features: Literal[True]) -> tuple[Tensor, tuple[Tensor, ...]]: ...
    def forward(self, lr_image: Tensor, with_features: bool = False) -> Tensor | tuple[Tensor, tuple[Tensor, ...]]:
        """LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s*h, s*w)``, float, not clamped.

        ``with_features`` returns the SR image and the maps of :meth:`features`, cut to ``(N, C, h, w)``.
        """
        maps = self.features(lr_image)
        image = self.tail(maps[-1], lr_image)
        height, width = lr_image.shape[-2:]
        return (image, tuple(m[..., :height, :width] for m in maps)) if with_features else image

    def normalise(self, lr_image: Tensor) -> Tensor:
        """``(x - mean) * value_range``, same shape."""
        x = (lr_image - self.mean.to(lr_image.dtype)) * self.value_range
        # Channels last in memory: on a CPU, convolutions of few channels run up to a third faster.
        return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x
