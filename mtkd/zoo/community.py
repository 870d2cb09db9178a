"""Further architectures, by way of spandrel (extra ``community``).

Spandrel only receives tensors that have been read already: it does not unpickle anything.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.zoo.headers import COMMUNITY

NETWORK = COMMUNITY
"""What the header of such a weights file gives as its network."""


class Community(nn.Module):
    """Any network of spandrel: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, sh, sw)``, clamped to [0, 1].

    The image is padded to the size that the network needs, and cropped at the end.
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.scale = int(descriptor.scale)
        self.architecture = str(descriptor.architecture.name)
        self.network: nn.Module = descriptor.model
        self._descriptor = descriptor

    def forward(self, lr_image: Tensor) -> Tensor:
        call: Any = type(self._descriptor).__call__
        # As spandrel calls it, but with gradients; on a copy, because some networks write into their input.
        image: Tensor = call.__wrapped__(self._descriptor, lr_image.clone())
        return image


def build(state: Mapping[str, Tensor]) -> Community:
    """The network of a state dict, with its weights, as float32.

    Raises:
        UserError: spandrel is not installed or does not support the weights, or the network does not upscale RGB images
            by 2, 3 or 4.
    """
    try:
        spandrel = importlib.import_module("spandrel")
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that does not fit torch
        raise UserError(
            f"further architectures need the extra 'community': pip install 'mtkd[community]' ({error}), "
            "or a plugin that declares the network (docs/plugins.md)"
        ) from error
    weights = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    try:
        with torch.device("cpu"):  # tensors that a network computes from its weights need memory, whoever asks
            descriptor = spandrel.MAIN_REGISTRY.load(weights)
    except spandrel.UnsupportedModelError as error:
        raise UserError(
            "spandrel does not support its architecture either; declare it in a plugin (docs/plugins.md)"
        ) from error
    except Exception as error:  # weights that only resemble those of an architecture
        raise UserError(
            f"spandrel cannot load it ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        ) from error
    name, purpose = descriptor.architecture.name, getattr(descriptor, "purpose", "inpainting")
    channels = (descriptor.input_channels, descriptor.output_channels)
    if purpose != "SR" or descriptor.scale not in (2, 3, 4) or channels != (3, 3):
        raise UserError(
            f"a {name} for {purpose}, with {channels[0]} input and {channels[1]} output channels at scale "
            f"{descriptor.scale}; give a network that upscales RGB images by 2, 3 or 4"
        )
    return Community(descriptor)
