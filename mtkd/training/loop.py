"""The training loop for all stages and methods."""

from __future__ import annotations

import copy
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from mtkd.bfloat16 import fast_bf16
from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.evaluate import versions
from mtkd.files import write_json
from mtkd.images import write_image
from mtkd.methods import Terms
from mtkd.training.average import average_weights
from mtkd.training.card import make_card
from mtkd.training.checkpoint import RunFolder
from mtkd.training.dataset import hr_folder
from mtkd.training.devices import accelerator_for
from mtkd.training.guards import Diverged, Finite, keep_batch, loss_terms
from mtkd.training.log import Report, Speed, TrainingLog
from mtkd.training.measured import HELD_OUT_PSNR
from mtkd.training.recipe import Recipe, Then
from mtkd.training.stages import Stage, prepare
from mtkd.training.status import StatusFile, measurements, status_of
from mtkd.training.stop import Interrupted, Stop, stop_on_signal
from mtkd.zoo.checkpoints import save_weights, weights_hash
from mtkd.zoo.headers import Header

if TYPE_CHECKING:
    from accelerate import Accelerator

Name = TypeVar("Name", bound=Hashable)
AGREE_EVERY = 10
"""Number of iterations after which several processes exchange signals."""


def train(
    recipe: Recipe,
    out: Path,
    resume: bool,
    report: Report,
    cache: Path | None = None,
    sources: Sequence[Path] = (),
    then: Then | None = None,
) -> dict[str, Any]:
    """Train one recipe in the folder ``out`` and return its card; a finished run is not repeated.

    ``sources`` are folders to search first for the networks to learn from. With ``resume`` and more iterations than the
    run has, it is made longer; ``then`` is the learning rate of that part (:mod:`mtkd.training.longer`).

    Raises:
        Busy: another process trains in this folder.
        UserError: see :func:`~mtkd.training.stages.prepare` and :class:`~mtkd.training.checkpoint.RunFolder`; a
            non-finite loss or weight (the batch is saved); a full disk. The last checkpoint stays valid.
        Interrupted: after saving, on SIGTERM or Ctrl-C.
    """
    run = RunFolder(out, recipe, resume, then)
    recipe = run.recipe
    if run.finished and not run.longer:
        return run.card()
    plugins = [plugin.name for plugin in recipe.plugins()]
    with run.alone(), status_of(out, recipe.iterations, plugins, run.main) as status, stop_on_signal() as stop:
        accelerator = accelerator_for(recipe.precision, recipe.batch)

        def preparing(task: str, done: int, of: int) -> None:
            report({"task": task, "done": done, "of": of})
            status.update(note=f"{task} {done} of {of}")
            if stop.requested:
                raise Interrupted(f"stopped while {task}; finished work is kept")

        rank, ranks = accelerator.process_index, accelerator.num_processes
        stage = prepare(recipe, accelerator.device, cache or out.parent / "cache", preparing, sources, rank, ranks)
        accelerator.wait_for_everyone()  # now all of the teachers' outputs are there
        stage.hold()
        run.begin()
        with run.told_if_unwritable():
            return Loop(run, stage, accelerator, report, status).run(stop)


