"""Run the tasks of a graph: in order in this process, or on Ray (:mod:`mtkd.experiments.cluster`).

A folder of runs holds, beside the run folders, ``cache/`` and the table of all runs (:mod:`~mtkd.experiments.records`).
Each run folder also has ``run.json`` (what identifies it), ``scores.json`` (its benchmark numbers, image by image)
and, after a failure, ``failed.json``.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

from mtkd import zoo
from mtkd.data.benchmarks import NO_SETS, BenchmarkImage, benchmark, present
from mtkd.data.patches import ImagePair, ImagePairs
from mtkd.errors import UserError
from mtkd.evaluate import evaluate
from mtkd.experiments.matrix import Run, Task, run_folder, what_decides
from mtkd.files import Locked, data_hash, lock, write_bytes, write_json, write_text
from mtkd.images import UInt8Image
from mtkd.metrics import DEFAULT, spec
from mtkd.teacher_cache import TeacherCache
from mtkd.training.checkpoint import Busy, read_recipe
from mtkd.training.dataset import Dataset, find_folder
from mtkd.training.log import Report
from mtkd.training.loop import train
from mtkd.training.recipe import Data, parse
from mtkd.training.stages import frozen_network
from mtkd.training.stop import Interrupted, Stop, stop_on_signal
from mtkd.zoo.checkpoints import weights_hash

HELD_OUT = "held out"
"""The name of the held-out training images as a set; all choices are made on it."""


@dataclass(frozen=True)
class Place:
    """Where tasks run.

    Attributes:
        out: the folder of runs.
        data: the folder of benchmark sets, if there is one.
        images: the plan's training images, and those of them that are held out.
        threads: CPU threads per task. One is fastest for small networks, and makes runs repeatable.
        anew: train runs even if the zoo holds them.
        recorded: runs that were measured elsewhere: by digest and set, the hash of the set's HR files.
        metrics: metrics to measure on benchmark sets.
    """

    out: Path
    data: Path | None
    images: Data
    threads: int = 1
    anew: bool = False
    recorded: Mapping[tuple[str, str], str] = field(default_factory=dict)
    metrics: tuple[str, ...] = DEFAULT

    @property
    def cache(self) -> Path:
        return self.out / "cache"

    @property
    def device(self) -> torch.device:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a task; ``message`` says why it was not done."""

    key: str
    state: Literal["done", "failed", "skipped"]
    message: str = ""
    seconds: float = 0.0


# --- what is done already


def done(task: Task, place: Place) -> bool:
    """Whether a task is done."""
    folder = run_folder(place.out, task.run)
    if task.kind == "train":
        return all((folder / name).exists() for name in ("finished.json", "run.json", "model.safetensors"))
    if task.kind == "cache":
        return _marker(task, place).exists()
    known = {name: images_hash for (digest, name), images_hash in place.recorded.items() if digest == task.run.digest}
    known |= {name: scores["images_hash"] for name, scores in read_scores(folder).items() if _complete(scores, place)}
    return bool(known) and _sets(task.run.scale, place.data, place.images).items() <= known.items()


def recorded(task: Task, place: Place) -> bool:
    """Whether a measurement comes from the bundled records and is not in the folder of runs."""
    return task.kind == "measure" and done(task, place) and not done(task, replace(place, recorded={}))


def needed(tasks: Mapping[str, Task], place: Place) -> dict[str, Task]:
    """The tasks to do: measurements that are not done and what they need, in the same order."""
    pending: set[str] = set()

    def visit(key: str) -> None:
        if key not in pending and not done(tasks[key], place):
            pending.add(key)
            taken = from_zoo(tasks[key], place)
            for need in tasks[key].needs:
                if not (taken and tasks[need].kind == "cache"):  # what is not trained needs no teachers' outputs
                    visit(need)

    for key, task in tasks.items():
        if task.kind == "measure":
            visit(key)
    return {key: task for key, task in tasks.items() if key in pending}


def read_scores(folder: Path) -> dict[str, Any]:
    """``scores.json`` of a run folder: by set ``{"protocol", "images": [{image, psnr, ssim, ...}]}`` and provenance.

    The provenance is that of :class:`~mtkd.evaluate.SetScore`.
    """
    path = folder / "scores.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _complete(scores: Mapping[str, Any], place: Place) -> bool:
    """Whether a set's scores have all metrics that are wanted."""
    return all({*place.metrics} <= row.keys() for row in scores["images"])


def _marker(task: Task, place: Place) -> Path:
    return place.cache / f"{task.key}.json"


# --- doing it


def perform(task: Task, place: Place, report: Report) -> None:
    """Do one task, unless it is done.

    Raises:
        Busy: another process is working on it.
        Interrupted: a signal arrived; finished work is kept. UserError: it cannot be done, and why.
    """
    torch.set_num_threads(place.threads)
    place.out.mkdir(parents=True, exist_ok=True)
    try:
        with lock(lock_file(task, place), wait=False):
            if not done(task, place):
                {"train": _train, "cache": _cache, "measure": _measure}[task.kind](task, place, report)
    except Locked:
        raise Busy(f"{task}: another process is working on it") from None


