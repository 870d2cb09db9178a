"""Trainings in separate processes. Each belongs to its folder and continues if the program that started it ends.

Their state is read by :mod:`mtkd.training.run_state`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from mtkd.errors import UserError
from mtkd.files import lock, write_text
from mtkd.home import home, run_folder, runs_folder
from mtkd.training.devices import check_device, devices, environment
from mtkd.training.recipe import Recipe
from mtkd.training.request import check
from mtkd.training.run_state import RESUMABLE, Run, find, forget, process_of, read_run, recipe_file
from mtkd.training.status import StatusFile, here, read_status


def start(recipe: Recipe, device: str = "cpu") -> Run:
    """Start a training as a new process in a new folder; it continues when this program ends.

    Raises:
        UserError: the recipe cannot be trained (see :func:`~mtkd.training.request.check`), or the run exists.
    """
    check(recipe)
    check_device(device)
    folder = run_folder(recipe.name, recipe.scale)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        raise UserError(f"run {folder.name} exists; resume it, delete it, or choose another name") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    write_text(folder / "start.yaml", recipe.dump())
    _launch(folder, device)
    return read_run(folder)


def resume(name: str, device: str | None = None) -> Run:
    """Resume a run that was stopped or has failed, on the same device if none is given.

    Raises:
        UserError: no such run, or one that is active, finished or damaged.
    """
    run = find(name)
    device = device or run.device or devices()[0]
    check_device(device)
    _launch(run.folder, device)
    return read_run(run.folder)


def stop(name: str) -> None:
    """Ask the process of a run to save a checkpoint and end, after its current step.

    Raises:
        UserError: no such run, not active, or trained by a process that was not started here.
    """
    run = find(name)
    if not run.active:
        raise UserError(f"{name} is {run.state}; there is nothing to stop")
    process = process_of(run.folder)
    if process is None:
        raise UserError(
            f"{name} is trained by a process that was not started here; stop it there (Ctrl-C saves a checkpoint)"
        )
    process.terminate()


def delete(name: str) -> Path:
    """Delete a run: move it from the list and the catalogue to ``deleted`` in the home folder. Returns the new path.

    Raises:
        UserError: no such run, or an active one.
    """
    run = find(name)
    with lock(runs_folder() / ".starting"):
        if read_run(run.folder).active:
            raise UserError(f"{name} is being trained; stop it first")
        target = home() / "deleted" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}"
        target.parent.mkdir(exist_ok=True)
        forget(run.folder)
        return run.folder.rename(target)


def _launch(folder: Path, device: str) -> None:
    """Start the process of a run that has none, and write down which it is."""
    with lock(runs_folder() / ".starting"):
        run = read_run(folder)
        if run.active:
            raise UserError(f"{folder.name} is being trained already")
        if run.state not in RESUMABLE or run.recipe is None:
            raise UserError(f"{folder.name} is {run.state}; it cannot be resumed")
        command = [sys.executable, "-m", "mtkd.cli", "train", str(recipe_file(folder)), "--out", str(folder)]
        command += ["--resume", "--cache", str(home() / "cache")]
        with (folder / "log.txt").open("ab") as file:
            log_from = file.tell()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment(device),
            )
        status = StatusFile(folder)
        status.status = read_status(folder)
        plugins = tuple(plugin.name for plugin in run.recipe.plugins())
        fields = here() | {"pid": process.pid, "device": device, "log_from": log_from, "plugins": plugins}
        status.update(**fields, state="preparing", note="loading libraries")
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays a zombie after its end
