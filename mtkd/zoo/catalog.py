"""The catalogue: every trained model that can be named, where its weights lie, and what is known of it.

Models are looked up in the folders that the caller names, then in those of ``MTKD_ZOO`` (separated like ``PATH``), then
in ``models`` and ``runs`` of :func:`mtkd.home.home`, then in the bundled zoo. A folder is a run folder with
``model.safetensors`` and ``card.json``, or holds run folders, or ``NAME_xS.safetensors`` files with ``NAME_xS.json``
cards. What cannot be read, weights or card, is left out with a warning, but for the caller's folders, where it is an
error: one file of a user's must not take the others away. A model may have been kept on its way, as
``snapshots/NAME@STEP_xS.safetensors`` beside its weights; it is then named ``NAME@STEP``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtkd import networks
from mtkd.errors import UserError, check_format, unknown_name
from mtkd.home import home
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.networks.bicubic import Bicubic
from mtkd.zoo import community
from mtkd.zoo.checkpoints import Header, load_state, read_header, read_state

BUNDLED = Path(__file__).parent / "weights"
CARD_FORMAT = "mtkd-run/1"
"""What a card calls the form of its run folder; the first ones did not say, and are read alike."""


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
    def scale(self) -> int:
        return self.header.scale

    @property
    def role(self) -> str:
        """``teacher``, ``aggregator`` or ``student``."""
        return "teacher" if self.header.network == community.NETWORK else networks.specs()[self.header.network].role

    @cached_property
    def card(self) -> dict[str, Any]:
        """The card beside the weights; empty when there is none."""
        path = self.path.with_name("card.json" if self.path.name == "model.safetensors" else self.path.stem + ".json")
        return read_card(path) if path.is_file() else {}

    def snapshots(self) -> dict[int, Model]:
        """The model on its way, by the number of steps; without its end, and without what cannot be read."""
        found = {}
        for path in self.path.parent.glob(f"snapshots/{self.name}@*_x{self.scale}.safetensors"):
            try:
                kept = _read(path, self.bundled)
            except UserError as error:
                _warn(str(error))
                continue
            if (step := _step(kept.name, self.name)) is not None and step != self.card.get("iterations"):
                found[step] = kept
        return dict(sorted(found.items()))

    def build(self) -> nn.Module:
        """The network without its weights; one of the community's comes with them."""
        if self.header.network == community.NETWORK:
            return community.build(read_state(self.path))
        options = {"teachers": self.header.teachers} if self.header.teachers else {}
        return networks.build(self.header.network, self.scale, **options)

    def summary(self) -> dict[str, Any]:
        """One row of ``mtkd models --json``."""
        card = self.card
        return {
            "name": self.name,
            "role": self.role,
            "scale": self.scale,
            "parameters": self._parameters(),
            "bundled": self.bundled,
            "network": self.header.network,
            "teachers": list(self.header.teachers),
            "iterations": card.get("iterations"),
            "snapshots": list(self.snapshots()),
            "deviations": card.get("deviations", []),
            "path": str(self.path),
        }

    def _parameters(self) -> int:
        counted = self.card.get("parameters")
        if self.header.network == community.NETWORK and counted is not None:
            return int(counted)  # when it was brought: spandrel may be gone
        with torch.device("meta"):
            return networks.parameter_count(self.build())


def read_card(path: Path) -> dict[str, Any]:
    """What a model's card, or a run's, says.

    Raises:
        UserError: unreadable, or written by a newer version.
    """
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not a readable card ({error})") from error
    check_format(card.get("format", CARD_FORMAT), CARD_FORMAT, path)
    return card


def _step(name: str, of: str) -> int | None:
    """The number in ``OF@NUMBER``."""
    step = name.removeprefix(f"{of}@")
    return int(step) if step != name and step.isdecimal() else None


def folders(sources: Sequence[Path] = ()) -> list[Path]:
    """Where models are looked up, first match wins: ``sources``, MTKD_ZOO, the user's own, the bundled zoo."""
    named = [Path(p) for p in os.environ.get("MTKD_ZOO", "").split(os.pathsep) if p]
    return [*sources, *named, home() / "models", home() / "runs", BUNDLED]


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(folder.glob("*.safetensors"))
        yield from sorted(folder.glob("*/model.safetensors"))


def models(scale: int | None = None, sources: Sequence[Path] = ()) -> list[Model]:
    """All trained models that can be read (of one scale), teachers first, then aggregators, then students.

    Raises:
        UserError: a file in one of the ``sources`` that cannot be read.
    """
    return _look(scale, sources)[0]


