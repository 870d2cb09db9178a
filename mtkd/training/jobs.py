"""Trainings that run as processes of their own; each belongs to its folder, not to the program that started it.

The folders lie in ``runs`` of :func:`mtkd.home.home`. Beside what ``mtkd train`` writes (see
:mod:`mtkd.training.checkpoint`) a folder holds ``start.yaml``, the recipe as it was asked for, ``job.json``, which
process trains and on what device, and ``log.txt``, what the process says. All that is told of a run is read from there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from mtkd.config import read_yaml
from mtkd.errors import UserError, unknown_name
from mtkd.files import atomic_write
from mtkd.home import home, runs_folder
from mtkd.training.devices import check_device, environment
from mtkd.training.guards import falls
from mtkd.training.measured import HELD_OUT_PSNR, Measured
from mtkd.training.recipe import Recipe, parse
from mtkd.training.request import check
from mtkd.zoo.model import read_card

State = Literal["preparing", "running", "stopped", "failed", "finished", "damaged"]
_LOG_BYTES = 16_000
_known: dict[Path, Measured] = {}


@dataclass(frozen=True)
class Run:
    """One run as its folder tells it.

    Attributes:
        note: what is being prepared, or why it failed or cannot be read.
        recipe: None where it cannot be read.
        device: where the process trains or trained last, "cpu", "cuda", "cuda:1", ...
        iteration: the last that was measured.
        psnr: of the held-out images, dB, newest.
        speed: iterations a second, lately.
        seconds: since the process started; of a finished run, the time that the training took.
    """

    folder: Path
    state: State
    note: str = ""
    recipe: Recipe | None = None
    device: str = ""
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
        """A process works on it."""
        return self.state in ("preparing", "running")

    @property
    def iterations(self) -> int:
        """Of the whole training."""
        return self.recipe.iterations if self.recipe else 0

    @property
    def seconds_left(self) -> float | None:
        """At the present speed, without validation; None while nothing is trained."""
        if self.state != "running" or not self.speed:
            return None
        return (self.iterations - self.iteration) / self.speed


def runs() -> list[Run]:
    """All runs, the one that was started last first."""
    folder = runs_folder()
    written = {path: marks for path in folder.iterdir() if (marks := _marks(path))} if folder.is_dir() else {}
    return [look(path) for path in sorted(written, key=lambda path: (-max(written[path]), path.name))]


def find(name: str) -> Run:
    """One run by the name of its folder.

    Raises:
        UserError: no such run.
    """
    folder = runs_folder() / name
    if folder.parent != runs_folder() or not _marks(folder):
        raise unknown_name("run", name, [run.name for run in runs()])
    return look(folder)


def start(recipe: Recipe, device: str = "cpu") -> Run:
    """Start a training as a new process in a folder of its own; it goes on when this program ends.

    Raises:
        UserError: the recipe cannot be trained (see :func:`~mtkd.training.request.check`), or there is such a run.
    """
    check(recipe)
    check_device(device)
    folder = runs_folder() / f"{recipe.name}_x{recipe.scale}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        raise UserError(f"there is a run {folder.name}; resume it, delete it, or choose another name") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    with atomic_write(folder / "start.yaml") as temporary:
        temporary.write_text(recipe.dump(), encoding="utf-8")
    _launch(folder, device)
    return look(folder)


def resume(name: str, device: str | None = None) -> Run:
    """Go on with a run that was stopped or has failed, on the same device if none is given.

    Raises:
        UserError: no such run, or one that is active, finished or damaged.
    """
    run = find(name)
    device = device or run.device or "cpu"
    check_device(device)
    _launch(run.folder, device)
    return look(run.folder)


def stop(name: str) -> None:
    """Ask a run's process to save and end; it does so after the step that it is at.

    Raises:
        UserError: no such run, not active, or active in a process that was not started from here.
    """
    run = find(name)
    if not run.active:
        raise UserError(f"{name} is {run.state}; there is nothing to stop")
    process = _process(run.folder)
    if process is None:
        raise UserError(f"{name} is trained by a process that was started elsewhere; stop it there (Ctrl-C saves)")
    process.terminate()


def delete(name: str) -> Path:
    """Move a run out of the list and of the catalogue, into ``deleted`` of the home folder; returns where it is now.

    Raises:
        UserError: no such run, or an active one.
    """
    run = find(name)
    with FileLock(runs_folder() / ".starting"):
        if look(run.folder).active:
            raise UserError(f"{name} is being trained; stop it first")
        target = home() / "deleted" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}"
        target.parent.mkdir(exist_ok=True)
        _known.pop(run.folder, None)
        return run.folder.rename(target)


def measured(folder: Path) -> Measured:
    """What a run has measured, up to now."""
    found = _known.setdefault(folder, Measured(folder))
    found.read()
    return found


def newest_sample(folder: Path) -> Path | None:
    """The last picture of one held-out image: LR, the network's output and the ground truth side by side."""
    found = [path for path in folder.glob("samples/*.png") if path.stem.isdecimal()]
    return max(found, key=lambda path: int(path.stem), default=None)


