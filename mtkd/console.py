"""What commands print: tables for people, JSON for programs, a progress bar on terminals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


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
    """A progress bar on stderr, on terminals only; ``with progress_bar(...) as advance: advance()``."""

    def __init__(self, task: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.bar = Progress(console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task(task, total=total)

    def __enter__(self) -> Any:
        self.bar.start()
        return lambda done=None: (
            self.bar.advance(self.task) if done is None else self.bar.update(self.task, completed=done)
        )

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