def lock_file(task: Task, place: Place) -> Path:
    """The lock file of a task, held by the process that works on it."""
    return place.out / ".locks" / f"{task.key}.lock"


def _sources(task: Task, place: Place) -> list[Path]:
    return [run_folder(place.out, run) for run in (task.run, *task.inputs) if run.recipe is not None]


def _train(task: Task, place: Place, report: Report) -> None:
    run, folder = task.run, run_folder(place.out, task.run)
    assert run.recipe is not None
    recipe = run.recipe
    if (folder / "recipe.yaml").exists():
        begun = read_recipe(folder)
        recipe = begun if what_decides(begun) == what_decides(recipe) else recipe  # e.g. logged at other intervals
    elif _adopt(task, place, folder):
        return
    train(recipe, folder, True, report, place.cache, _sources(task, place))
    write_json(folder / "run.json", _identity(run))


def in_zoo(run: Run, place: Place) -> zoo.Model | None:
    """The model of the zoo that is this run according to its card: the same recipe on the same images."""
    if run.recipe is None or place.anew or find_folder(place.images) is None:
        return None
    for model in zoo.models(run.scale):
        card = model.card
        if (
            model.name != run.name
            or "recipe" not in card
            or card["data"]["hash"] != _training_images(place.images, run.scale)
        ):
            continue
        if what_decides(parse(card["recipe"], str(model.path))) == what_decides(run.recipe):
            return model
    return None


def from_zoo(task: Task, place: Place) -> bool:
    """Whether a run is taken from the zoo instead of being trained; only if its teachers are, too."""

    def taken(run: Run) -> bool:
        folder = run_folder(place.out, run)
        if (folder / "run.json").exists():
            return "adopted" in json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return not (folder / "recipe.yaml").exists() and in_zoo(run, place) is not None

    return task.kind == "train" and all(taken(run) for run in (task.run, *task.inputs) if run.recipe is not None)


def _adopt(task: Task, place: Place, folder: Path) -> bool:
    """Take the run from the zoo, where it has it and its teachers had the weights that ours have."""
    run, model = task.run, in_zoo(task.run, place)
    if run.recipe is None or model is None:
        return False
    cpu, sources = torch.device("cpu"), _sources(task, place)
    taught = {
        name: frozen_network(name, run.scale, cpu, sources, run.recipe.self_ensemble) for name in run.recipe.teachers
    }
    if {name: weights_hash(network) for name, network in taught.items()} != model.card["teachers"]:
        return False
    write_bytes(folder / "model.safetensors", model.path.read_bytes())
    write_text(folder / "recipe.yaml", run.recipe.dump())
    write_json(folder / "card.json", model.card)
    write_json(folder / "run.json", _identity(run) | {"adopted": model.path.name})
    write_json(folder / "finished.json", {"iterations": run.recipe.iterations})
    return True


def _cache(task: Task, place: Place, report: Report) -> None:
    run, dataset = task.run, Dataset(place.images, task.run.scale)
    sources = _sources(task, place)
    network = frozen_network(run.name, run.scale, place.device, sources, task.self_ensemble)
    for what, files in zip(("outputs", "held-out outputs"), dataset.split(), strict=True):
        pairs = dataset.pairs(files)
        cache = TeacherCache(place.cache, run.name, network, pairs)

        def progress(number: int, of: int, what: str = what) -> None:
            report({"task": f"{what} of {run.name}", "done": number, "of": of})

        cache.fill(place.device, progress)
    write_json(_marker(task, place), {"folder": cache.folder.name})


def _measure(task: Task, place: Place, report: Report) -> None:
    run, folder = task.run, run_folder(place.out, task.run)
    network = zoo.load(run.name, run.scale, place.device, _sources(task, place))
    scores = read_scores(folder)
    for set_name, images_hash in _sets(run.scale, place.data, place.images).items():
        present = scores.get(set_name, {})
        if present.get("images_hash") == images_hash and _complete(present, place):
            continue

        def progress(number: int, of: int, set_name: str = set_name) -> None:
            report({"task": f"{run.name} on {set_name}", "done": number, "of": of})

        images = images_of(set_name, run.scale, place.data, place.images)
        result = evaluate(network, images, run.scale, place.device, progress, place.metrics)
        scores[set_name] = {
            "protocol": result.protocol,
            **result.provenance,
            "images": [
                {"image": s.image, **{name: round(v, spec(name).digits + 1) for name, v in s.metrics.items()}}
                for s in result.scores
            ],
        }
    if run.recipe is None:
        write_json(folder / "run.json", _identity(run))
    write_json(folder / "scores.json", scores)


def _identity(run: Run) -> dict[str, Any]:
    return {"digest": run.digest, "name": run.name, "scale": run.scale, "seed": run.seed, "inputs": list(run.inputs)}


