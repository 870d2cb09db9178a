"""What a network costs to run: multiply-adds at a given output size, counted exactly and without running it."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.networks.aggregator import KnowledgeAggregator
from mtkd.networks.bicubic import Bicubic
from mtkd.zoo import Model

HEIGHT, WIDTH = 720, 1280
"""The output size for which papers on small networks give multiply-adds."""


def multiply_adds(of: str | nn.Module, scale: int, height: int = HEIGHT, width: int = WIDTH) -> int:
    """Multiply-adds (half the floating-point operations) of one image of this output size, in whole numbers.

    Convolutions and matrix products count; sums, activations, normalisation and pooling do not, as in papers. The LR
    image has floor(height / scale) x floor(width / scale) pixels, before a network pads it to whole windows. An
    aggregator of that name costs its teachers too (see :func:`parts`); bicubic interpolation counts as 0.

    Args:
        of: a trained model, a network of the catalogue, or a network itself: a
            :class:`~mtkd.networks.aggregator.KnowledgeAggregator` alone without its teachers, a
            :class:`~mtkd.networks.aggregator.MultiTeacher` with them.

    Raises:
        UserError: no model or network has this name at this scale.
    """
    if isinstance(of, str):
        return sum(parts(of, scale, height, width).values())
    return _count(of, scale, height, width)


def parts(name: str, scale: int, height: int = HEIGHT, width: int = WIDTH) -> dict[str, int]:
    """:func:`multiply_adds` by network: of an aggregator its own and those of each of its teachers, else one alone.

    Raises:
        UserError: no model or network has this name at this scale.
    """
    if name == "bicubic":
        return {name: 0}
    own, teachers = _counted(_source(name, scale), scale, height, width)
    found = {name: own}
    for teacher in teachers:
        found |= parts(teacher, scale, height, width)
    return found


def _source(name: str, scale: int) -> Model | str:
    """A trained model, or the name of a network of the catalogue."""
    try:
        return zoo.find(name, scale)
    except UserError:
        if name in networks.specs():
            return name
        raise


@lru_cache(maxsize=256)
def _counted(source: Model | str, scale: int, height: int, width: int) -> tuple[int, tuple[str, ...]]:
    with torch.device("meta"):
        network = networks.build(source, scale) if isinstance(source, str) else source.build()
    teachers = network.teachers if isinstance(network, KnowledgeAggregator) else ()
    return _count(network, scale, height, width), teachers


def _count(network: nn.Module, scale: int, height: int, width: int) -> int:
    """Counted on tensors without memory: no value is computed."""
    if isinstance(network, Bicubic):
        return 0
    lr_height, lr_width = height // scale, width // scale
    image: Tensor | list[Tensor] = torch.empty(1, 3, lr_height, lr_width, device="meta")
    if isinstance(network, KnowledgeAggregator):
        hr_image = torch.empty(1, 3, lr_height * scale, lr_width * scale, device="meta")
        image = [hr_image] * len(network.teachers)
    values = {name: t.to("meta") for name, t in (*network.named_parameters(), *network.named_buffers())}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        functional_call(network, values, (image,))
    return int(counter.get_total_flops()) // 2
