"""The catalogue: every trained model that can be named, where its weights lie, and what is known of it.

Models are looked up in the folders that the caller names, then in those of ``MTKD_ZOO`` (separated like ``PATH``), then
in ``models`` and ``runs`` of :func:`mtkd.home.home`, then in the bundled zoo, then in the folders that ``mtkd matrix``
keeps in those runs. A folder is a run folder with
``model.safetensors`` and ``card.json``, or holds run folders, or ``NAME_xS.safetensors`` files with ``NAME_xS.json``
cards. What cannot be read, weights or card, is left out with a warning, but for the caller's folders, where it is an
error: one file of a user's must not take the others away. A model may have been kept on its way, in ``snapshots``
beside its weights; it is then named ``NAME@STEP``.

What a model is (name, network, method, scale, step, role) its header and card say, never its file's name. Both are
read once, and again where a file has changed. Listing the bundled models needs no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
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
    """By ``NAME_xS``, or the run folder's name: why a model is missing that comes before all its namesakes."""


class Catalogue:
    """The models of some folders, by name and scale; of namesakes the first in the order of the folders counts.

    Every look sees the folders as they are, but only files that have changed are read again. Threads may share one.
    """

    def __init__(self, folders: Sequence[Path], strict: Sequence[Path] = ()) -> None:
        """``strict`` are those of the ``folders`` in which a file that cannot be read is an error."""
        self.folders, self.strict = tuple(folders), frozenset(strict)
        self._lock = Lock()
        self._paths: frozenset[Path] = frozenset()

    def models(self, scale: int | None = None) -> list[Model]:
        """All models that can be read (of one scale), teachers first, then aggregators, then students.

        Raises:
            UserError: a file in one of the ``strict`` folders cannot be read.
        """
        chosen = [model for model in self._look().models.values() if scale in (None, model.scale)]
        return sorted(chosen, key=lambda m: (m.scale, ROLES.index(m.role), m.name))

    @property
    def unreadable(self) -> dict[Path, UserError]:
        """The files that are left out, and why."""
        return self._look().unreadable

    def find(self, name: str, scale: int) -> Model:
        """One model by name and scale, or one on its way (``NAME@STEP``).

        Raises:
            UserError: unknown name or step (the nearest is suggested), a scale it was not trained for, or a file of
                that name that cannot be read.
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
            raise error  # rather than a namesake in another folder
        if (name, scale) in models:
            return models[name, scale]
        raise _missing(name, scale, list(models))

    def _look(self) -> _Look:
        look, paths = _Look({}, {}, {}), set()
        for folder in self.folders:
            for path in _files(folder):
                paths.add(path)
                try:
                    model = READER.model(path, folder == BUNDLED)
                    _check_network(model)
                except UserError as error:
                    if folder in self.strict:  # a caller means these, not namesakes elsewhere
                        raise
                    look.unreadable[path] = error
                    key = path.parent.name if path.name == "model.safetensors" else path.stem
                    if key not in {f"{name}_x{scale}" for name, scale in look.models}:
                        look.hidden.setdefault(key, error)
                    warn_once(str(error))
                    continue
                look.models.setdefault((model.name, model.scale), model)
        with self._lock:
            gone, self._paths = self._paths - paths, frozenset(paths)
        for path in gone:
            READER.forget(path)
        return look


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(folder.glob("*.safetensors"))
        yield from sorted(folder.glob("*/model.safetensors"))


def _check_network(model: Model) -> None:
    """Refuse a file of a network that is not declared; the bundled ones are, and looking them up needs torch."""
    if model.bundled:
        return
    from mtkd import networks

    specs = networks.specs()
    spec = specs.get(model.network)
    if spec is None and model.network != COMMUNITY:
        raise _unknown_network(model, list(specs))
    if spec and model.scale not in spec.scales:
        raise UserError(f"{model.path}: network '{model.network}' does not come in scale {model.scale}")
    if model.header.teachers and (spec is None or spec.role != "aggregator"):
        raise UserError(f"{model.path}: names teachers, but '{model.network}' is no aggregator")


def _unknown_network(model: Model, known: Sequence[str]) -> UserError:
    """The error for a model whose network nothing loaded declares; its card names the plugins that it needs."""
    files = [str(plugin["file"]) for plugin in model.card.get("plugins", ())]
    if not files:
        return UserError(f"{model.path}: {unknown_name('network', model.network, known)}")
    options = " ".join(f"--plugin {file}" for file in files)
    return UserError(f"{model.path}: was trained with the plugin {', '.join(files)}: load it, mtkd {options} ...")


def _missing(name: str, scale: int, known: Sequence[tuple[str, int]]) -> UserError:
    from mtkd import networks
    from mtkd.zoo import published

    if name in published.names():
        return UserError(
            f"the published weights of {name} x{scale} are not here: mtkd models fetch {name} --scale {scale}"
        )
    if scales := sorted(of for other, of in known if other == name):
        return UserError(f"model '{name}' is trained for scale {', '.join(map(str, scales))}, not {scale}")
    return unknown_name("model", name, {other for other, _ in known} | set(networks.baselines()))


def folders(sources: Sequence[Path] = ()) -> list[Path]:
    """Where models are looked up, first match wins: ``sources``, MTKD_ZOO, the user's own, the bundled zoo, then the
    runs of the user's plans, which never take the place of a bundled model."""
    named = [Path(p) for p in os.environ.get("MTKD_ZOO", "").split(os.pathsep) if p]
    return [*sources, *named, home() / "models", home() / "runs", BUNDLED, *plan_folders()]


def plan_folders() -> list[Path]:
    """The folders in which ``mtkd matrix`` keeps the runs of the user's plans."""
    return sorted(path.parent for path in (home() / "runs").glob("*/records.sqlite"))


@lru_cache(maxsize=32)
def _shared(places: tuple[Path, ...], strict: tuple[Path, ...]) -> Catalogue:
    return Catalogue(places, strict)


def catalogue(sources: Sequence[Path] = ()) -> Catalogue:
    """The catalogue of the default folders, the same one for all; with ``sources`` before them, which are strict."""
    return _shared(tuple(folders(sources)), tuple(sources))


def models(scale: int | None = None, sources: Sequence[Path] = ()) -> list[Model]:
    """All trained models that can be read; see :meth:`Catalogue.models`.

    Raises:
        UserError: a file in one of the ``sources`` that cannot be read.
    """
    return catalogue(sources).models(scale)


def find(name: str, scale: int, sources: Sequence[Path] = ()) -> Model:
    """One model by name and scale, or one on its way (``NAME@STEP``); ``sources`` are folders looked up first.

    Raises:
        UserError: as :meth:`Catalogue.find`.
    """
    return catalogue(sources).find(name, scale)


def load(name: str, scale: int, device: str | torch.device = "cpu", sources: Sequence[Path] = ()) -> nn.Module:
    """A trained model that maps an LR image (N, 3, h, w) in [0, 1] to (N, 3, scale h, scale w).

    It is in eval mode and frozen; ``sources`` are folders looked up first. An aggregator comes together with its
    teachers as a :class:`~mtkd.networks.aggregator.MultiTeacher`; ``bicubic`` is the interpolation.

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
