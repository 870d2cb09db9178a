"""The cost of a graph before it runs: counted floating-point operations and estimated seconds.

Operations are counted by PyTorch on tensors without memory, exactly: one step of forward, backward and teacher, times
the steps. Seconds come from finished runs of the same network, method and patch where the records have any, else from
the operations and the speed of a small training step, timed here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from mtkd import networks, zoo
from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.experiments.matrix import Run, Task
from mtkd.experiments.records import Records
from mtkd.infer import SelfEnsemble
from mtkd.methods import Method, create, runs_teacher
from mtkd.networks.aggregator import MultiTeacher
from mtkd.plugins import METHODS
from mtkd.training.recipe import Recipe, parse
from mtkd.zoo.costs import FlopCounter


@dataclass(frozen=True)
class Cost:
    """``flops`` of a whole task; ``seconds`` on one device or, on a CPU, one thread; ``measured``: on equal runs."""

    flops: float
    seconds: float
    measured: bool


class Estimator:
    """Costs of the tasks of one graph on this computer, or on a device that sustains ``flops`` operations a second."""

    def __init__(
        self, runs: Mapping[str, Run], records: Records | None, device: torch.device, flops: float | None = None
    ) -> None:
        self.runs, self.device, self.flops = runs, device, flops
        self._steps: dict[str, float] = {}
        self.measured: dict[tuple[object, ...], list[float]] = {}
        cards = [(model.name, model.card) for model in zoo.models()]
        cards += [(run["folder"], run) for run in records.runs.values()] if records else []
        for name, card in cards:
            if card.get("recipe") and card.get("seconds") and card["device"] == device.type:
                recipe = parse(card["recipe"], name)
                self.measured.setdefault(_kind(recipe), []).append(card["seconds"] / recipe.iterations)

    def cost(self, task: Task, pixels: int) -> Cost:
        """The cost of one task; ``pixels``: LR pixels of all training images (0 where they are not here)."""
        run = task.run
        if task.kind == "train":
            if run.recipe is None:
                return Cost(0, 0, True)
            flops = self.step(run.recipe) * run.recipe.iterations
            if self.flops is None and (known := self.measured.get(_kind(run.recipe))):
                return Cost(flops, run.recipe.iterations * sum(known) / len(known), True)
            return Cost(flops, flops / self.speed(), False)
        if task.kind == "cache":
            flops = self._forward(run) * pixels * (8 if task.self_ensemble else 1)
            return Cost(flops, flops / self.speed(), False)
        return Cost(0, 0, False)  # measuring takes seconds

    def check(self) -> None:
        """Build every run's networks and method, without memory: what cannot be trained is told before hours pass.

        Raises:
            UserError: a teacher without what the method needs, or a wrong option.
        """
        for run in self.runs.values():
            if run.recipe is not None:
                try:
                    self._prepared(run.recipe)
                except UserError as error:
                    raise UserError(f"{run}: {error}") from error

    def step(self, recipe: Recipe) -> float:
        """Floating-point operations of one training step: forward, backward, the teacher's passes."""
        weights = METHODS[recipe.method.name].build.weights
        options = {k: v for k, v in recipe.method.options.items() if k not in weights}
        how = recipe.teacher_outputs, recipe.self_ensemble, recipe.teachers
        key = repr((_kind(recipe), how, sorted(options.items())))
        if key not in self._steps:
            self._steps[key] = self._count(recipe)
        return self._steps[key]

    def _prepared(self, recipe: Recipe) -> tuple[nn.Module, Method, dict[str, nn.Module]]:
        with torch.device("meta"):
            teachers = {name: self._network(name, recipe.scale).requires_grad_(False) for name in recipe.teachers}
            student = self._student(recipe)
            side = recipe.scale * recipe.lr_patch
            method = create(recipe.method.name, recipe.method.options, recipe.teachers, student, teachers, side)
        return student, method, teachers

    def _count(self, recipe: Recipe) -> float:
        side, scale = recipe.lr_patch, recipe.scale
        student, method, teachers = self._prepared(recipe)
        with torch.device("meta"):
            hr_image = torch.empty(recipe.batch, 3, scale * side, scale * side)
            batch = Batch(torch.empty(recipe.batch, 3, side, side), hr_image, dict.fromkeys(teachers, hr_image))
        with FlopCounter() as counter:
            if recipe.teacher_outputs == "online" and not runs_teacher(recipe.method.name):
                for teacher in teachers.values():
                    (SelfEnsemble(teacher) if recipe.self_ensemble else teacher)(batch.lr_image)
            torch.stack(list(method.loss(student, batch).values())).sum().backward()  # type: ignore[no-untyped-call]
        return float(counter.get_total_flops())

    def _student(self, recipe: Recipe) -> nn.Module:
        return networks.build(recipe.network, recipe.scale, recipe.teachers)

    def _network(self, name: str, scale: int) -> nn.Module:
        """A network of the graph or the zoo, without its weights."""
        recipes = (run.recipe for run in self.runs.values() if run.recipe and (run.name, run.scale) == (name, scale))
        if (recipe := next(recipes, None)) is not None:
            network = self._student(recipe)
        elif name in networks.specs():  # a published teacher that may not be here yet
            return networks.build(name, scale)
        else:
            network = zoo.find(name, scale).build()
        if teachers := networks.teacher_names(network):
            return MultiTeacher([self._network(teacher, scale) for teacher in teachers], network)
        return network

    def _forward(self, run: Run) -> float:
        side = 48
        with torch.device("meta"):
            network = self._network(run.name, run.scale)
            image = torch.empty(1, 3, side, side)
        with FlopCounter() as counter, torch.no_grad():
            network(image)
        return float(counter.get_total_flops()) / side**2

    def speed(self) -> float:
        """Floating-point operations a second, given, or of a small network's training step here (fp32, one thread)."""
        return self.flops or _speed(self.device.type)


def _kind(recipe: Recipe) -> tuple[object, ...]:
    """Runs of one kind take equally long for a step."""
    run_in_step = recipe.teachers if recipe.teacher_outputs == "online" or runs_teacher(recipe.method.name) else ()
    return (
        run_in_step,
        recipe.network,
        recipe.method.name,
        recipe.scale,
        recipe.lr_patch,
        recipe.batch,
        recipe.precision,
    )


@lru_cache(maxsize=4)
def _speed(device: str) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = networks.build("edsr_mini", 4).to(device)
        image = torch.rand(2, 3, 32, 32, device=device)
        with FlopCounter() as counter:
            network(image).sum().backward()
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            network(image).sum().item()
            network(image).sum().backward()
            if device != "cpu":
                torch.accelerator.synchronize()
            seconds.append(time.perf_counter() - began)
        return float(counter.get_total_flops()) * 4 / 3 / min(seconds)
    finally:
        torch.set_num_threads(threads)


def lr_pixels(sizes: Sequence[tuple[int, int]], scale: int) -> int:
    """LR pixels of HR images of these (width, height)."""
    return sum((width // scale) * (height // scale) for width, height in sizes)
