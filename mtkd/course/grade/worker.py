"""Run one submission and write its grades: ``python -m mtkd.course.grade.worker FILE RESULT SECONDS GIB ALL``.

A process of its own, started by :mod:`mtkd.course.grade.folder`.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from mtkd.course.grade import session
from mtkd.course.grade.cells import needed, read_cells
from mtkd.course.grade.verdict import Grade

CELL_SHARE = 0.5
"""Of the time of a submission that one cell may take."""


def run(path: Path, result: Path, seconds: float, everything: bool) -> None:
    """Execute the cells; ``result`` (JSON: grades by exercise, errors) is written anew after each check and error."""
    grades: dict[str, dict[str, str]] = {}
    errors: list[str] = []

    def write() -> None:
        result.write_text(json.dumps({"grades": grades, "errors": errors}))

    def listen(exercise: str, grade: Grade) -> None:
        grades[exercise] = {"verdict": grade.verdict, "message": grade.message}
        write()

    session.listeners.append(listen)
    cells = read_cells(path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number in range(len(cells)) if everything else needed(cells):
        try:
            _limited(cells[number], names, seconds * CELL_SHARE)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: the next cell may be right
            line = next(
                (at.lineno for at in reversed(traceback.extract_tb(error.__traceback__)) if at.filename == "cell"), 0
            )
            errors.append(f"cell {number + 1}, line {line}: {type(error).__name__}: {error}"[:300])
            write()
    write()


def _limited(code: str, names: dict[str, Any], seconds: float) -> None:
    def late(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        exec(compile(code, "cell", "exec"), names)
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def limit(seconds: float, gib: float) -> None:
    """Limit this process's processor time and memory, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the only limit
        return
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 5, int(seconds) + 10))
    resource.setrlimit(resource.RLIMIT_AS, (int(gib * 2**30),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    file, answer, time, memory, everything = sys.argv[1:]
    limit(float(time), float(memory))
    run(Path(file), Path(answer), float(time), everything == "1")
