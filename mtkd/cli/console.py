"""Shared by the commands: options, tables for people, JSON for programs, a progress bar on terminals."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.errors import UserError

Scale = Annotated[int, typer.Option(help="Upscaling factor: 2, 3 or 4.")]
Model = Annotated[str, typer.Option(help="Model name (see `mtkd models`), or bicubic.")]
Metrics = Annotated[str, typer.Option(help="Metrics, separated by commas [default: psnr,ssim].")]
Device = Annotated[str, typer.Option(help="Device to compute on: cpu, cuda, mps, ...; auto takes the fastest one.")]
DataFolder = Annotated[
    Path | None, typer.Option(help="Folder of benchmark sets [default: MTKD_DATA, else the fetched sets].")
]
Engine = Annotated[str, typer.Option(help="What runs networks: torch, or onnxruntime (extra 'export'), on the CPU.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


EVERY = 30
"""Seconds between two lines of progress, at least."""
STOPPED = "stopped; run the same command again to continue"
"""What a fetch says when it is interrupted."""


def _finite(value: Any) -> Any:
    """JSON has no infinity (PSNR of equal images): null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def print_json(content: Any) -> None:
    """Print JSON for programs."""
    print(json.dumps(_finite(content), indent=1))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as aligned columns under a header."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * w for w in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class progress_bar:  # noqa: N801
    """A progress bar on stderr, on terminals only; ``with progress_bar(...) as advance: advance()``.

    ``advance()`` adds one step, ``advance(done)`` sets the number of steps. With ``of_bytes`` the bar shows sizes and
    speed. With ``lines`` there are lines with the time left where stderr is no terminal.
    """

    def __init__(self, task: str, total: int, of_bytes: bool = False, lines: bool = False) -> None:
        terminal = sys.stderr.isatty()
        self.task, self.total, self.done = task, total, 0.0
        self.bar = _bar(task, total, of_bytes) if terminal else None
        self.lines = lines and not terminal
        self.began = self.told = time.monotonic()

    def __enter__(self) -> Any:
        if self.bar:
            self.bar.start()
        return self._advance

    def _advance(self, done: float | None = None) -> None:
        self.done = self.done + 1 if done is None else done
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=self.done)
        now = time.monotonic()
        if self.lines and self.done and self.total and now - self.told >= EVERY:
            self.told, share = now, self.done / self.total
            left = (now - self.began) / share * (1 - share)
            print(f"{self.task}: {self.done:.1f} of {self.total:.0f}, about {left / 60:.1f} minutes left",
                  file=sys.stderr)  # fmt: skip

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()


def _bar(task: str, total: int, of_bytes: bool) -> Any:
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    columns = Progress.get_default_columns()
    sizes = (*columns, DownloadColumn(), TransferSpeedColumn()) if of_bytes else columns
    bar = Progress(*sizes, console=Console(stderr=True), transient=True)
    bar.add_task(task, total=total)
    return bar


class ByteCount:
    """A callback that adds up received bytes (negative after a failed attempt) and moves a bar to their sum."""

    def __init__(self, advance: Any) -> None:
        self.advance, self.sum = advance, 0

    def __call__(self, count: int) -> None:
        self.sum += count
        self.advance(self.sum)


def check_scale(scale: int) -> None:
    """Raise a :class:`UserError` unless ``scale`` is 2, 3 or 4."""
    if scale not in (2, 3, 4):
        raise UserError(f"--scale {scale}: give 2, 3 or 4")


def torch_device(name: str) -> Any:
    """The torch device of this name, tried out; "auto": CUDA, MPS, else the CPU.

    Raises:
        UserError: it does not work on this computer.
    """
    import torch

    from mtkd.training.devices import devices

    name = devices()[0] if name == "auto" else name
    try:
        return torch.empty(0, device=torch.device(name)).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not available on this computer ({str(error).splitlines()[0]})") from error


def known_engine(name: str) -> str:
    """The argument of ``--engine``.

    Raises:
        UserError: an unknown engine, or one that is not installed.
    """
    if name not in ("torch", "onnxruntime"):
        raise UserError(f"--engine {name}: give torch or onnxruntime")
    if name == "onnxruntime":
        from mtkd.export.graph import extra

        extra()
    return name


def check_bf16(device: Any) -> None:
    """See that a device computes in bfloat16.

    Raises:
        UserError: it does not.
    """
    import torch

    try:
        with torch.autocast(device.type, torch.bfloat16):
            torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3, device=device), torch.ones(1, 1, 3, 3, device=device))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--precision bf16: not available on {device} ({reason}); leave it out") from error


def tell_device(device: Any) -> None:
    """Say on which device a command computes."""
    print(f"device: {device}", file=sys.stderr)


def cell(value: Any) -> str:
    """A value as text for a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def metric_names(option: str) -> tuple[str, ...]:
    """The metrics in ``--metrics psnr,ssim,mine``; PSNR and SSIM if the option is empty.

    Raises:
        UserError: an unknown metric.
    """
    from mtkd.metrics import chosen

    return chosen(option.split(","))


def metric_titles(names: Sequence[str]) -> list[str]:
    """The column titles of metrics."""
    from mtkd.metrics import spec

    return [spec(name).title for name in names]


def metric_cells(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The metrics of a row as text."""
    from mtkd.metrics import text

    return [text(name, row[name]) for name in names]
