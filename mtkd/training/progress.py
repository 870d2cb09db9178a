"""Progress of a training: a live bar on a terminal, occasional lines in a log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mtkd.training.measured import HELD_OUT_PSNR, terms


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def report(self, event: Mapping[str, Any]) -> None:
        """Nothing."""


class TrainingProgress:
    """Shows what :func:`~mtkd.training.loop.train` reports: loss terms, iterations a second, time left."""

    LOG_SECONDS = 30.0

    def __init__(self, name: str) -> None:
        self.console = Console()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.name = name
        self.tasks: dict[str, TaskID] = {}
        self.logged = 0.0
        self.psnr = ""

    def __enter__(self) -> TrainingProgress:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def report(self, event: Mapping[str, Any]) -> None:
        """Show one event; see :data:`mtkd.training.log.Report`."""
        if "task" in event:
            self._show(event["task"], event["done"], event["of"], "")
            return
        if (psnr := event.get(HELD_OUT_PSNR)) is not None:
            self.psnr = f"held out {psnr:.3f} dB"
            self.logged = 0.0
        if fall := event.get("fall"):
            self.console.print(
                f"held-out PSNR fell to {fall['psnr']:.2f} dB at iteration {fall['iteration']:,}, "
                f"{fall['best'] - fall['psnr']:.2f} dB below its best; a lower optimizer.lr may help",
                soft_wrap=True,
            )
        losses = [f"{name} {value:.5f}" for name, value in terms(event).items()]
        speed = [f"{event['it/s']:.1f} it/s"] if "it/s" in event else []
        self._show(
            f"train {self.name}",
            event["iteration"],
            event["iterations"],
            "  ".join([*losses, *speed, self.psnr]),
        )

    def _show(self, task: str, done: int, of: int, numbers: str) -> None:
        if task not in self.tasks:
            self.tasks[task] = self.progress.add_task(task, total=of, numbers="")
        self.progress.update(self.tasks[task], completed=done, numbers=numbers)
        now = time.monotonic()
        if not self.console.is_terminal and (now - self.logged > self.LOG_SECONDS or done == of):
            self.logged = now
            print(f"{task} {done}/{of}  {numbers}", flush=True)
