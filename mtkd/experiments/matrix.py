"""Tables 2 to 5 and the controls as one graph of runs: which runs, in which order, and what identifies each."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal

from mtkd import networks, zoo
from mtkd.errors import UserError, unknown_name
from mtkd.experiments.plan import Plan, Table
from mtkd.files import data_hash
from mtkd.methods import runs_teacher
from mtkd.training.dataset import Dataset, find_folder
from mtkd.training.recipe import Data, Recipe


@dataclass(frozen=True)
class Run:
    """One model of the graph: trained by ``recipe``, or taken from the zoo if that is None.

    ``digest`` identifies it: a hash of all in the resolved recipe that decides the result, of the training images and
    of the digests of ``inputs``, the runs that it learns from; of a given model, of its weights file and its inputs.
    """

    digest: str
    name: str
    scale: int
    seed: int | None
    recipe: Recipe | None
    inputs: tuple[str, ...] = ()
    missing: str = ""
    """Why a model of the zoo is missing, in words."""

    @property
    def trained(self) -> bool:
        """Whether the graph has to provide it (trained, or missing); models of the zoo need nothing."""
        return self.recipe is not None or bool(self.missing)

    @property
    def folder(self) -> str:
        """Name of its folder."""
        seed = "" if self.seed is None else f"_s{self.seed}"
        return f"{self.name}_x{self.scale}{seed}-{self.digest[:8]}"

    def __str__(self) -> str:
        return f"{self.name} x{self.scale}" + ("" if self.seed is None else f" seed {self.seed}")


@dataclass(frozen=True)
class Line:
    """One line of a table, for all scales and seeds: the name of its model."""

    label: str
    model: str
    kind: Literal["model", "aggregator", "student"]


@dataclass(frozen=True)
class Row:
    """One line of a table at one scale and seed: ``label`` is a model's role or a variant."""

    table: str
    scale: int
    label: str
    seed: int | None
    digest: str


Kind = Literal["train", "cache", "measure"]


@dataclass(frozen=True)
class Task:
    """One task: train a run, cache its outputs on the training images, or measure it on the benchmark sets.

    ``inputs`` are the runs to load with this one, ``needs`` the keys of the tasks to do first.
    """

    kind: Kind
    run: Run
    inputs: tuple[Run, ...]
    needs: tuple[str, ...]
    self_ensemble: bool = False

    @property
    def key(self) -> str:
        """Identifies the task among those of all graphs."""
        return _key(self.kind, self.run, self.self_ensemble)

    def __str__(self) -> str:
        return f"{self.kind} {self.run}" + (", self-ensembled" if self.self_ensemble else "")


def _key(kind: Kind, run: Run, self_ensemble: bool = False) -> str:
    return f"{kind}{'-x8' if self_ensemble else ''}-{run.folder}"


