"""The training loop: one for every stage and method; it knows no paper."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mtkd.errors import UserError
from mtkd.evaluate import versions
from mtkd.files import write_json
from mtkd.images import write_image
from mtkd.methods import Terms
from mtkd.training.card import make_card
from mtkd.training.checkpoint import RunFolder
from mtkd.training.dataset import hr_folder
from mtkd.training.guards import Diverged, Finite, falls, keep_batch, loss_terms
from mtkd.training.measured import HELD_OUT_PSNR, Measured, flat
from mtkd.training.recipe import Recipe
from mtkd.training.stages import Stage, prepare
from mtkd.training.status import StatusFile, measurements, status_of
from mtkd.training.stop import Interrupted, Stop, stop_on_signal
from mtkd.zoo.checkpoints import save_weights, weights_hash
from mtkd.zoo.headers import Header

Report = Callable[[Mapping[str, Any]], None]
"""Called with {"task", "done", "of"} while preparing and {"iteration", "iterations", ...numbers} while training."""


Name = TypeVar("Name", bound=Hashable)
PATIENCE = timedelta(hours=6)
"""How long processes wait for each other: one of them may compute or validate meanwhile."""
AGREE_EVERY = 10
"""Iterations after which several processes tell each other of signals."""


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Take the weights of update ``step`` (from 1) into their exponential moving average.

    The weights of update ``i`` have the share ``decay ** (step - i)``, over the sum of all shares: the random weights
    before the first update have none, as in Adam's corrected moments (Kingma and Ba 2015, Sec. 3). Without the
    correction they keep ``decay ** step``: a third after 1,100 updates at 0.999.
    """
    share = (1 - decay) / (1 - decay**step)
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), share)


def train(
    recipe: Recipe,
    out: Path,
    resume: bool,
    report: Report,
    cache: Path | None = None,
    sources: Sequence[Path] = (),
) -> dict[str, Any]:
    """Train one recipe in the folder ``out`` and return its card; a finished run is not repeated.

    ``sources`` are folders in which the networks that are learned from are looked up first.

    Raises:
        Busy: another process trains in this folder.
        UserError: see :func:`~mtkd.training.stages.prepare` and :class:`~mtkd.training.checkpoint.RunFolder`; a loss
            or weight that is not finite (the batch is kept); the disk is full. The last checkpoint stays good.
        Interrupted: after saving, on SIGTERM or Ctrl-C.
    """
    run = RunFolder(out, recipe, resume)
    if run.finished:
        return run.card()
    plugins = [plugin.name for plugin in recipe.plugins()]
    with run.alone(), status_of(out, recipe.iterations, plugins, run.main) as status, stop_on_signal() as stop:
        accelerator = _accelerator(recipe)

        def preparing(task: str, done: int, of: int) -> None:
            report({"task": task, "done": done, "of": of})
            status.update(note=f"{task} {done} of {of}")
            if stop.requested:
                raise Interrupted(f"stopped while {task}; what is done is kept")

        rank, ranks = accelerator.process_index, accelerator.num_processes
        stage = prepare(recipe, accelerator.device, cache or out.parent / "cache", preparing, sources, rank, ranks)
        accelerator.wait_for_everyone()  # now all of the teachers' outputs are there
        stage.hold()
        run.begin()
        with run.told_if_unwritable():
            return Loop(run, stage, accelerator, report, status).run(stop)


