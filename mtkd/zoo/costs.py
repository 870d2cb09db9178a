"""What a network costs to run: multiply-adds, counted exactly without running it, or read from its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from mtkd import networks
from mtkd.errors import UserError
from mtkd.zoo.catalogue import find
from mtkd.zoo.model import Model


class _NoModules(ModuleTracker):
    """Of the modules of a network none is told apart."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class FlopCounter(FlopCounterMode):
    """Counts what its own thread computes.

    PyTorch's counter hooks every module of the process, to count by module: a gradient that another thread takes
    meanwhile ends in an error.
    """

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = _NoModules()


HEIGHT, WIDTH = 720, 1280
"""The output size for which papers on small networks give multiply-adds."""


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


def record(network: nn.Module, scale: int) -> dict[str, int]:
    """What a card says of a network's costs: its parameters, and its own multiply-adds for 1280 x 720."""
    return {
        "parameters": networks.parameter_count(network),
        "multiply_adds": _count(network, scale, HEIGHT, WIDTH),
    }


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


def _source(name: str, scale: int, sources: Sequence[Path]) -> Model | str:
    """A trained model, or the name of a network of the catalogue."""
    try:
        return find(name, scale, sources)
    except UserError:
        if name in networks.specs():
            return name
        raise


@lru_cache(maxsize=256)
def _counted(source: Model | str, scale: int, height: int, width: int) -> tuple[int, tuple[str, ...]]:
    written = source.card.get("multiply_adds") if isinstance(source, Model) else None
    if isinstance(source, Model) and isinstance(written, int) and (height, width) == (HEIGHT, WIDTH):
        return written, source.header.teachers  # counting takes a second, most of it PyTorch's imports
    network = networks.skeleton(source, scale) if isinstance(source, str) else source.skeleton()
    return _count(network, scale, height, width), networks.teacher_names(network)


def _count(network: nn.Module, scale: int, height: int, width: int) -> int:
    """Counted on tensors without memory: no value is computed."""
    network = networks.folded(network)
    if not any(True for _ in network.parameters()):
        return 0  # interpolation: no weights to multiply with
    values = {name: t.to("meta") for name, t in (*network.named_parameters(), *network.named_buffers())}
    with FlopCounter() as counter, torch.no_grad():
        functional_call(network, values, (_input(network, scale, height, width, "meta"),))
    return int(counter.get_total_flops()) // 2


def _input(network: nn.Module, scale: int, height: int, width: int, device: str) -> Tensor | list[Tensor]:
    """An LR image for an output of this size; for an aggregator its teachers' HR images."""
    height, width = height // scale, width // scale
    if teachers := networks.teacher_names(network):
        hr_image = torch.zeros(1, 3, height * scale, width * scale, device=device)
        return [hr_image] * len(teachers)
    return torch.zeros(1, 3, height, width, device=device)