def _look(scale: int | None, sources: Sequence[Path]) -> tuple[list[Model], dict[str, UserError]]:
    """The models, and what is wrong with the files that hold none, by ``NAME_xS`` or the run folder's name.

    A file that comes after a model of its name takes nothing away, and is not among these.
    """
    found: dict[tuple[str, int], Model] = {}
    unread: dict[str, UserError] = {}
    for folder in folders(sources):
        for path in _files(folder):
            try:
                model = _read(path, folder == BUNDLED)
            except UserError as error:
                if folder in sources:  # a caller means these, not namesakes elsewhere
                    raise
                key = path.parent.name if path.name == "model.safetensors" else path.stem
                if key not in {f"{name}_x{of}" for name, of in found}:  # else another folder's comes first
                    unread.setdefault(key, error)
                _warn(str(error))
                continue
            if scale in (None, model.scale):
                found.setdefault((model.name, model.scale), model)
    order = ["teacher", "aggregator", "student"]
    return sorted(found.values(), key=lambda m: (m.scale, order.index(m.role), m.name)), unread


def _read(path: Path, bundled: bool) -> Model:
    header, known = read_header(path), networks.specs()
    if header.network not in (*known, community.NETWORK):
        raise _unknown_network(Model(header, path, bundled))
    spec = known.get(header.network)
    if spec and header.scale not in spec.scales:
        raise UserError(f"{path}: network '{header.network}' does not come in scale {header.scale}")
    if header.teachers and (spec is None or spec.role != "aggregator"):
        raise UserError(f"{path}: names teachers, but '{header.network}' is no aggregator")
    model = Model(header, path, bundled)
    _ = model.card  # refuses a damaged one
    return model


def _unknown_network(model: Model) -> UserError:
    """The error for a model whose network nothing loaded declares; its card names the plugins that it needs."""
    files = [str(plugin["file"]) for plugin in model.card.get("plugins", ())]
    if not files:
        return UserError(f"{model.path}: {unknown_name('network', model.header.network, networks.specs())}")
    options = " ".join(f"--plugin {file}" for file in files)
    return UserError(f"{model.path}: was trained with the plugin {', '.join(files)}: load it, mtkd {options} ...")


@cache
def _warn(problem: str) -> None:
    """Once in a process: a page looks its models up again and again."""
    logging.getLogger("mtkd").warning("left out: %s", problem)


def find(name: str, scale: int, sources: Sequence[Path] = ()) -> Model:
    """One model by name and scale, or one on its way (``NAME@STEP``); ``sources`` are folders looked up first.

    Raises:
        UserError: unknown name or step (the nearest is suggested), a scale it was not trained for, or a file of that
            name that cannot be read.
    """
    if "@" in name:
        model = find(name.split("@")[0], scale, sources)
        kept = {snapshot.name: snapshot for snapshot in model.snapshots().values()}
        if name not in kept:
            raise unknown_name(f"step of {model.name} x{scale}", name, kept)
        return kept[name]
    known, unread = _look(None, sources)
    if error := unread.get(f"{name}_x{scale}"):
        raise error  # rather than a namesake in another folder
    for model in known:
        if (model.name, model.scale) == (name, scale):
            return model
    from mtkd.zoo import public  # which fetches into this catalogue

    if name in public.names():
        raise UserError(
            f"the published weights of {name} x{scale} are not here: mtkd models fetch {name} --scale {scale}"
        )
    scales = sorted(m.scale for m in known if m.name == name)
    if scales:
        raise UserError(f"model '{name}' is trained for scale {', '.join(map(str, scales))}, not {scale}")
    raise unknown_name("model", name, {m.name for m in known} | {"bicubic"})


def load(name: str, scale: int, device: str | torch.device = "cpu", sources: Sequence[Path] = ()) -> nn.Module:
    """A trained model that maps an LR image (N, 3, h, w) in [0, 1] to (N, 3, scale h, scale w).

    It is in eval mode and frozen; ``sources`` are folders looked up first. An aggregator comes together with its
    teachers as a :class:`~mtkd.networks.aggregator.MultiTeacher`; ``bicubic`` is the interpolation.

    Raises:
        UserError: unknown name or scale, unreadable or mismatching weights.
    """
    if name == "bicubic":
        return Bicubic(scale)
    model = find(name, scale, sources)
    network = model.build()
    if not isinstance(network, community.Community):
        load_state(network, read_state(model.path), str(model.path))
    if isinstance(network, KnowledgeAggregator):
        network = MultiTeacher([load(teacher, scale, sources=sources) for teacher in network.teachers], network)
    return network.eval().requires_grad_(False).to(device)
