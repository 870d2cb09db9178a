"""A trained model as described by its files: the header in its weights and the card beside them. Does not import
torch."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from mtkd.errors import UserError, check_format
from mtkd.zoo.headers import COMMUNITY, Header, read_header

if TYPE_CHECKING:
    from torch import nn

CARD_FORMAT = "mtkd-run/1"
"""Format of a run's card; cards of imported weights have none."""
ROLES = ("teacher", "aggregator", "student")


@dataclass(frozen=True)
class Model:
    """A trained model: its header, its weights file and its card (recipe, data, seed, measured numbers)."""

    header: Header
    path: Path
    bundled: bool

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def title(self) -> str:
        """What people read in place of the name: see :mod:`mtkd.zoo.titles`."""
        from mtkd.zoo import titles

        return titles.title(self)

    @property
    def scale(self) -> int:
        return self.header.scale

    @property
    def network(self) -> str:
        return self.header.network

    @property
    def method(self) -> str | None:
        """The training method or variant (``scratch``, ``kd``, ``mtkd``, ``v1``, ...); None for imported weights."""
        method = self.card.get("method")
        return method if isinstance(method, str) else None

    @property
    def step(self) -> int | None:
        """For a snapshot, the number of iterations; else None."""
        of, step = split_snapshot(self.name)
        return self.card.get("iterations", step) if self.card.get("ends_as", of if step is not None else None) else None

    @property
    def ends_as(self) -> str:
        """The name of the finished model: for a snapshot, the one that it led to."""
        return str(self.card.get("ends_as") or split_snapshot(self.name)[0])

    @property
    def role(self) -> str:
        """``teacher``, ``aggregator`` or ``student``: from the card, else from the declaration of the network."""
        if (role := self.card.get("role")) in ROLES:
            return str(role)
        if self.network == COMMUNITY:
            return "teacher"
        from mtkd import networks

        return networks.specs()[self.network].role

    @property
    def parameters(self) -> int:
        """Parameter count from the card, else computed."""
        if isinstance(count := self.card.get("parameters"), int):
            return count
        from mtkd import networks

        return networks.parameter_count(self.skeleton())

    @property
    def held_out(self) -> float | None:
        """Mean PSNR of the held-out training images in dB, on which choices are made; None where it is unknown."""
        measured = self.card.get("held_out")
        return measured.get("psnr") if isinstance(measured, dict) else None

    @cached_property
    def card(self) -> dict[str, Any]:
        """The card beside the weights; empty if there is none. Do not modify it: it is cached."""
        path = card_path(self.path)
        return read_card(path) if path.is_file() else {}

    def snapshots(self) -> dict[int, Model]:
        """The readable snapshots of the model by number of steps, without the finished model."""
        snapshots = {}
        for path in self.path.parent.glob("snapshots/*.safetensors"):
            try:
                snapshot = READER.model(path, self.bundled)
            except UserError as error:
                warn_once(str(error))
                continue
            step = snapshot.step
            if (snapshot.ends_as, snapshot.scale) == (self.name, self.scale) and step is not None:
                snapshots[step] = snapshot
        snapshots.pop(self.card.get("iterations", -1), None)
        return dict(sorted(snapshots.items()))

    def build(self) -> nn.Module:
        """Build the network without its weights (community models come with them)."""
        from mtkd import networks

        if self.network == COMMUNITY:
            from mtkd.zoo import community
            from mtkd.zoo.checkpoints import read_state

            return community.build(read_state(self.path))
        try:
            return networks.build(self.network, self.scale, self.header.teachers, **dict(self.header.options))
        except (TypeError, ValueError, RuntimeError) as error:
            if not self.header.options or isinstance(error, UserError):
                raise
            raise UserError(f"{self.path}: damaged header ({error})") from error

    def skeleton(self) -> nn.Module:
        """:meth:`build` without memory for the weights: shapes, names and counts only."""
        import torch

        with torch.device("meta"):
            return self.build()

    def summary(self) -> dict[str, Any]:
        """One row of ``mtkd models --json``."""
        card = self.card
        return {
            "name": self.name,
            "role": self.role,
            "scale": self.scale,
            "parameters": self.parameters,
            "bundled": self.bundled,
            "network": self.network,
            "options": dict(self.header.options),
            "teachers": list(self.header.teachers),
            "iterations": card.get("iterations"),
            "snapshots": list(self.snapshots()),
            "deviations": card.get("deviations", []),
            "path": str(self.path),
        }


def split_snapshot(name: str) -> tuple[str, int | None]:
    """Split ``NAME@STEP``; the step is None if the name has none.

    >>> split_snapshot("rcan_tiny-kd@150"), split_snapshot("rcan_tiny-kd")
    (('rcan_tiny-kd', 150), ('rcan_tiny-kd', None))
    """
    of, _, step = name.rpartition("@")
    return (of, int(step)) if of and step.isdecimal() else (name, None)


def card_path(weights: Path) -> Path:
    """Path of the card of a weights file."""
    return weights.with_name("card.json" if weights.name == "model.safetensors" else weights.stem + ".json")


def read_card(path: Path) -> dict[str, Any]:
    """Read the card of a model or a run.

    Raises:
        UserError: unreadable, or of another format.
    """
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not a readable card ({error})") from error
    check_format(card.get("format", CARD_FORMAT), CARD_FORMAT, path)
    return card


@cache
def warn_once(problem: str) -> None:
    """Log a warning once per process."""
    logging.getLogger("mtkd").warning("skipped: %s", problem)


Signature = tuple[tuple[int, ...] | None, ...]


class Reader:
    """A cache of models by the path of their weights; header and card are read again if a file has changed."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._read: dict[tuple[Path, bool], tuple[Signature, Model | UserError]] = {}

    def model(self, path: Path, bundled: bool) -> Model:
        """The model with these weights.

        Raises:
            UserError: header or card cannot be read.
        """
        with self._lock:
            signature = (_signature(path), _signature(card_path(path)))  # taken first: a later change is seen
            entry = self._read.get((path, bundled))
            if entry is None or entry[0] != signature:
                entry = self._read[path, bundled] = (signature, _read(path, bundled))
        if isinstance(entry[1], UserError):
            raise UserError(str(entry[1]))  # a new one each time: a raised error keeps its callers alive
        return entry[1]

    def forget(self, path: Path) -> None:
        """Drop a file that no longer exists."""
        with self._lock:
            for bundled in (True, False):
                self._read.pop((path, bundled), None)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


def _read(path: Path, bundled: bool) -> Model | UserError:
    try:
        model = Model(read_header(path), path, bundled)
        _ = model.card  # refuses a damaged one
    except UserError as error:
        return error
    return model


READER = Reader()
"""The reader that all catalogues share."""
