"""What a network costs to run: multiply-adds, counted exactly without running it, and seconds on this computer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.zoo import Model

HEIGHT, WIDTH = 720, 1280
"""The output size for which papers on small networks give multiply-adds."""
TIMED_HEIGHT, TIMED_WIDTH = 360, 640
"""The output size of :func:`seconds`."""


def multiply_adds(
    of: str | nn.Module, scale: int, height: int = HEIGHT, width: int = WIDTH, sources: Sequence[Path] = ()
) -> int:
    """Multiply-adds (half the floating-point operations) of one image of this output size, in whole numbers.

    Convolutions and matrix products count; sums, activations, normalisation and pooling do not, as in papers. The LR
    image has floor(height / scale) x floor(width / scale) pixels, before a network pads it to whole windows. An
    aggregator of that name costs its teachers too (see :func:`parts`); bicubic interpolation counts as 0.

    Args:
        of: a trained model, a network of the catalogue, or a network itself: a
            :class:`~mtkd.networks.aggregator.KnowledgeAggregator` alone without its teachers, a
            :class:`~mtkd.networks.aggregator.MultiTeacher` with them.
        sources: folders of models that are looked up first.

    Raises:
        UserError: no model or network has this name at this scale.
    """
    if isinstance(of, str):
        return sum(parts(of, scale, height, width, sources).values())
    return _count(of, scale, height, width)


def parts(
    name: str, scale: int, height: int = HEIGHT, width: int = WIDTH, sources: Sequence[Path] = ()
) -> dict[str, int]:
    """:func:`multiply_adds` by network: of an aggregator its own and those of each of its teachers, else one alone.

    Raises:
        UserError: no model or network has this name at this scale.
    """
    own, teachers = _counted(_source(name, scale, sources), scale, height, width)
    found = {name: own}
    for teacher in teachers:
        found |= parts(teacher, scale, height, width, sources)
    return found


@dataclass(frozen=True)
class Cost:
    """What a network of the catalogue takes; of an aggregator of these ``teachers``, without theirs.

    Multiply-adds are for an output of 1280 x 720.
    """

    network: str
    teachers: tuple[str, ...]
    multiply_adds: int
    parameters: int


@lru_cache(maxsize=256)
def of_network(network: str, scale: int, teachers: tuple[str, ...] = ()) -> Cost:
    """The :class:`Cost` of a network of the catalogue."""
    built = networks.skeleton(network, scale, teachers)
    return Cost(network, teachers, _count(built, scale, HEIGHT, WIDTH), networks.parameter_count(built))


@lru_cache(maxsize=64)
def seconds(network: str, scale: int, teachers: tuple[str, ...] = ()) -> float:
    """Seconds that one image of 640 x 360 takes on this computer's CPU; networks as in :func:`of_network`.

    The better of two runs, after a small one, with weights that are not trained: they do not change the time.
    """
    built = networks.build(network, scale, teachers).eval()

    def once(height: int, width: int) -> float:
        image = _input(built, scale, height, width, "cpu")
        began = time.perf_counter()
        built(image)
        return time.perf_counter() - began

    with torch.inference_mode():
        once(64, 64)
        return min(once(TIMED_HEIGHT, TIMED_WIDTH) for _ in range(2))


def _source(name: str, scale: int, sources: Sequence[Path]) -> Model | str:
    """A trained model, or the name of a network of the catalogue."""
    try:
        return zoo.find(name, scale, sources)
    except UserError:
        if name in networks.specs():
            return name
        raise


@lru_cache(maxsize=256)
def _counted(source: Model | str, scale: int, height: int, width: int) -> tuple[int, tuple[str, ...]]:
    network = networks.skeleton(source, scale) if isinstance(source, str) else source.skeleton()
    return _count(network, scale, height, width), networks.teacher_names(network)


def _count(network: nn.Module, scale: int, height: int, width: int) -> int:
    """Counted on tensors without memory: no value is computed."""
    if not any(True for _ in network.parameters()):
        return 0  # interpolation: no weights to multiply with
    values = {name: t.to("meta") for name, t in (*network.named_parameters(), *network.named_buffers())}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        functional_call(network, values, (_input(network, scale, height, width, "meta"),))
    return int(counter.get_total_flops()) // 2


def _input(network: nn.Module, scale: int, height: int, width: int, device: str) -> Tensor | list[Tensor]:
    """An LR image for an output of this size; for an aggregator its teachers' HR images."""
    height, width = height // scale, width // scale
    if teachers := networks.teacher_names(network):
        hr_image = torch.zeros(1, 3, height * scale, width * scale, device=device)
        return [hr_image] * len(teachers)
    return torch.zeros(1, 3, height, width, device=device)
