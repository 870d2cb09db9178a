"""The measurements of a run, read while they are being written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Curve = tuple[list[int], list[float]]
"""Iterations, and a value at each."""

HELD_OUT_PSNR = "validation PSNR-Y"
"""Name of the PSNR of the held-out images in the log."""
LOOP_NUMBERS = frozenset({"iteration", "iterations", "loss", "lr", "it/s", HELD_OUT_PSNR, "parts", "fall"})
"""Entries of a row other than the terms of the method: "loss" is their sum, "parts" their components, ``{term: {part:
value}}``."""
_RECENT = 20
"""Number of measurements from which the current speed is computed."""


def terms(row: Mapping[str, Any]) -> dict[str, float]:
    """The terms of the method in a row of measurements."""
    return {name: value for name, value in row.items() if name not in LOOP_NUMBERS}


def flat(row: Mapping[str, Any]) -> dict[str, float]:
    """All numbers of a row by name, including parts."""
    numbers = {name: value for name, value in row.items() if name != "parts"}
    for parts in row.get("parts", {}).values():
        numbers |= parts
    return numbers


class Measured:
    """``metrics.jsonl`` of a run folder; each :meth:`read` reads only what has been added.

    A line that is not a measurement is skipped; an incomplete line is read once it is complete.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.rows: list[dict[str, Any]] = []
        self._file, self._offset = -1, 0
        self._reading = threading.Lock()

    def read(self) -> Sequence[dict[str, Any]]:
        """All rows so far: "iteration" and numbers by name, see :data:`LOOP_NUMBERS`."""
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

    def parts(self) -> dict[str, str]:
        """The names of parts with their terms: a subband, for instance, belongs to L_dis."""
        return {part: term for row in self.rows for term, parts in row.get("parts", {}).items() for part in parts}

    def curves(self, at_most: int = 1000) -> dict[str, Curve]:
        """The values of each name over the iterations; longer curves as means over groups of neighbours.

        The iteration of a mean is the last one of its group.
        """
        curves: dict[str, Curve] = {}
        for row in self.rows:
            for name, value in flat(row).items():
                if name != "iteration":
                    iterations, values = curves.setdefault(name, ([], []))
                    iterations.append(row["iteration"])
                    values.append(value)
        return {name: _thinned(curve, at_most) for name, curve in curves.items()}


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("iteration"), int):
        return None
    parts = content.get("parts", {})
    if not isinstance(parts, dict) or not all(isinstance(made_of, dict) for made_of in parts.values()):
        return None
    content = _nested(content)
    return content if all(isinstance(value, (int, float)) for value in flat(content).values()) else None


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its parts under "parts"; runs of before wrote those of L_dis as "band LL1"."""
    bands = {name.removeprefix("band "): value for name, value in row.items() if name.startswith("band ")}
    if not bands:
        return row
    return {name: v for name, v in row.items() if not name.startswith("band ")} | {"parts": {"L_dis": bands}}


def _thinned(curve: Curve, at_most: int) -> Curve:
    iterations, values = curve
    group = -(-len(values) // at_most)
    if group <= 1:
        return curve
    starts = range(0, len(values), group)
    means = [sum(part) / len(part) for part in (values[start : start + group] for start in starts)]
    return [iterations[min(start + group, len(iterations)) - 1] for start in starts], means