def _accelerator(recipe: Recipe) -> Accelerator:
    """The device, or this process's of several.

    Raises:
        UserError: it has not the recipe's precision, or the batch does not divide among the processes.
    """
    AcceleratorState._reset_state()  # else a process could train in one precision only
    # Told so, accelerate also joins several CPU processes (torchrun) instead of running them side by side.
    accelerator = Accelerator(
        mixed_precision={"fp32": "no"}.get(recipe.precision, recipe.precision),
        cpu=not torch.accelerator.is_available(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    if recipe.precision == "fp16" and accelerator.device.type == "cpu":  # accelerate would train in fp32
        raise UserError("precision fp16 needs a GPU; take bf16 or fp32 here")
    if recipe.batch % accelerator.num_processes:
        raise UserError(f"batch {recipe.batch} does not divide among {accelerator.num_processes} processes")
    return accelerator


class Loop:
    """State and steps of one training run."""

    def __init__(
        self, run: RunFolder, stage: Stage, accelerator: Accelerator, report: Report, status: StatusFile
    ) -> None:
        recipe, self.status = stage.recipe, status
        self.measured = Measured(run.path)
        self.run_folder, self.stage, self.recipe = run, stage, recipe
        self.accelerator, self.report = accelerator, report
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
        self.start, self.seconds = 0, 0.0
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

    @property
    def result(self) -> nn.Module:
        """The network that is validated, in float32, and kept: the moving average, where there is one."""
        if self.plain is not None:
            self.plain.load_state_dict(self.network.state_dict())
            return self.plain
        return self.network if self.average is None else self.average

    def _restore(self, state: dict[str, Any]) -> None:
        if state.get("images", self.stage.data_hash) != self.stage.data_hash:
            raise UserError(
                f"{self.run_folder.path}: began with other images than {hr_folder(self.recipe.data)} holds now; "
                "bring those back, or choose another --out"
            )
        before = state.get("teachers", self.teachers)  # older checkpoints have none
        if changed := [name for name, digest in self.teachers.items() if before.get(name) != digest]:
            raise UserError(
                f"{self.run_folder.path}: began with other weights of {', '.join(changed)} than are found now; "
                "bring those back, or choose another --out"
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
        if not self.accelerator.is_main_process:
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
        self.status.update(iteration=iteration, seconds=self.seconds)

    def run(self, stop: Stop) -> dict[str, Any]:
        """Train to the end, or save and raise Interrupted once ``stop`` is requested."""
        recipe, main = self.recipe, self.accelerator.is_main_process
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        board = SummaryWriter(str(self.run_folder.path), purge_step=self.start + 1) if main else None
        self.model.train()
        began, mark, since = time.monotonic(), time.monotonic(), self.start
        for done, batch in enumerate(self.stage.batches(self.start, recipe.iterations, rank, ranks), self.start + 1):
            rate = recipe.optimizer.lr * recipe.schedule.factor(done - 1, recipe.iterations)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            terms = self._step(batch)
            if self.average is not None and recipe.ema is not None:
                average_weights(self.average, self.network, recipe.ema, done)
            self.finite.see(torch.stack(list(terms.values())).sum(), done)
            last = done == recipe.iterations
            log, validate = done % recipe.log_every == 0 or last, done % recipe.validate_every == 0 or last
            if log or validate or done in recipe.snapshots:
                self._check_finite(done)
            if log:
                now = time.monotonic()
                row = self._row(terms) | {"lr": rate, "it/s": (done - since) / (now - mark)}
                mark, since = now, done
                if main:
                    self._log(board, done, row)
            if main and validate:
                self.values = values = self.stage.validate(self.result)
                self._log(board, done, {HELD_OUT_PSNR: sum(values) / len(values)})
                write_image(
                    self.run_folder.path / "samples" / f"{done:06d}.png",
                    self.stage.sample(self.result).numpy(),
                )
                mark, since = time.monotonic(), done
            if main and done in recipe.snapshots:  # before the checkpoint, behind which nothing is done again
                name = f"{recipe.name}@{done}"
                path = self.run_folder.path / "snapshots" / f"{name}_x{recipe.scale}.safetensors"
                self._save_weights(path, name)
            stopping = self._stopping(stop, done)
            if done % recipe.checkpoint_every == 0 or last or stopping:
                self._check_finite(done)
                self.seconds += time.monotonic() - began
                began = time.monotonic()
                self._save(done)
                if board is not None:
                    board.flush()
            if stopping and not last:
                raise Interrupted(f"stopped at iteration {done} of {recipe.iterations}; saved")
        if board is not None:
            board.close()
        return self._finish()

    def _check_finite(self, done: int) -> None:
        """Stop where the loss or the weights have ceased to be finite, and keep the batch that did it."""
        if (fault := self.finite.fault(done)) is None:
            return
        first, what, rank = fault
        ranks = self.accelerator.num_processes
        file = self.run_folder.path / "non-finite" / f"{first:06d}{f'-{rank}' if ranks > 1 else ''}.safetensors"
        if rank == self.accelerator.process_index:
            keep_batch(file, next(self.stage.batches(first - 1, first, rank, ranks, ahead=0)), first)
        self.accelerator.wait_for_everyone()  # one that ends takes the others with it
        raise Diverged(
            f"{what} of iteration {first} is not finite; lower optimizer.lr. Its batch is kept in {file}. "
            f"{self.run_folder.saved()}"
        )

    def _step(self, batch: Any) -> Terms:
        """One update; returns the loss terms."""
        terms = loss_terms(self.recipe.method.name, self.method, self.model, batch)
        self.accelerator.backward(torch.stack(list(terms.values())).sum())
        for parameter in self.method.parameters():  # projections are not part of what DDP wraps
            if parameter.requires_grad:
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
        self.optimizer.step()
        self.optimizer.zero_grad()
        return terms

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

    def _stopping(self, stop: Stop, done: int) -> bool:
        """Whether to stop now: several processes agree on it every few iterations, or one would wait for ever."""
        if self.accelerator.num_processes == 1:
            return stop.requested
        if done % AGREE_EVERY:
            return False
        arrived = torch.tensor([int(stop.requested)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(arrived, "sum").item())

    def _log(self, board: SummaryWriter | None, iteration: int, numbers: Mapping[str, Any]) -> None:
        with self.run_folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **numbers}) + "\n")
        if board is not None:
            for name, value in flat(numbers).items():
                board.add_scalar(name, value, iteration)
        event: dict[str, Any] = {"iteration": iteration, "iterations": self.recipe.iterations, **numbers}
        self.status.update(state="running", **measurements(self.measured))
        if HELD_OUT_PSNR in numbers and (fallen := falls(self.measured.rows)):
            event["fall"] = fallen[-1] if fallen[-1]["iteration"] == iteration else None
        self.report(event)

    def _save_weights(self, path: Path, name: str) -> None:
        recipe = self.recipe
        teachers = recipe.teachers if recipe.stage == "aggregate" else ()
        header = Header(name, recipe.network, recipe.scale, teachers)
        save_weights(path, self.result, header, getattr(torch, recipe.save_dtype))

    def _finish(self) -> dict[str, Any]:
        """Write weights and card, and at last that the run is finished."""
        folder = self.run_folder
        weights = folder.path / "model.safetensors"
        if self.accelerator.is_main_process:
            self._save_weights(weights, self.recipe.name)
            values = self.values or self.stage.validate(self.result)  # none where only this was left to do
            rows = self.measured.read()
            card = make_card(self.stage, self.result, values, weights, self.seconds, self.places, rows)
            write_json(folder.path / "card.json", card)
            write_json(folder.path / "finished.json", {"iterations": self.recipe.iterations})
        self.accelerator.wait_for_everyone()
        return folder.card()
