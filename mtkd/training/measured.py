"""What a run has measured so far, read while it is being written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Curve = tuple[list[int], list[float]]
"""Iterations, and a value at each."""

HELD_OUT_PSNR = "validation PSNR-Y"
"""What the PSNR of the held-out images is called among the numbers."""
_RECENT = 20
"""Measurements that the present speed is taken from."""


class Measured:
    """``metrics.jsonl`` of a run folder; each :meth:`read` takes in only what was added since the last one.

    A line that is no measurement is left out; one without its end is read when it has it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.rows: list[dict[str, Any]] = []
        self._file, self._offset = -1, 0
        self._reading = threading.Lock()

    def read(self) -> Sequence[dict[str, Any]]:
        """All rows so far: "iteration" and numbers by name."""
        with self._reading:
            if not self.path.is_file():
                self.rows, self._offset = [], 0
                return self.rows
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._file or status.st_size < self._offset:  # a resumed run replaces its file
                    self.rows, self._file, self._offset = [], status.st_ino, 0
                file.seek(self._offset)
                complete = file.read().rpartition(b"\n")[0]
            if complete:
                self._offset += len(complete) + 1
                self.rows = [*self.rows, *(row for line in complete.split(b"\n") if (row := _row(line)))]
            return self.rows

    def last(self, name: str) -> float | None:
        """The newest value of one name."""
        return next((row[name] for row in reversed(self.rows) if name in row), None)

    @property
    def iteration(self) -> int:
        """The last one measured, 0 before any."""
        return int(self.rows[-1]["iteration"]) if self.rows else 0

    @property
    def speed(self) -> float | None:
        """Iterations a second, over the last measurements."""
        rates = [row["it/s"] for row in self.rows[-2 * _RECENT :] if row.get("it/s")][-_RECENT:]
        return len(rates) / sum(1 / rate for rate in rates) if rates else None

    def curves(self, at_most: int = 1000) -> dict[str, Curve]:
        """Each name's values over the iterations; longer ones as means of equally many neighbours.

        The iteration of a mean is the last that went into it.
        """
        found: dict[str, Curve] = {}
        for row in self.rows:
            for name in filter("iteration".__ne__, row):
                iterations, values = found.setdefault(name, ([], []))
                iterations.append(row["iteration"])
                values.append(row[name])
        return {name: _thinned(curve, at_most) for name, curve in found.items()}


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    numbers = isinstance(content, dict) and all(isinstance(v, (int, float)) for v in content.values())
    return content if numbers and isinstance(content.get("iteration"), int) else None


def _thinned(curve: Curve, at_most: int) -> Curve:
    iterations, values = curve
    group = -(-len(values) // at_most)
    if group <= 1:
        return curve
    starts = range(0, len(values), group)
    means = [sum(part) / len(part) for part in (values[start : start + group] for start in starts)]
    return [iterations[min(start + group, len(iterations)) - 1] for start in starts], means
