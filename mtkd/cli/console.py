"""What commands have in common: options, tables for people, JSON for programs, a progress bar on terminals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mtkd.errors import UserError

Scale = Annotated[int, typer.Option(help="Enlargement: 2, 3 or 4.")]
Metrics = Annotated[str, typer.Option(help="Metrics, separated by commas [default: psnr,ssim].")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    """Print columns of text under their header."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * w for w in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class progress_bar:  # noqa: N801
    """A progress bar on stderr, on terminals only; ``with progress_bar(...) as advance: advance()``.

    ``advance(done)`` sets how much is done. With ``of_bytes`` it shows sizes and speed.
    """

    def __init__(self, task: str, total: int, of_bytes: bool = False) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

        columns = Progress.get_default_columns()
        sizes = (*columns, DownloadColumn(), TransferSpeedColumn()) if of_bytes else columns
        console = Console(stderr=True)
        self.bar = Progress(*sizes, console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task(task, total=total)

    def __enter__(self) -> Any:
        self.bar.start()
        return lambda done=None: (
            self.bar.advance(self.task) if done is None else self.bar.update(self.task, completed=done)
        )

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


class ByteCount:
    """A callback for bytes as they come (and go), which sets a bar to their sum."""

    def __init__(self, advance: Any) -> None:
        self.advance, self.sum = advance, 0

    def __call__(self, count: int) -> None:
        self.sum += count
        self.advance(self.sum)


def check_scale(scale: int) -> None:
    """Refuse what is not 2, 3 or 4."""
    if scale not in (2, 3, 4):
        raise UserError(f"--scale {scale}: give 2, 3 or 4")


def device_called(name: str) -> Any:
    """A torch device that works here."""
    import torch

    try:
        return torch.empty(0, device=torch.device(name)).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not available here ({str(error).splitlines()[0]})") from error


def cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def metric_names(option: str) -> tuple[str, ...]:
    """The metrics of ``--metrics psnr,ssim,mine``; the usual ones where it is empty.

    Raises:
        UserError: no such metric.
    """
    from mtkd.metrics import chosen

    return chosen(option.split(","))


def metric_titles(names: Sequence[str]) -> list[str]:
    """The headings of metrics."""
    from mtkd.metrics import spec

    return [spec(name).title for name in names]


def metric_cells(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """A row's metrics as text."""
    from mtkd.metrics import text

    return [text(name, row[name]) for name in names]