@dataclass
class Matrix:
    """The graph of one plan: ``runs`` by digest, inputs first, and the ``rows`` that tables need.

    Args:
        plan: what can be trained.
        images: hash of the training images (see :func:`images_hash`), part of every run's identity; by scale, where
            scales have LR files of their own.
    """

    plan: Plan
    images: str | Callable[[int], str]
    runs: dict[str, Run] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    _known: dict[tuple[str, int, int | None], str] = field(default_factory=dict)
    _in_order: set[tuple[str, int, tuple[str, ...]]] = field(default_factory=set)

    def add(self, table: str, scales: Sequence[int], seeds: Sequence[int], only: Sequence[str] = ()) -> None:
        """Add the rows of one table, and the runs that they need.

        Every student's row comes once for each of ``seeds``; without students, every aggregator's does. ``only`` are
        patterns of labels ("kd", "v*").

        Raises:
            UserError: unknown table or pattern, a cycle, or anything wrong in one of the recipes.
        """
        entry = self.table(table)
        known = {label for t in self.plan.tables.values() for label in (*t.models, *t.variants)}
        for pattern in only:
            if not fnmatch.filter(known, pattern):
                raise unknown_name("method or variant", pattern, known)
        for scale in [s for s in scales if entry.scales is None or s in entry.scales]:
            for line in self.lines(entry):
                if only and not any(fnmatch.fnmatchcase(line.label, pattern) for pattern in only):
                    continue
                repeated = line.kind == ("student" if entry.variants else "aggregator")
                for seed in self.seeds_of(line, scale, seeds) if repeated else [None]:
                    run = self.run(line.model, scale, seed)
                    self.rows.append(Row(table, scale, line.label, run.seed, run.digest))

    def seeds_of(self, line: Line, scale: int, seeds: Sequence[int]) -> list[int]:
        """The recipes' seeds for the seeds that are asked for: the plan's first is the aggregator's own."""
        recipe = self.plan.recipe(line.model, scale)
        own = self.plan.seeds[0] if line.kind == "student" or recipe is None else recipe.seed
        return [own + seed - self.plan.seeds[0] for seed in seeds]

    def table(self, name: str) -> Table:
        """One table of the plan.

        Raises:
            UserError: unknown; the nearest is suggested.
        """
        if name not in self.plan.tables:
            raise unknown_name("table", name, self.plan.tables)
        return self.plan.tables[name]

    def lines(self, table: Table) -> list[Line]:
        """The lines of a table: models, then the student under each variant."""
        models = [
            Line(
                role,
                self.plan.model_name(role, self.plan.architecture(table.student) if table.student else None),
                "aggregator" if role in self.plan.aggregators else "model",
            )
            for role in table.models
        ]
        network = self.plan.student_network(table.student) if table.student else ""
        return models + [Line(variant, f"{network}-{variant}", "student") for variant in table.variants]

    def run(self, name: str, scale: int, seed: int | None = None, above: tuple[str, ...] = ()) -> Run:
        """The run of the model ``name``, added to the graph together with its inputs.

        Raises:
            UserError: a cycle of inputs.
        """
        if name in above:
            raise UserError(f"the graph has a cycle: {' -> '.join([*above[above.index(name) :], name])}")
        if (known := self._known.get((name, scale, seed))) is not None:
            return self.runs[known]
        recipe = self.plan.recipe(name, scale, seed)
        if recipe is None:
            run = self._given(name, scale)
        else:
            inputs = tuple(self.run(t, scale, above=(*above, name)).digest for t in recipe.teachers)
            if recipe.stage == "aggregate" and (order := (name, scale, recipe.teachers)) not in self._in_order:
                _check_order(*order)
                self._in_order.add(order)
            images = self.images if isinstance(self.images, str) else self.images(scale)
            begins = [self._given(recipe.init, scale).digest] if recipe.init else []
            identity = json.dumps([what_decides(recipe), inputs, images, *begins], sort_keys=True)
            run = Run(_sha(identity.encode()), name, scale, recipe.seed, recipe, inputs)
        self.runs.setdefault(run.digest, run)
        self._known[name, scale, seed] = run.digest
        return self.runs[run.digest]

    def _given(self, name: str, scale: int) -> Run:
        if name in networks.baselines():
            return Run(_sha(f"{name} x{scale}".encode()), name, scale, None, None)
        try:
            model = zoo.find(name, scale)
        except UserError as error:
            return Run(_sha(f"missing {name} x{scale}".encode()), name, scale, None, None, missing=str(error))
        inputs = tuple(self.run(t, scale, above=(name,)).digest for t in model.header.teachers)
        identity = model.path.read_bytes() + "".join(inputs).encode()
        return Run(_sha(identity), name, scale, None, None, inputs)

    def missing(self) -> list[Run]:
        """Models that the graph needs, but can neither train nor find."""
        return [run for run in self.runs.values() if run.missing]

    def closure(self, run: Run) -> tuple[Run, ...]:
        """A run's inputs, their inputs and so on."""
        runs: dict[str, Run] = {}
        for digest in run.inputs:
            runs[digest] = self.runs[digest]
            runs |= {deeper.digest: deeper for deeper in self.closure(self.runs[digest])}
        return tuple(runs.values())

    def tasks(self) -> dict[str, Task]:
        """All tasks by key, in an order in which they can be done: train, cache outputs, measure."""
        tasks: dict[str, Task] = {}
        for run in self.runs.values():
            inputs = self.closure(run)
            needs = [_key("train", r) for r in inputs if r.trained]
            if run.recipe is not None and _cached(run.recipe):
                for teacher in (self.runs[d] for d in run.inputs):
                    within = self.closure(teacher)
                    cache = Task(
                        "cache",
                        teacher,
                        within,
                        tuple(_key("train", r) for r in (teacher, *within) if r.trained),
                        run.recipe.self_ensemble,
                    )
                    tasks[cache.key] = cache
                    needs.append(cache.key)
            if run.trained:
                task = Task("train", run, inputs, tuple(needs))
                tasks[task.key] = task
        for run in (self.runs[d] for d in dict.fromkeys(row.digest for row in self.rows)):
            inputs = self.closure(run)
            needs = [_key("train", r) for r in (run, *inputs) if r.trained]
            task = Task("measure", run, inputs, tuple(needs))
            tasks[task.key] = task
        order = TopologicalSorter({key: task.needs for key, task in tasks.items()}).static_order()
        return {key: tasks[key] for key in order}


