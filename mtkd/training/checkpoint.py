"""The run folder: recipe, checkpoint, metrics, and the file that marks a finished run.

``recipe.yaml`` (resolved), ``metrics.jsonl``, TensorBoard events, ``checkpoints/latest.pt``, ``samples/``,
then ``model.safetensors`` and ``card.json``; ``finished.json`` is written last. ``status.json``: see
:mod:`mtkd.training.status`.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mtkd.config import read_yaml
from mtkd.errors import Unwritable, UserError, check_format
from mtkd.files import Locked, lock, remove_unfinished, write_bytes, write_text
from mtkd.training.longer import resumed
from mtkd.training.recipe import Recipe, Then, parse
from mtkd.zoo.checkpoints import load_torch
from mtkd.zoo.model import read_card

CHECKPOINT_FORMAT = "mtkd-checkpoint/1"


class Busy(UserError):  # noqa: N818
    """Another process trains in this run folder."""


class RunFolder:
    """One run, one folder.

    Attributes:
        recipe: the recipe that it goes on with (:mod:`mtkd.training.longer`).
        longer: whether it has more iterations than the folder's.

    Raises:
        UserError: the folder is not writable, contains a run without ``resume``, or a run of another recipe.
    """

    def __init__(self, path: Path, recipe: Recipe, resume: bool, then: Then | None = None) -> None:
        self.path = path
        self.checkpoint = path / "checkpoints" / "latest.pt"
        self.metrics = path / "metrics.jsonl"
        self.recipe, self.longer = recipe, False
        self.standing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        if not (self.standing.is_dir() and os.access(self.standing, os.W_OK)):
            raise UserError(f"{path}: cannot be written; {self.standing} is not a writable folder")
        if (path / "recipe.yaml").exists():
            if not resume:
                raise UserError(f"{path}: already contains a run; resume it with --resume, or choose another --out")
            begun = read_recipe(path)
            self.recipe = resumed(path, begun, recipe, then)
            self.longer = self.recipe != begun
            if self.longer and self.finished and not self.checkpoint.exists():
                raise UserError(f"{self.checkpoint}: no such file; a finished run is made longer from its checkpoint")
        elif then is not None:
            raise UserError(f"--then {then}: says how a run is made longer; {path} contains none")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the folder for this process; the lock is released when the process ends, however it ends.

        Raises:
            Busy: another process holds the lock.
        """
        if not self.main:
            yield
            return
        try:
            with lock(self.path / ".lock", wait=False):
                remove_unfinished(self.path)
                yield
        except Locked:
            raise Busy(f"{self.path}: another process trains in this folder; wait for it, or stop it") from None
        except BaseException:
            self._remove_if_empty()
            raise

    def _remove_if_empty(self) -> None:
        """Of a run that never began, leave nothing behind."""
        if any((self.path / name).exists() for name in ("recipe.yaml", "start.yaml")):
            return
        for name in (".lock", "status.json"):
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.path.absolute(), *self.path.absolute().parents):
            if folder == self.standing or any(folder.iterdir()):
                break
            folder.rmdir()

    def begin(self) -> None:
        """Write the recipe: from now on the folder contains a run. A recipe that cannot start leaves no folder."""
        if self.longer:
            (self.path / "finished.json").unlink(missing_ok=True)
        if self.longer or not (self.path / "recipe.yaml").exists():
            write_text(self.path / "recipe.yaml", self.recipe.dump())

    @property
    def main(self) -> bool:
        """Whether this process writes files: the first one of a training on several devices."""
        return os.environ.get("RANK", "0") == "0"

    @property
    def finished(self) -> bool:
        return (self.path / "finished.json").exists()

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint atomically."""
        content = io.BytesIO()  # torch's own writer does not say why a file could not be written
        torch.save({"format": CHECKPOINT_FORMAT, **state}, content)
        write_bytes(self.checkpoint, content.getbuffer())

    def saved(self) -> str:
        """The path and iteration of the last checkpoint, as a sentence."""
        state = self.load()
        if state is None:
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {self.checkpoint}, of iteration {state['iteration']}."

    @contextmanager
    def told_if_unwritable(self) -> Iterator[None]:
        """Turn errors in writing files, as on a full disk, into a message that says what to do.

        Raises:
            UserError: a file cannot be written.
        """
        try:
            yield
        except (OSError, Unwritable) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            why = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
            raise UserError(
                f"{self.path}: cannot be written ({why}); free some space and continue with --resume. {self.saved()}"
            ) from error

    def card(self) -> dict[str, Any]:
        """The card of a finished run; see :func:`~mtkd.zoo.model.read_card`."""
        return read_card(self.path / "card.json")

    def load(self) -> dict[str, Any] | None:
        """The last checkpoint; None if there is none yet.

        Raises:
            UserError: unreadable, or of another format.
        """
        if not self.checkpoint.exists():
            return None
        state = load_torch(self.checkpoint)
        if not isinstance(state, dict) or "format" not in state:
            raise UserError(f"{self.checkpoint}: not a checkpoint; move the run folder away and start again")
        check_format(state["format"], CHECKPOINT_FORMAT, self.checkpoint)
        return state

    def cut_metrics(self, iteration: int) -> None:
        """Remove measurements after ``iteration``: a resumed run repeats them."""
        if not self.metrics.exists():
            return
        lines = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # the line that a crash cut short
                continue
            if row["iteration"] <= iteration:
                lines.append(line + "\n")
        write_text(self.metrics, "".join(lines))


def read_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run folder.

    Raises:
        UserError: not a run folder, or a damaged recipe.
    """
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise UserError(f"{path}: no such file; is {folder} a run folder?")
    return parse(read_yaml(path), str(path))
