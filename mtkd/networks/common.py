"""What all super-resolution networks here share: value range, image skip, sub-pixel upsampling.

The names of parameters follow the public BasicSR checkpoints, so that those load strictly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.plugins import KeyRule

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K's training images, RGB in [0, 1]; public EDSR, RCAN and SwinIR weights are centred on it."""

IMAGE_SKIP_NOTE = "Adds the bilinearly enlarged input to its output: short training then starts from an image."
ONE_STEP_NOTE = "Enlarges with one convolution and one pixel shuffle in place of the published chain."

HEAD_AND_TAIL: tuple[KeyRule, ...] = (
    (r"(sub_mean|add_mean)\.(weight|bias)", None),
    (r"head\.0\.(weight|bias)", r"conv_first.\1"),
    (r"tail\.0\.(\d+)\.(weight|bias)", r"upsample.\1.\2"),
    (r"tail\.1\.(weight|bias)", r"conv_last.\1"),
    (r"body\.\d+\.(weight|bias)", r"conv_after_body.\1"),
)
"""Key rules that the original programs of EDSR and RCAN share; the mean-shift layers follow from the mean colour."""
HEAD_AND_TAIL_MARKS = ("head.", "tail.")
"""How keys of those programs' files begin, and no others'."""


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
"""LR pixels beyond its own that an SR pixel draws on through :class:`Upsample` and a last 3x3 convolution.

One through the convolution on LR pixels, and one more through all of those on finer pixels together.
"""


class UpsampleOneStep(nn.Sequential):
    """Sub-pixel upsampling straight to an image, ``(N, C, h, w) -> (N, 3, s*h, s*w)``, for light variants."""

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))


class SuperResolutionNetwork(nn.Module, ABC):
    """Base of EDSR, RCAN and SwinIR: ``forward(x) = tail(trunk(x), x)``.

    Inside, values are ``(x - mean) * value_range`` with the mean of DIV2K; callers see [0, 1] only.
    The split serves cross-distillation, which feeds a teacher's tail with a student's features.

    Args:
        scale: enlargement, 2, 3 or 4.
        feature_channels: channels C that ``trunk`` gives and ``tail`` takes.
        value_range: 255 (EDSR, RCAN) or 1 (SwinIR).
        image_skip: add the bilinearly enlarged input to the output (in place of the constant mean).
    """

    mean: Tensor

    def __init__(self, scale: int, feature_channels: int, value_range: float, image_skip: bool) -> None:
        super().__init__()
        self.scale = scale
        self.feature_channels = feature_channels
        self.value_range = value_range
        self.image_skip = image_skip
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)

    reach: int
    """How many LR pixels beyond a whole window the pixels in it draw on, global pooling left out (:mod:`mtkd.infer`).

    A network without windows has windows of one pixel. Pixels that lie deeper than this behind the edge of a tile
    come out as in the whole image.
    """

    exact_tiling: bool = False
    """Whether tiles always overlap by the whole ``reach``, however deep, so that they make the whole image's values."""

    feature_points: tuple[int, ...] = ()
    """After how many blocks of the body (residual blocks, groups, residual Swin blocks) a map is taken."""

    @property
    def feature_count(self) -> int:
        """How many maps :meth:`features` gives."""
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
