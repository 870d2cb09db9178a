"""``status.json`` of a run folder: the state of the training process, for other programs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mtkd.errors import Unwritable, UserError
from mtkd.files import write_json
from mtkd.training.guards import Diverged, falls
from mtkd.training.measured import HELD_OUT_PSNR, Measured
from mtkd.training.stop import Interrupted
from mtkd.zoo.model import read_card

FILE = "status.json"
SECONDS = 1.0
"""Minimum time between two writes while only numbers change."""


class Status(BaseModel):
    """The latest state of a run.

    Attributes:
        note: what is being prepared, why it failed, or how far the held-out PSNR has fallen.
        started: start of the process, in seconds since the epoch.
        device: requested device, "cuda:1"; "" if none was requested.
        log_from: offset in ``log.txt`` at which the output of this process begins.
        iteration: the last iteration that was measured or saved.
        speed: current iterations per second.
        psnr: latest PSNR of the held-out images, in dB.
        seconds: duration of the training up to the last checkpoint, over all processes.
        plugins: files or modules that declare its network, method or loss.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["preparing", "running", "stopped", "failed", "diverged", "finished"] = "preparing"
    note: str = ""
    pid: int = 0
    host: str = ""
    started: float = 0
    device: str = ""
    log_from: int = 0
    iteration: int = 0
    iterations: int = 0
    speed: float | None = None
    psnr: float | None = None
    seconds: float = 0
    plugins: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether a process trains the run, unless it was killed."""
        return self.state in ("preparing", "running")


def here() -> dict[str, Any]:
    """The fields of this process."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}


def written_status(folder: Path) -> Status | None:
    """The content of ``status.json``; None if it is missing or damaged."""
    try:
        return Status.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None


def read_status(folder: Path) -> Status:
    """The last status of a run; for older runs, derived from their other files.

    Raises:
        UserError: the run is finished and its card cannot be read.
    """
    # A process of before wrote none: whether it is active, its lock says.
    status = written_status(folder) or Status(state="running", **measurements(Measured(folder)))
    if not (folder / "finished.json").is_file():  # without it, one that says so was killed at its very end
        return status.model_copy(update={"state": "running"}) if status.state == "finished" else status
    card = read_card(folder / "card.json")
    done: dict[str, Any] = {"state": "finished", "note": _fall(card.get("falls", ()))}
    with suppress(KeyError, TypeError, ValueError):
        done |= {"psnr": float(card["held_out"]["psnr"]), "seconds": float(card["seconds"])}
        done["plugins"] = status.plugins or tuple(plugin["file"] for plugin in card.get("plugins", ()))
    return status.model_copy(update=done)


def measurements(measured: Measured) -> dict[str, Any]:
    """The fields that follow from the measurements of a run."""
    rows = measured.read()
    return {
        "note": _fall(falls(rows)),
        "iteration": measured.iteration,
        "speed": measured.speed,
        "psnr": measured.last(HELD_OUT_PSNR),
    }


class StatusFile:
    """The status of a run that this process trains; the file is at most :data:`SECONDS` old."""

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self.path, self.writes = folder / FILE, writes
        self.status, self._written = Status(), 0.0

    def update(self, **changes: Any) -> None:
        """Change some fields; a change of the state is written at once."""
        same = changes.get("state", self.status.state) == self.status.state
        self.status = self.status.model_copy(update=changes)
        if not same or time.monotonic() - self._written > SECONDS:
            self.write()

    def write(self) -> None:
        """Write the file now."""
        if self.writes:
            write_json(self.path, self.status.model_dump())
        self._written = time.monotonic()


@contextmanager
def status_of(folder: Path, iterations: int, plugins: Sequence[str], writes: bool = True) -> Iterator[StatusFile]:
    """Maintain the status of a run while this process prepares and trains it, failures included.

    Device and log offset stay as written by :func:`mtkd.training.jobs.start`.
    """
    file = StatusFile(folder, writes)
    begun = here() | {"state": "preparing", "note": "", "iterations": iterations, "plugins": tuple(plugins)}
    file.status = (written_status(folder) or file.status).model_copy(update=begun)
    file.write()
    try:
        yield file
    except Exception as error:
        state = "stopped" if isinstance(error, Interrupted) else "diverged" if isinstance(error, Diverged) else "failed"
        name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        with suppress(Unwritable):  # a full disk is what it may have failed of
            file.update(state=state, note="" if state == "stopped" else f"{name}{error}")
        raise


def _fall(falls: Sequence[Mapping[str, float]]) -> str:
    """The last fall of the held-out PSNR in words, "" without any."""
    if not falls:
        return ""
    last = falls[-1]
    return f"Held-out PSNR fell by {last['best'] - last['psnr']:.2f} dB, at step {last['iteration']:,}."
