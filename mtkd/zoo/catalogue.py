"""The catalogue of trained models: names, weights files and cards.

Models are looked up in the folders given by the caller, then in those of ``MTKD_ZOO`` (separated as in ``PATH``), in
``models`` and ``runs`` of :func:`mtkd.home.home`, in the bundled zoo, and in the plan folders that ``mtkd matrix``
keeps in ``runs``. A folder is a run folder with ``model.safetensors`` and ``card.json``, or contains run folders, or
``NAME_xS.safetensors`` files with ``NAME_xS.json`` cards. Weights or cards that cannot be read are skipped with a
warning; in the caller's folders they are an error. Snapshots of a training, in ``snapshots`` beside the weights, are
named ``NAME@STEP``.

Name, network, method, scale, step and role of a model come from its header and card, never from the file name. Both are
read once, and again if the file has changed (a bundled one: if a file was added or replaced). Listing the bundled
models does not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from mtkd.errors import UserError, unknown_name
from mtkd.home import home
from mtkd.zoo.headers import COMMUNITY
from mtkd.zoo.model import READER, ROLES, Model, split_snapshot, warn_once

if TYPE_CHECKING:
    import torch
    from torch import nn

BUNDLED = Path(__file__).parent / "weights"


class _Look(NamedTuple):
    """What the folders hold at one time."""

    models: dict[tuple[str, int], Model]
    """By name and scale."""
    unreadable: dict[Path, UserError]
    hidden: dict[str, UserError]
    """By ``NAME_xS`` or name of the run folder: why a model that has priority over all of its name is missing."""


class Catalogue:
    """The models of several folders by name and scale; of models with the same name, the first folder wins.

    Every access sees the current state of the folders, but reads only files that have changed. Thread-safe.
    """

    def __init__(self, folders: Sequence[Path], strict: Sequence[Path] = ()) -> None:
        """``strict``: those of the ``folders`` in which an unreadable file is an error."""
        self.folders, self.strict = tuple(folders), frozenset(strict)
        self._lock = Lock()
        self._paths: frozenset[Path] = frozenset()

    def models(self, scale: int | None = None) -> list[Model]:
        """All readable models (of one scale): teachers, then aggregators, then students.

        Raises:
            UserError: a file in one of the ``strict`` folders cannot be read.
        """
        chosen = [model for model in self._look().models.values() if scale in (None, model.scale)]
        return sorted(chosen, key=lambda m: (m.scale, ROLES.index(m.role), m.name))

    @property
    def unreadable(self) -> dict[Path, UserError]:
        """The skipped files, with the reason."""
        return self._look().unreadable

    def find(self, name: str, scale: int) -> Model:
        """One model by name and scale; ``NAME@STEP`` is a snapshot.

        Raises:
            UserError: unknown name or step (the nearest is suggested), a scale that it was not trained for, or an
                unreadable file of that name.
        """
        if "@" in name:
            of, step = split_snapshot(name)
            model = self.find(of if step is not None else name.split("@")[0], scale)
            snapshots = model.snapshots()
            if step not in snapshots:
                raise unknown_name(f"step of {model.name} x{scale}", name, [s.name for s in snapshots.values()])
            return snapshots[step]
        models, _, hidden = self._look()
        if error := hidden.get(f"{name}_x{scale}"):
            raise UserError(str(error))  # not a namesake elsewhere; a new one: a raised error keeps its callers alive
        if (name, scale) in models:
            return models[name, scale]
        raise _missing(name, scale, list(models))

    def _look(self) -> _Look:
        look, paths = _Look({}, {}, {}), set()
        for folder in self.folders:
            for path, model in _contents(folder):
                paths.add(path)
                if isinstance(model, Model):
                    look.models.setdefault((model.name, model.scale), model)
                    continue
                if folder in self.strict:  # a caller means these, not namesakes elsewhere
                    raise model
                look.unreadable[path] = model
                key = path.parent.name if path.name == "model.safetensors" else path.stem
                if key not in {f"{name}_x{scale}" for name, scale in look.models}:
                    look.hidden.setdefault(key, model)
                warn_once(str(model))
        with self._lock:
            gone, self._paths = self._paths - paths, frozenset(paths)
        for path in gone:
            READER.forget(path)
        return look


def _contents(folder: Path) -> Iterable[tuple[Path, Model | UserError]]:
    """The weights of a folder, each with its model or why that cannot be read."""
    if folder == BUNDLED and folder.is_dir():
        return _bundled(folder, folder.stat().st_mtime_ns)
    return _read(folder, bundled=False)


def _read(folder: Path, bundled: bool) -> Iterator[tuple[Path, Model | UserError]]:
    for path in _files(folder):
        try:
            model = READER.model(path, bundled)
            _check_network(model)
        except UserError as error:
            yield path, error
        else:
            yield path, model


@lru_cache(maxsize=1)
def _bundled(folder: Path, changed: int) -> tuple[tuple[Path, Model | UserError], ...]:
    """The bundled models, read again when the folder has changed: a comparison looks up hundreds of names."""
    return tuple(_read(folder, bundled=True))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(folder.glob("*.safetensors"))
        yield from sorted(folder.glob("*/model.safetensors"))


def _check_network(model: Model) -> None:
    """Refuse a file of a network that is not declared; those of the bundled models are, and looking up needs torch."""
    if model.bundled or _kind(model) in _bundled_kinds(BUNDLED):
        return
    from mtkd import networks

    specs = networks.specs()
    spec = specs.get(model.network)
    if spec is None and model.network != COMMUNITY:
        raise _unknown_network(model, list(specs))
    if spec and model.scale not in spec.scales:
        raise UserError(f"{model.path}: network '{model.network}' does not support scale {model.scale}")
    if model.header.teachers and (spec is None or spec.role != "aggregator"):
        raise UserError(f"{model.path}: names teachers, but '{model.network}' is not an aggregator")


def _kind(model: Model) -> tuple[str, int, bool]:
    return model.network, model.scale, bool(model.header.teachers)


@cache
def _bundled_kinds(folder: Path) -> frozenset[tuple[str, int, bool]]:
    """What the readable models of the bundled zoo are."""
    kinds = set()
    for path in _files(folder):
        with suppress(UserError):
            kinds.add(_kind(READER.model(path, bundled=True)))
    return frozenset(kinds)


def _unknown_network(model: Model, known: Sequence[str]) -> UserError:
    """The error for a model whose network nothing loaded declares; its card names the plugins that it needs."""
    files = [str(plugin["file"]) for plugin in model.card.get("plugins", ())]
    if not files:
        return UserError(f"{model.path}: {unknown_name('network', model.network, known)}")
    options = " ".join(f"--plugin {file}" for file in files)
    return UserError(f"{model.path}: was trained with the plugin {', '.join(files)}; load it with mtkd {options} ...")


def _missing(name: str, scale: int, known: Sequence[tuple[str, int]]) -> UserError:
    from mtkd import networks
    from mtkd.zoo import published

    if name in published.names():
        return UserError(
            f"the published weights of {name} x{scale} are not installed; run mtkd models fetch {name} --scale {scale}"
        )
    if scales := sorted(of for other, of in known if other == name):
        return UserError(f"model '{name}' is trained for scale {', '.join(map(str, scales))}, not {scale}")
    return unknown_name("model", name, {other for other, _ in known} | set(networks.baselines()))


def folders(sources: Sequence[Path] = ()) -> list[Path]:
    """Where models are looked up (the first match wins): ``sources``, MTKD_ZOO, the user's models and runs, the bundled
    zoo, and the runs of the user's plans, which never replace a bundled model."""
    named = [Path(p) for p in os.environ.get("MTKD_ZOO", "").split(os.pathsep) if p]
    return [*sources, *named, home() / "models", home() / "runs", BUNDLED, *plan_folders()]