class Loop:
    """State and steps of one training run."""

    def __init__(
        self, run: RunFolder, stage: Stage, accelerator: Accelerator, report: Report, status: StatusFile
    ) -> None:
        recipe = stage.recipe
        self.run_folder, self.stage, self.recipe = run, stage, recipe
        self.accelerator = accelerator
        network = stage.network.to(accelerator.device)
        self.average = copy.deepcopy(network) if recipe.ema else None
        # In mixed precision accelerate changes the network's own forward: without an average a copy is validated.
        self.plain = copy.deepcopy(network) if recipe.precision != "fp32" and not recipe.ema else None
        adam = recipe.optimizer
        self.method = stage.method.to(accelerator.device)
        trained = [*network.parameters(), *self.method.parameters()]
        fused = accelerator.device.type == "cuda"
        self.optimizer = torch.optim.Adam(trained, lr=adam.lr, betas=adam.betas, eps=adam.eps, fused=fused)
        self.network = network
        self.model, self.optimizer = accelerator.prepare(network, self.optimizer)
        if recipe.compile:  # of patches, which have one size; whole images for validation would compile again and again
            self.model = torch.compile(self.model, dynamic=False)
        if self.method.needs_teacher:  # in the student's precision; cached outputs are computed in float32
            for teacher in stage.frozen.values():
                accelerator.prepare_model(teacher, evaluation_mode=True)
        self.start, self.seconds, self.began = 0, 0.0, time.monotonic()
        self.values: list[float] = []  # PSNR of the held-out images, measured last
        self.teachers = {name: weights_hash(teacher) for name, teacher in stage.frozen.items()}
        self.places: list[dict[str, Any]] = []
        if (state := run.load()) is not None:
            self._restore(state)
        here = {"device": accelerator.device.type, "versions": versions()}
        if here not in self.places:
            self.places.append(here)
        run.cut_metrics(self.start)
        self.finite = Finite(network, accelerator)
        self.products = fast_bf16(accelerator.device) if recipe.precision == "bf16" else nullcontext()
        self.speed = Speed(self.start)
        # The first process alone writes, measures and reports.
        self.log = TrainingLog(run, self.start, status, report) if accelerator.is_main_process else None

    @property
    def result(self) -> nn.Module:
        """The network that is validated (in float32) and saved: the moving average, if there is one."""
        if self.plain is not None:
            self.plain.load_state_dict(self.network.state_dict())
            return self.plain
        return self.network if self.average is None else self.average

    def run(self, stop: Stop) -> dict[str, Any]:
        """Train to the end, or save a checkpoint and raise Interrupted once ``stop`` is requested."""
        recipe = self.recipe
        self.model.train()
        self.began = time.monotonic()
        self.speed.restart(self.start)
        for done, batch in enumerate(self._batches(self.start, recipe.iterations), self.start + 1):
            rate = self._set_rate(done - 1)
            self.method.advance((done - 1) / recipe.iterations)
            terms = self._step(batch)
            if self.average is not None and recipe.ema is not None:
                average_weights(self.average, self.network, recipe.ema, done)
            self.finite.see(terms.total(), done)

            log, validate = self._due(recipe.log_every, done), self._due(recipe.validate_every, done)
            snapshot = done in recipe.snapshots
            if log or validate or snapshot:
                self._check_finite(done)
            if log:
                self._log_step(done, terms, rate)
            if validate:
                self._validate(done)
            if snapshot:  # before the checkpoint, behind which nothing is done again
                self._keep_snapshot(done)
            stopping = self._agree_to_stop(stop, done)
            if stopping or self._due(recipe.checkpoint_every, done):
                self._check_finite(done)
                self._save(done)
            if stopping and done < recipe.iterations:
                raise Interrupted(f"stopped at iteration {done} of {recipe.iterations}; saved")
        return self._finish()

    def _batches(self, start: int, stop: int, ahead: int | None = None) -> Iterator[Batch]:
        """This process's part of the batches of iterations ``start`` to ``stop``."""
        return self.stage.batches(start, stop, self.accelerator.process_index, self.accelerator.num_processes, ahead)

    def _due(self, every: int, done: int) -> bool:
        """Whether what is done every so many iterations, and at the end, is to be done after ``done`` of them."""
        return done % every == 0 or done == self.recipe.iterations

    def _set_rate(self, iteration: int) -> float:
        """Set the learning rate of an iteration, from 0, by the schedule."""
        recipe = self.recipe
        rate = recipe.optimizer.lr * recipe.rate(iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _step(self, batch: Batch) -> Terms:
        """One update; returns the loss terms."""
        with self.products:
            terms = loss_terms(self.recipe.method.name, self.method, self.model, batch)
        self.accelerator.backward(terms.total())
        for parameter in self.method.parameters():  # projections are not part of what DDP wraps
            if parameter.requires_grad:
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
        self.optimizer.step()
        self.optimizer.zero_grad()
        return terms

    def _check_finite(self, done: int) -> None:
        """Stop where the loss or the weights have ceased to be finite, and keep the batch that did it."""
        if (fault := self.finite.fault(done)) is None:
            return
        first, what, rank = fault
        ranks = self.accelerator.num_processes
        file = self.run_folder.path / "non-finite" / f"{first:06d}{f'-{rank}' if ranks > 1 else ''}.safetensors"
        if rank == self.accelerator.process_index:
            keep_batch(file, next(self._batches(first - 1, first, ahead=0)), first)
        self.accelerator.wait_for_everyone()  # one that ends takes the others with it
        raise Diverged(
            f"{what} of iteration {first} is not finite; lower optimizer.lr. Its batch is saved in {file}. "
            f"{self.run_folder.saved()}"
        )

    def _log_step(self, done: int, terms: Terms, rate: float) -> None:
        row = self._row(terms) | {"lr": rate, "it/s": self.speed.take(done)}  # of all processes
        if self.log is not None:
            self.log.write(done, row)

    def _validate(self, done: int) -> None:
        """Measure the held-out images, and keep a picture of the first."""
        if self.log is None:
            return
        self.values = self.stage.validate(self.result)
        self.log.write(done, {HELD_OUT_PSNR: sum(self.values) / len(self.values)})
        sample = self.stage.sample(self.result).numpy()
        write_image(self.run_folder.path / "samples" / f"{done:06d}.png", sample)
        self.speed.restart(done)

    def _keep_snapshot(self, done: int) -> None:
        if self.log is not None:
            name = f"{self.recipe.name}@{done}"
            folder = self.run_folder.path / "snapshots"
            self._save_weights(folder / f"{name}_x{self.recipe.scale}.safetensors", name)

    def _row(self, terms: Terms) -> dict[str, Any]:
        """What is logged of a step: the terms, their sum, and under "parts" what terms are made of, if anything."""
        row: dict[str, Any] = self._everywhere({name: value.detach() for name, value in terms.items()})
        row["loss"] = sum(row.values())
        flat = {(term, part): value for term, made_of in terms.parts.items() for part, value in made_of.items()}
        parts: dict[str, dict[str, float]] = {}
        for (term, part), value in self._everywhere(flat).items():
            parts.setdefault(term, {})[part] = value
        return row | ({"parts": parts} if parts else {})

    def _everywhere(self, numbers: Mapping[Name, Tensor]) -> dict[Name, float]:
        """Means over the processes, each of which has measured its part of the batch."""
        if not numbers:
            return {}
        stacked = torch.stack(list(numbers.values()))
        return dict(zip(numbers, self.accelerator.reduce(stacked, "mean").tolist(), strict=True))

    def _agree_to_stop(self, stop: Stop, done: int) -> bool:
        """Whether to stop now: several processes agree on it every few iterations, or one would wait for ever."""
        if self.accelerator.num_processes == 1:
            return stop.requested
        if done % AGREE_EVERY:
            return False
        arrived = torch.tensor([int(stop.requested)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(arrived, "sum").item())

    def _restore(self, state: dict[str, Any]) -> None:
        if state.get("images", self.stage.data_hash) != self.stage.data_hash:
            raise UserError(
                f"{self.run_folder.path}: started with other images than {hr_folder(self.recipe.data)} contains now; "
                "restore them, or choose another --out"
            )
        before = state.get("teachers", self.teachers)  # older checkpoints have none
        if changed := [name for name, digest in self.teachers.items() if before.get(name) != digest]:
            raise UserError(
                f"{self.run_folder.path}: started with other weights of {', '.join(changed)} than those present now; "
                "restore them, or choose another --out"
            )
        self.network.load_state_dict(state["network"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            average = {k.removeprefix("module."): v for k, v in state["average"].items() if k != "n_averaged"}
            self.average.load_state_dict(average)  # the names that were removed are those of older checkpoints
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.start, self.seconds, self.places = state["iteration"], state["seconds"], state.get("places", [])

    def _save(self, iteration: int) -> None:
        now = time.monotonic()
        self.seconds, self.began = self.seconds + now - self.began, now
        if self.log is None:
            return
        state = {
            "iteration": iteration,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "recipe": self.recipe.dump(),
            "images": self.stage.data_hash,
            "teachers": self.teachers,
            "places": self.places,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        self.run_folder.save(state)
        self.log.saved(iteration, self.seconds)

    def _save_weights(self, path: Path, name: str) -> None:
        recipe = self.recipe
        teachers = recipe.teachers if recipe.stage == "aggregate" else ()
        header = Header(name, recipe.network, recipe.scale, teachers)
        save_weights(path, self.result, header, getattr(torch, recipe.save_dtype))

    def _finish(self) -> dict[str, Any]:
        """Write weights and card, and at last that the run is finished."""
        folder = self.run_folder
        weights = folder.path / "model.safetensors"
        if self.log is not None:
            self.log.board.close()
            self._save_weights(weights, self.recipe.name)
            values = self.values or self.stage.validate(self.result)  # none where only this was left to do
            rows = self.log.measured.read()
            card = make_card(self.stage, self.result, values, weights, self.seconds, self.places, rows)
            write_json(folder.path / "card.json", card)
            self.log.status.update(state="finished", **measurements(self.log.measured))
            write_json(folder.path / "finished.json", {"iterations": self.recipe.iterations})
        self.accelerator.wait_for_everyone()
        return folder.card()
