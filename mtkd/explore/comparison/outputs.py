"""Networks and their outputs, each computed once: a further question about the same image runs no network again."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.export import engine as exported
from mtkd.images import UInt8Image, to_tensor
from mtkd.infer import aggregate, upscale
from mtkd.networks.aggregator import with_teachers
from mtkd.zoo.checkpoints import weights_hash

LIMIT = 512 << 20
"""Bytes of outputs that are kept; the least recently used go first."""

Tiles = Callable[[int, int], None]
"""Called with how many tiles of a large image are done, of how many."""


@dataclass(frozen=True)
class Loaded:
    """A network and the hash of its weights (its teachers' included)."""

    network: nn.Module
    weights: str


@dataclass(frozen=True)
class Output:
    """``sr`` (1, 3, sH, sW) float32, neither clamped nor rounded, and the time that it took.

    ``seconds`` is that of one run on this computer; an aggregator's includes its teachers'.
    """

    sr: Tensor
    seconds: float


@lru_cache(maxsize=64)
def _load(name: str, scale: int, files: tuple[tuple[str, int], ...], sources: tuple[Path, ...]) -> Loaded:
    network = zoo.load(name, scale, sources=sources)
    return Loaded(network, weights_hash(network))


def _files(name: str, scale: int, sources: Sequence[Path]) -> tuple[tuple[str, int], ...]:
    """The weights files behind a name, with the time of their last change: a model trained anew is loaded anew."""
    if name in networks.baselines():
        return ()
    model = zoo.find(name, scale, sources)
    own = (str(model.path), model.path.stat().st_mtime_ns)
    return (own, *(file for teacher in model.header.teachers for file in _files(teacher, scale, sources)))


def loaded(name: str, scale: int, sources: Sequence[Path] = ()) -> Loaded:
    """A model of the catalogue, kept in memory; ``sources`` are folders looked up first.

    Raises:
        UserError: unknown name or scale, or unreadable weights.
    """
    return _load(name, scale, _files(name, scale, sources), tuple(sources))


@lru_cache(maxsize=64)
def _in_onnxruntime(name: str, scale: int, weights: str) -> nn.Module:
    """A network of the catalogue with these weights, run by onnxruntime; what cannot be exported stays in PyTorch."""
    try:
        return exported.load(name, scale)
    except UserError as error:
        logging.getLogger("mtkd").warning("PyTorch runs %s", error)
        return loaded(name, scale).network


class Outputs:
    """The outputs of models on LR images, by weights and pixels; safe to use from several threads.

    Attributes:
        engine: what runs networks, "torch" or "onnxruntime"; chosen before the first of them runs.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.engine = "torch"
        self._kept: OrderedDict[tuple[str, str], Output] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(
        self,
        name: str,
        lr_image: UInt8Image,
        scale: int,
        tiles: Tiles | None = None,
        sources: Sequence[Path] = (),
    ) -> Output:
        """What a model makes of an LR image (h, w, 3) uint8; ``sources`` as in :func:`loaded`.

        Raises:
            UserError: unknown name or scale.
        """
        model = loaded(name, scale, sources)
        pixels = hashlib.sha256(repr(lr_image.shape).encode() + lr_image.tobytes()).hexdigest()
        key = (f"{name} x{scale} {model.weights}", pixels)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        output = self._run(name, model, lr_image, scale, tiles, sources)
        with self._lock:
            self._kept[key] = output
            while len(self._kept) > 1 and sum(o.sr.nbytes for o in self._kept.values()) > self.limit:
                self._kept.popitem(last=False)
        return output

    def _run(
        self,
        name: str,
        model: Loaded,
        lr_image: UInt8Image,
        scale: int,
        tiles: Tiles | None,
        sources: Sequence[Path],
    ) -> Output:
        if (combined := with_teachers(model.network)) is None:
            network = model.network
            if self.engine == "onnxruntime" and not sources and name not in networks.baselines():
                network = _in_onnxruntime(name, scale, model.weights)
            return _timed(lambda told: upscale(network, to_tensor(lr_image), scale, progress=told), tiles)
        teachers = [self(teacher, lr_image, scale, tiles, sources) for teacher in combined.aggregator.teachers]
        images = [teacher.sr for teacher in teachers]
        merged = _timed(lambda told: aggregate(combined.aggregator, images, progress=told), tiles)
        return Output(merged.sr, sum(teacher.seconds for teacher in teachers) + merged.seconds)


def _timed(run: Callable[[Tiles], Tensor], tiles: Tiles | None) -> Output:
    """The output and its time, without that of telling how far it is: others may run meanwhile."""
    telling = 0.0

    def told(done: int, of: int) -> None:
        nonlocal telling
        began = time.perf_counter()
        if tiles:
            tiles(done, of)
        telling += time.perf_counter() - began

    began = time.perf_counter()
    sr = run(told)
    return Output(sr, time.perf_counter() - began - telling)


outputs = Outputs()
"""The outputs of this process."""