def plan_folders() -> list[Path]:
    """The folders in which ``mtkd matrix`` keeps the runs of the user's plans."""
    return sorted(path.parent for path in (home() / "runs").glob("*/records.sqlite"))


@lru_cache(maxsize=32)
def _shared(places: tuple[Path, ...], strict: tuple[Path, ...]) -> Catalogue:
    return Catalogue(places, strict)


def catalogue(sources: Sequence[Path] = ()) -> Catalogue:
    """The shared catalogue of the default folders; ``sources`` come before them and are strict."""
    return _shared(tuple(folders(sources)), tuple(sources))


def models(scale: int | None = None, sources: Sequence[Path] = ()) -> list[Model]:
    """All readable models; see :meth:`Catalogue.models`.

    Raises:
        UserError: an unreadable file in one of the ``sources``.
    """
    return catalogue(sources).models(scale)


def find(name: str, scale: int, sources: Sequence[Path] = ()) -> Model:
    """One model by name and scale; ``NAME@STEP`` is a snapshot. ``sources`` are folders to search first.

    Raises:
        UserError: as :meth:`Catalogue.find`.
    """
    return catalogue(sources).find(name, scale)


def best_student(scale: int) -> str:
    """The name of the bundled student with the best PSNR on the held-out images.

    Raises:
        UserError: no student of this scale is bundled.
    """
    students = [model for model in models(scale) if model.bundled and model.role == "student" and model.held_out]
    if not students:
        raise UserError(f"no bundled student upscales x{scale}; name a model: --model NAME")
    return max(students, key=lambda model: model.held_out or 0).name


def load(name: str, scale: int, device: str | torch.device = "cpu", sources: Sequence[Path] = ()) -> nn.Module:
    """Load a trained model, which maps LR images (N, 3, h, w) in [0, 1] to (N, 3, scale h, scale w).

    The model is in eval mode and frozen; ``sources`` are folders to search first. An aggregator is loaded together with
    its teachers, as a :class:`~mtkd.networks.aggregator.MultiTeacher`; ``bicubic`` is the interpolation.

    Raises:
        UserError: unknown name or scale, unreadable or mismatching weights.
    """
    from mtkd import networks
    from mtkd.networks.aggregator import MultiTeacher
    from mtkd.zoo.checkpoints import load_state, read_state

    if name in networks.baselines():
        return networks.build(name, scale).eval().to(device)
    model = find(name, scale, sources)
    network = model.build()
    if model.network != COMMUNITY:
        load_state(network, read_state(model.path), str(model.path))
    if teachers := networks.teacher_names(network):
        network = MultiTeacher([load(teacher, scale, sources=sources) for teacher in teachers], network)
    return network.eval().requires_grad_(False).to(device)
