"""The run folder: recipe, checkpoint, metrics, and the file that says a run is finished.

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
from mtkd.training.recipe import Recipe, parse
from mtkd.zoo.checkpoints import load_torch
from mtkd.zoo.model import read_card

CHECKPOINT_FORMAT = "mtkd-checkpoint/1"


class Busy(UserError):  # noqa: N818
    """Another process trains in this run folder."""


class RunFolder:
    """One run, one folder.

    Raises:
        UserError: the folder cannot be written to, already holds a run and ``resume`` was not asked for, or
            holds another recipe's.
    """

    def __init__(self, path: Path, recipe: Recipe, resume: bool) -> None:
        self.path = path
        self.checkpoint = path / "checkpoints" / "latest.pt"
        self.metrics = path / "metrics.jsonl"
        self.recipe = recipe
        self.standing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        if not (self.standing.is_dir() and os.access(self.standing, os.W_OK)):
            raise UserError(f"{path}: cannot be written; {self.standing} is no folder that can be written to")
        if (path / "recipe.yaml").exists():
            if not resume:
                raise UserError(f"{path}: already holds a run; go on with --resume, or choose another --out")
            old = read_recipe(path)
            if old != recipe:
                new, before = recipe.model_dump(), old.model_dump()
                changed = sorted(key for key in new if new[key] != before[key])
                raise UserError(f"{path}: holds a run of another recipe ({', '.join(changed)} differ)")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder; the lock ends with the process, however that ends.

        Raises:
            Busy: another one is there.
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
        """Write the recipe: from now on the folder holds a run. A recipe that cannot start leaves no folder."""
        if not (self.path / "recipe.yaml").exists():
            write_text(self.path / "recipe.yaml", self.recipe.dump())

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes, the first of a training on several devices."""
        return os.environ.get("RANK", "0") == "0"

    @property
    def finished(self) -> bool:
        return (self.path / "finished.json").exists()

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint, atomically: a crash leaves the old one or the new one."""
        content = io.BytesIO()  # torch's own writer does not say why a file could not be written
        torch.save({"format": CHECKPOINT_FORMAT, **state}, content)
        write_bytes(self.checkpoint, content.getbuffer())

    def saved(self) -> str:
        """Where the last checkpoint is and of which iteration, as a sentence."""
        state = self.load()
        if state is None:
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {self.checkpoint}, of iteration {state['iteration']}."

    @contextmanager
    def told_if_unwritable(self) -> Iterator[None]:
        """A file that cannot be written, as on a full disk, ends a training with what to do.

        Raises:
            UserError: instead of an OSError, or with advice in place of :func:`~mtkd.images.atomic_write`'s.
        """
        try:
            yield
        except (OSError, Unwritable) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            why = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
            raise UserError(
                f"{self.path}: cannot be written ({why}); make room and go on with --resume. {self.saved()}"
            ) from error

    def card(self) -> dict[str, Any]:
        """The card of a finished run; see :func:`~mtkd.zoo.model.read_card`."""
        return read_card(self.path / "card.json")

    def load(self) -> dict[str, Any] | None:
        """The last checkpoint; None when the run has none yet.

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
        """Forget what was measured after ``iteration``: a resumed run measures it again."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # the line that a crash cut short
                continue
            if row["iteration"] <= iteration:
                kept.append(line + "\n")
        write_text(self.metrics, "".join(kept))


def read_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run folder.

    Raises:
        UserError: not a run folder, or a damaged recipe.
    """
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise UserError(f"{path}: no such file; is {folder} a run folder?")
    return parse(read_yaml(path), str(path))
