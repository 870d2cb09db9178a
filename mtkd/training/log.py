"""The log of a training: to its run folder (metrics, TensorBoard, status) and to a callback."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from mtkd.training.checkpoint import RunFolder
from mtkd.training.guards import falls
from mtkd.training.measured import HELD_OUT_PSNR, Measured, flat
from mtkd.training.status import StatusFile, measurements

Report = Callable[[Mapping[str, Any]], None]
"""Called with {"task", "done", "of"} while preparing and {"iteration", "iterations", ...numbers} while training."""


class TrainingLog:
    """The numbers of one run, from iteration ``start`` on."""

    def __init__(self, run: RunFolder, start: int, status: StatusFile, report: Report) -> None:
        from torch.utils.tensorboard import SummaryWriter  # the page, which reads runs alone, starts without it

        self.run, self.status, self.report = run, status, report
        self.measured = Measured(run.path)
        self.board = SummaryWriter(str(run.path), purge_step=start + 1)

    def write(self, iteration: int, numbers: Mapping[str, Any]) -> None:
        """Write one row of numbers; see :data:`mtkd.training.measured.LOOP_NUMBERS`."""
        with self.run.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **numbers}) + "\n")
        for name, value in flat(numbers).items():
            self.board.add_scalar(name, value, iteration)
        self.status.update(state="running", **measurements(self.measured))
        event: dict[str, Any] = {"iteration": iteration, "iterations": self.run.recipe.iterations, **numbers}
        if HELD_OUT_PSNR in numbers and (fallen := falls(self.measured.rows)):
            event["fall"] = fallen[-1] if fallen[-1]["iteration"] == iteration else None
        self.report(event)

    def saved(self, iteration: int, seconds: float) -> None:
        """Record that a checkpoint was written after ``seconds`` of training."""
        self.board.flush()
        self.status.update(iteration=iteration, seconds=seconds)


class Speed:
    """Iterations per second since the last restart, without the time between steps."""

    def __init__(self, iteration: int) -> None:
        self.restart(iteration)

    def restart(self, iteration: int) -> None:
        """Start counting at the end of an iteration."""
        self._iteration, self._time = iteration, time.monotonic()

    def take(self, iteration: int) -> float:
        """The speed up to the end of an iteration; restarts the count."""
        before, began = self._iteration, self._time
        self.restart(iteration)
        return (iteration - before) / (self._time - began)