def _check_order(name: str, scale: int, teachers: tuple[str, ...]) -> None:
    """An aggregator that the zoo has under this name must know the same teachers in the same order."""
    for model in zoo.models(scale):
        stored = model.header.teachers
        if model.name == name and stored != teachers and sorted(stored) == sorted(teachers):
            raise UserError(
                f"{model.path}: aggregator '{name}' has the teachers in the order {', '.join(stored)}, the plan in "
                f"the order {', '.join(teachers)}; use that order in the plan, or name its aggregator differently"
            )


def _cached(recipe: Recipe) -> bool:
    return recipe.teacher_outputs == "cached" and bool(recipe.teachers) and not runs_teacher(recipe.method.name)


def what_decides(recipe: Recipe) -> dict[str, Any]:
    """The parts of a recipe that decide the result: not logging and snapshots, nor the place of its images."""
    return recipe.model_dump(mode="json", exclude={**dict.fromkeys(REPORTING, True), "data": PLACES})


REPORTING = ("log_every", "checkpoint_every", "validate_every", "snapshots", "compile")
"""Keys of a recipe that say what is told and kept of a training and how it is run, not what is trained."""
PLACES = {"train", "lr", "skip_damaged"}
"""Keys of a recipe's data that say which images; the images themselves are hashed."""


def images_hash(images: Data, recorded: Sequence[str] = (), scale: int = 4) -> str:
    """What identifies training images: the hash of their names and contents.

    Where they are not on this computer, the one hash that records of runs have; else "absent". ``scale`` matters where
    LR files are read.
    """
    if find_folder(images) is None:
        return recorded[0] if len(recorded) == 1 else "absent"
    return data_hash(Dataset(images, scale).files())


def images_by_scale(
    images: Data, recorded: Callable[[int | None], Sequence[str]] = lambda scale: (), elsewhere: bool = False
) -> str | Callable[[int], str]:
    """:func:`images_hash` as a :class:`Matrix` takes it; ``recorded`` gives the hashes in records (of a scale).

    With ``elsewhere`` the one hash in records is right, even if other images are here.
    """

    def of(scale: int | None) -> str:
        known = recorded(scale)
        digest = images_hash(images, known, scale or 4)
        return known[0] if elsewhere and digest not in known and len(known) == 1 else digest

    return cache(of) if images.lr else of(None)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def run_folder(out: Path, run: Run) -> Path:
    """The folder of a run."""
    return out / run.folder