# --- images to train and to measure on


@lru_cache(maxsize=12)
def _training_images(images: Data, scale: int) -> str:
    return data_hash(Dataset(images, scale).files())


@dataclass(frozen=True)
class _HeldOut(BenchmarkImage):
    pairs: ImagePairs
    index: int

    def read(self) -> tuple[UInt8Image, UInt8Image]:
        pair: ImagePair = self.pairs[self.index]
        return pair.lr.permute(1, 2, 0).numpy(), pair.hr.permute(1, 2, 0).numpy()


@lru_cache(maxsize=256)
def images_of(name: str, scale: int, data: Path | None, images: Data) -> Sequence[BenchmarkImage]:
    """The images of a benchmark set in the folder ``data``, or the held-out training images.

    Raises:
        UserError: no such set or folder.
    """
    if name != HELD_OUT:
        if data is None:
            raise UserError(NO_SETS)
        return benchmark(data, name, scale)
    dataset = Dataset(images, scale)
    files = dataset.split()[1]
    pairs = dataset.pairs(files)
    return [_HeldOut(file.stem, file, file, pairs, index) for index, file in enumerate(files)]


@lru_cache(maxsize=16)
def _sets(scale: int, data: Path | None, images: Data) -> dict[str, str]:
    """The sets that are on this computer, held-out images first, with the hash of their HR files."""
    names = [HELD_OUT] if find_folder(images) else []
    names += present(data, scale) if data else []
    return {name: data_hash(image.hr for image in images_of(name, scale, data, images)) for name in names}


# --- one after the other


Announce = Callable[[Outcome, int, int], None]
"""Called with (outcome of a task, tasks ended, number of tasks)."""


def run_here(
    tasks: Mapping[str, Task],
    place: Place,
    reporter: Callable[[Task], Any],
    announce: Announce,
    waits: Callable[[int], None] = lambda count: None,
    patience: float = 5.0,
) -> list[Outcome]:
    """Do all tasks in this process, in order. A failed task is recorded; only tasks that need it are skipped.

    Several processes can work on the same graph and folder: each takes tasks that no other works on.

    Args:
        reporter: returns, for a task, a context whose ``report`` shows its progress.
        waits: called once, with the number of tasks, when all remaining tasks belong to other processes.
        patience: seconds between checks of the tasks of other processes.

    Raises:
        Interrupted: a signal arrived; what was done is kept.
    """
    # What is trained is measured at once: numbers come in as runs end, not all at the end.
    pending = dict(sorted(tasks.items(), key=lambda item: item[1].kind != "measure"))
    outcomes: dict[str, Outcome] = {}
    waiting = False
    with stop_on_signal() as stop:
        while pending:
            if stop.requested:
                raise Interrupted("stopped between two tasks")
            outcome = _next(pending, tasks, outcomes, place, reporter, stop)
            if outcome is not None:
                outcomes[outcome.key] = outcome
                del pending[outcome.key]
                announce(outcome, len(outcomes), len(tasks))
                waiting = False
                continue
            if not waiting:
                waits(len(pending))
            waiting = True
            time.sleep(patience)
    return list(outcomes.values())


def _next(
    pending: Mapping[str, Task],
    tasks: Mapping[str, Task],
    outcomes: Mapping[str, Outcome],
    place: Place,
    reporter: Callable[[Task], Any],
    stop: Stop,
) -> Outcome | None:
    """Do the first possible task; None if other processes work on all of them."""
    for key, task in pending.items():
        blocked = [outcomes[n] for n in task.needs if n in outcomes and outcomes[n].state != "done"]
        if blocked:
            return Outcome(key, "skipped", f"{task}: needs {tasks[blocked[0].key]}, which did not finish")
        if any(need in pending for need in task.needs):
            continue
        try:
            return attempt(task, place, reporter, stop)
        except Busy:
            continue
    return None


def attempt(task: Task, place: Place, reporter: Callable[[Task], Any], stop: Stop | None = None) -> Outcome:
    """Do one task and return its outcome; a failure is recorded in ``failed.json`` until the task succeeds.

    Caching and measuring end if ``stop`` is requested; a training handles signals itself.

    Raises:
        Busy, Interrupted: as :func:`perform`.
    """
    folder, began = run_folder(place.out, task.run), time.monotonic()
    try:
        with reporter(task) as progress:

            def report(event: Mapping[str, Any]) -> None:
                progress.report(event)
                if stop and stop.requested:
                    raise Interrupted(f"stopped at {task}; finished work is kept")

            perform(task, place, report)
    except (Busy, Interrupted):
        raise
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        details = {"task": task.key, "message": message, "traceback": traceback.format_exc()}
        with suppress(UserError):  # a folder that cannot be written to may be what failed
            write_json(folder / "failed.json", details)
        return Outcome(task.key, "failed", f"{task}: {message}", time.monotonic() - began)
    (folder / "failed.json").unlink(missing_ok=True)
    return Outcome(task.key, "done", "", time.monotonic() - began)
