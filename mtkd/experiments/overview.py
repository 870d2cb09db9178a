"""Where a graph stands: every task with its state and what it will take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mtkd.experiments.cost import Estimator, lr_pixels
from mtkd.experiments.matrix import Task, run_folder
from mtkd.experiments.runner import Place, done, from_zoo, lock_file, needed, recorded
from mtkd.files import is_locked
from mtkd.images import image_size
from mtkd.training.dataset import Dataset, find_folder
from mtkd.training.recipe import Data

State = Literal["done", "recorded", "in the zoo", "running", "failed", "ready", "waiting", "missing", "not needed"]


@dataclass(frozen=True)
class Standing:
    """One task: its state, a word on it, and what it will take (operations and seconds of what is left to do)."""

    task: str
    kind: str
    model: str
    scale: int
    seed: int | None
    state: State
    note: str
    iteration: int | None
    iterations: int | None
    folder: str
    needs: tuple[str, ...]
    flops: float | None = None
    seconds: float | None = None
    measured: bool = False

    def row(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def overview(tasks: Mapping[str, Task], place: Place, estimator: Estimator | None = None) -> list[Standing]:
    """The state of all tasks in order; with an estimator also their cost."""
    pending = needed(tasks, place)
    pixels: dict[int, int] = {}
    rows = []
    for key, task in tasks.items():
        run, folder = task.run, run_folder(place.out, task.run)
        state, note = _state(task, place, folder, pending)
        iterations = run.recipe.iterations if run.recipe and task.kind == "train" else None
        iteration = iterations if state == "done" else _iteration(folder) if iterations else None
        cost = None
        if estimator is not None and key in pending and state not in ("missing", "in the zoo"):
            if run.scale not in pixels:
                pixels[run.scale] = _pixels(place.images, run.scale)
            cost = estimator.cost(task, pixels[run.scale])
        share = 1 - (iteration or 0) / iterations if iterations else 1.0
        rows.append(
            Standing(
                key,
                task.kind,
                run.name + (" (8 orientations)" if task.self_ensemble else ""),
                run.scale,
                run.seed,
                state,
                note,
                iteration,
                iterations,
                folder.name,
                task.needs,
                *(() if cost is None else (cost.flops * share, cost.seconds * share, cost.measured)),
            )
        )
    return rows


def _state(task: Task, place: Place, folder: Path, pending: Mapping[str, Task]) -> tuple[State, str]:
    if task.run.missing:
        return "missing", task.run.missing
    if done(task, place):
        return "recorded" if recorded(task, place) else "done", ""
    if task.key not in pending:
        return "not needed", ""
    if from_zoo(task, place):
        return "in the zoo", ""
    if is_locked(lock_file(task, place)):
        return "running", ""
    failure = folder / "failed.json"
    if failure.is_file():
        try:
            content = json.loads(failure.read_text(encoding="utf-8"))
            failed, message = content["task"], str(content["message"])
        except (ValueError, KeyError, TypeError):
            failed, message = task.key, f"{failure} is damaged"
        if failed == task.key:
            return "failed", message
    waiting = [need for need in task.needs if need in pending]
    return ("waiting", "") if waiting else ("ready", "")


def _iteration(folder: Path) -> int | None:
    """The last iteration that a run has logged."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return None
    for line in reversed(path.read_text(encoding="utf-8").splitlines()):
        try:
            return int(json.loads(line)["iteration"])
        except (ValueError, KeyError, TypeError):  # the line that is being written
            continue
    return None


def _pixels(images: Data, scale: int) -> int:
    if find_folder(images) is None:
        return 0
    return lr_pixels([image_size(path) for path in Dataset(images, scale).split()[0]], scale)


def totals(rows: Sequence[Standing]) -> dict[str, Any]:
    """How many tasks are in each state, and what all that is left will take."""
    states: dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
    return {
        "states": states,
        "flops": sum(row.flops or 0 for row in rows),
        "hours": sum(row.seconds or 0 for row in rows) / 3600,
        "measured_hours": sum(row.seconds or 0 for row in rows if row.measured) / 3600,
    }