def log(folder: Path) -> list[str]:
    """The last lines of what the process has said since it was started."""
    path = folder / "log.txt"
    if not path.is_file():
        return []
    begin = max(int(_job(folder).get("log_from", 0)), path.stat().st_size - _LOG_BYTES)
    with path.open("rb") as file:
        file.seek(begin)
        return file.read().decode("utf-8", "replace").splitlines()


def look(folder: Path) -> Run:
    """The run in a folder."""
    try:
        recipe = _recipe(folder)
    except UserError as error:
        return Run(folder, "damaged", str(error))
    job = _job(folder)
    known: dict[str, Any] = {"recipe": recipe, "device": str(job.get("device", ""))}
    if (folder / "finished.json").is_file():
        try:
            return Run(folder, "finished", **known, iteration=recipe.iterations, **_of_card(folder))
        except UserError as error:
            return Run(folder, "damaged", str(error), **known)
    numbers = measured(folder)
    known |= {
        "iteration": numbers.iteration,
        "psnr": numbers.last(HELD_OUT_PSNR),
        "speed": numbers.speed,
    }
    started = float(job.get("started", 0))
    if _process(folder) is not None or _locked(folder):
        known["seconds"] = time.time() - started if started else None
        if any(_changed(folder / name) >= started for name in ("recipe.yaml", "metrics.jsonl")):
            return Run(folder, "running", _fall(falls(numbers.rows)), **known)
        return Run(folder, "preparing", _last_line(folder) or "loading the libraries", **known)
    reason = _failure(log(folder))
    return Run(folder, "failed" if reason else "stopped", reason, **known)


def _launch(folder: Path, device: str) -> None:
    """Start the process of a run that has none, and write down which it is."""
    with FileLock(runs_folder() / ".starting"):
        run = look(folder)
        if run.active:
            raise UserError(f"{folder.name} is being trained already")
        if run.state in ("finished", "damaged"):
            raise UserError(f"{folder.name} is {run.state}; it cannot be resumed")
        recipe = next(path for path in _recipe_files(folder) if path.is_file())
        command = [sys.executable, "-m", "mtkd.cli", "train", str(recipe), "--out", str(folder), "--resume"]
        command += ["--cache", str(home() / "cache")]
        with (folder / "log.txt").open("ab") as file:
            job = {"device": device, "started": time.time(), "log_from": file.tell()}
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment(device),
            )
        with atomic_write(folder / "job.json") as temporary:
            temporary.write_text(json.dumps(job | {"pid": process.pid}), encoding="utf-8")
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays a zombie after its end


def _recipe_files(folder: Path) -> Sequence[Path]:
    return folder / "recipe.yaml", folder / "start.yaml"


def _recipe(folder: Path) -> Recipe:
    path = next((path for path in _recipe_files(folder) if path.is_file()), folder / "start.yaml")
    return _read(path, _changed(path))


@lru_cache(256)
def _read(path: Path, changed: float) -> Recipe:
    return parse(read_yaml(path), str(path))


def _marks(folder: Path) -> list[float]:
    """When the files were written that make a folder a run; none: it is no run."""
    files = [*_recipe_files(folder), folder / "job.json"]
    return [path.stat().st_mtime for path in files if path.is_file()]


def _job(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    kinds = {"pid": int, "started": float, "device": str, "log_from": int}
    right = isinstance(content, dict) and all(isinstance(content.get(key), kind) for key, kind in kinds.items())
    return content if right else {}


def _process(folder: Path) -> psutil.Process | None:
    """The living process that was started for a folder: by its number, and by what it was told to do."""
    try:
        process = psutil.Process(_job(folder)["pid"])
        return process if str(folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE else None
    except (KeyError, ValueError, psutil.Error):
        return None


def _locked(folder: Path) -> bool:
    """Whether any process trains in the folder."""
    if not (folder / ".lock").exists():
        return False
    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except Timeout:
        return True


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else -1.0


def _of_card(folder: Path) -> dict[str, Any]:
    card = read_card(folder / "card.json")
    try:
        return {
            "psnr": float(card["held_out"]["psnr"]),
            "seconds": float(card["seconds"]),
            "note": _fall(card.get("falls", [])),
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _fall(falls: Sequence[Mapping[str, float]]) -> str:
    """The last fall of the held-out PSNR in words, "" without any."""
    if not falls:
        return ""
    last = falls[-1]
    return f"Held-out PSNR fell by {last['best'] - last['psnr']:.2f} dB, at step {last['iteration']:,}."


def _last_line(folder: Path) -> str:
    return next((line.strip() for line in reversed(log(folder)) if line.strip()), "")


def _failure(lines: Sequence[str]) -> str:
    """Why a process ended that saved nothing: its one line for the user, or the end of a traceback."""
    for line in reversed(lines):
        if line.startswith("mtkd: "):
            return line.removeprefix("mtkd: ")
    if any(line.startswith("Traceback") for line in lines):
        return next((line for line in reversed(lines) if line.strip()), "")
    return ""
