"""The state of runs, read from their folders: status, measurements and log.

The folders are in ``runs`` of :func:`mtkd.home.home`. In addition to what ``mtkd train`` writes (see
:mod:`mtkd.training.checkpoint`), a folder contains ``start.yaml``, the requested recipe, and ``log.txt``, the output of
the process. ``status.json`` holds the state (:mod:`mtkd.training.status`); the lock shows whether the process is alive.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]

from mtkd.config import read_yaml
from mtkd.errors import UserError, unknown_name
from mtkd.files import is_locked
from mtkd.home import runs_folder
from mtkd.plugins import loaded
from mtkd.training.measured import Measured
from mtkd.training.recipe import Recipe, parse
from mtkd.training.status import here, read_status, written_status

State = Literal["preparing", "running", "stopped", "failed", "diverged", "finished", "unavailable", "damaged"]
RESUMABLE = ("stopped", "failed", "diverged")
_LOG_BYTES = 16_000
_known: dict[Path, Measured] = {}


@dataclass(frozen=True)
class Run:
    """The state of one run.

    Attributes:
        state: "unavailable" if a plugin that it needs is not loaded.
        note: what is being prepared, or why it failed or cannot be read.
        recipe: None if it cannot be read.
        device: last device of the training: "cpu", "cuda", "cuda:1", ...
        started: start of the process, in seconds since the epoch.
        iteration: the last measured iteration.
        psnr: latest PSNR of the held-out images, in dB.
        speed: current iterations per second.
        seconds: time since the process started; for a finished run, duration of the training.
    """

    folder: Path
    state: State
    note: str = ""
    recipe: Recipe | None = None
    device: str = ""
    started: float = 0
    iteration: int = 0
    psnr: float | None = None
    speed: float | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The folder's name, NAME_xSCALE of the model."""
        return self.folder.name

    @property
    def active(self) -> bool:
        """Whether a process trains it."""
        return self.state in ("preparing", "running")

    @property
    def iterations(self) -> int:
        """Number of iterations of the whole training."""
        return self.recipe.iterations if self.recipe else 0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the current speed, without validation; None while nothing is trained."""
        if self.state != "running" or not self.speed:
            return None
        return (self.iterations - self.iteration) / self.speed


def runs() -> list[Run]:
    """All runs, latest start first."""
    folder = runs_folder()
    states = [read_run(path) for path in folder.iterdir() if recipe_file(path)] if folder.is_dir() else []
    return sorted(states, key=lambda run: (-run.started, run.name))


def find(name: str) -> Run:
    """One run by the name of its folder.

    Raises:
        UserError: no such run.
    """
    folder = runs_folder() / name
    if folder.parent != runs_folder() or not recipe_file(folder):
        raise unknown_name("run", name, [run.name for run in runs()])
    return read_run(folder)


def measured(folder: Path) -> Measured:
    """The measurements of a run so far."""
    measurements = _known.setdefault(folder, Measured(folder))
    measurements.read()
    return measurements


def forget(folder: Path) -> None:
    """Drop cached data of a run whose folder is removed."""
    _known.pop(folder, None)


def newest_sample(folder: Path) -> Path | None:
    """The latest sample of a held-out image: LR, output and ground truth side by side."""
    samples = [path for path in folder.glob("samples/*.png") if path.stem.isdecimal()]
    return max(samples, key=lambda path: int(path.stem), default=None)


def log(folder: Path) -> list[str]:
    """The last lines of the output of the process."""
    path = folder / "log.txt"
    if not path.is_file():
        return []
    status = written_status(folder)
    begin = max(status.log_from if status else 0, path.stat().st_size - _LOG_BYTES)
    with path.open("rb") as file:
        file.seek(begin)
        return file.read().decode("utf-8", "replace").splitlines()


def read_run(folder: Path) -> Run:
    """The run in a folder."""
    # Asked before the status: a process that ends meanwhile has then written how.
    alive = process_of(folder) is not None or is_locked(folder / ".lock")
    try:
        status = read_status(folder)
    except UserError as error:
        return Run(folder, "damaged", str(error))
    path = recipe_file(folder) or folder
    changed = path.stat().st_mtime
    started = status.started or changed
    fields: dict[str, Any] = {"device": status.device, "started": started, "psnr": status.psnr}
    try:
        fields["recipe"] = _read(path, changed)
    except UserError as error:
        names = {plugin.name for plugin in loaded()}
        if missing := [plugin for plugin in status.plugins if plugin not in names]:
            options = " ".join(f"--plugin {plugin}" for plugin in missing)
            note = f"trained with {', '.join(missing)}; load it with mtkd {options}"
            return Run(folder, "unavailable", note, **fields)
        return Run(folder, "damaged", str(error), **fields)
    fields |= {"iteration": status.iteration, "speed": status.speed}
    if status.state == "finished":
        fields |= {"iteration": fields["recipe"].iterations, "seconds": status.seconds}
        return Run(folder, "finished", status.note, **fields)
    if alive:
        state: State = status.state if status.active else "running"  # its last lines are still to come
        return Run(folder, state, status.note, **fields | {"seconds": time.time() - started})
    if not status.active:
        return Run(folder, status.state, status.note, **fields)
    reason = _last_line(folder) if status.state == "preparing" else ""  # killed, or it never came to write its status
    return Run(folder, "stopped", reason, **fields)


def recipe_file(folder: Path) -> Path | None:
    """The recipe of the training, else the requested one; None if the folder contains no run."""
    return next((path for name in ("recipe.yaml", "start.yaml") if (path := folder / name).is_file()), None)


@lru_cache(256)
def _read(path: Path, changed: float) -> Recipe:
    return parse(read_yaml(path), str(path))


def process_of(folder: Path) -> psutil.Process | None:
    """The live process that was started for a folder, identified by its number and command line."""
    status = written_status(folder)
    if status is None or status.host != here()["host"]:
        return None
    try:
        process = psutil.Process(status.pid)
        return process if str(folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE else None
    except (ValueError, psutil.Error):
        return None


def _last_line(folder: Path) -> str:
    return next((line.strip() for line in reversed(log(folder)) if line.strip()), "")
