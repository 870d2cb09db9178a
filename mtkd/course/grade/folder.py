"""Grade a folder of submissions: each in a process of its own with limits of time and memory."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from mtkd.course.exercises import exercises, of_lesson
from mtkd.course.grade.cells import lessons, read_cells
from mtkd.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What a submission may take: seconds of clock time, GiB of address space."""

    seconds: float = 120
    gib: float = 6


@dataclass(frozen=True)
class Graded:
    """A submission: verdict and message of each exercise of its lessons, and what went wrong."""

    submission: str
    verdicts: dict[str, str]
    messages: dict[str, str]
    errors: list[str]

    @property
    def right(self) -> int:
        """How many exercises are right."""
        return list(self.verdicts.values()).count("right")

    @property
    def points(self) -> int:
        """The difficulties of the right exercises, added up."""
        return sum(exercises()[name].difficulty for name, verdict in self.verdicts.items() if verdict == "right")

    @property
    def possible(self) -> int:
        """The points of a submission in which all is right."""
        return sum(exercises()[name].difficulty for name in self.verdicts)


def submissions(folder: Path) -> list[Path]:
    """The notebooks and Python files in a folder and the folders in it; what Jupyter keeps beside is left out.

    Raises:
        UserError: no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = sorted(path for kind in ("*.ipynb", "*.py") for path in folder.rglob(kind))
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not found:
        raise UserError(f"{folder}: it holds no .ipynb and no .py file")
    return found


def grade_folder(
    folder: Path, limits: Limits | None = None, lesson: str | None = None, everything: bool = False
) -> Iterator[Graded]:
    """The submissions in a folder, one after another.

    Args:
        lesson: as in "04"; by default each submission's own, by the checks in it.
        everything: run every cell, not only those that the exercises need.

    Raises:
        UserError: as :func:`submissions`, or a lesson without exercises.
    """
    if lesson:
        of_lesson(lesson)
    for path in submissions(folder):
        yield grade_file(path, str(path.relative_to(folder)), limits or Limits(), lesson, everything)


def grade_file(path: Path, name: str, limits: Limits, lesson: str | None, everything: bool) -> Graded:
    """One submission; it never raises for what stands in it."""
    try:
        own = lessons(read_cells(path))
    except UserError as error:
        return Graded(name, dict.fromkeys(_ids([lesson] if lesson else []), "missing"), {}, [str(error)])
    ids = _ids([lesson] if lesson else own)
    if not ids:
        return Graded(name, {}, {}, ["no exercise in it: no cell calls check(...)"])
    with TemporaryDirectory() as place:
        result = Path(place) / "result.json"
        fault = _run(path.resolve(), result, limits, everything)
        said = json.loads(result.read_text()) if result.exists() else {"grades": {}, "errors": []}
    grades = said["grades"]
    return Graded(
        name,
        {one: grades[one]["verdict"] if one in grades else "missing" for one in ids},
        {one: grades[one]["message"] for one in ids if one in grades},
        [*said["errors"], *([fault] if fault else [])],
    )


def _ids(names: Sequence[str]) -> list[str]:
    known = {one.partition(".")[0] for one in exercises()}
    return [one.id for name in names if name in known for one in of_lesson(name)]


def _run(path: Path, result: Path, limits: Limits, everything: bool) -> str | None:
    """What stopped the worker, or None."""
    arguments = [str(path), str(result), str(limits.seconds), str(limits.gib), str(int(everything))]
    process = subprocess.Popen(
        [sys.executable, "-m", "mtkd.course.grade.worker", *arguments],
        cwd=result.parent,
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        return f"stopped after {limits.seconds:g} s"
    finally:
        _end(process)
    if code == -getattr(signal, "SIGXCPU", 0) or code == -9:
        return "stopped: too much processor time or memory"
    return f"it ended its process with code {code}" if code else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the worker and what it started."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def as_csv(graded: Sequence[Graded]) -> str:
    """A row for each submission, a column for each exercise."""
    names = sorted({name for one in graded for name in one.verdicts})
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", "right", "of", "points", "possible", *names, "errors"])
    for one in graded:
        verdicts = [one.verdicts.get(name, "") for name in names]
        row = [one.submission, one.right, len(one.verdicts), one.points, one.possible, *verdicts, "; ".join(one.errors)]
        writer.writerow(row)
    return text.getvalue()


def as_json(graded: Sequence[Graded]) -> str:
    """All that is known, messages to the student included."""
    rows = [vars(one) | {"right": one.right, "points": one.points, "possible": one.possible} for one in graded]
    return json.dumps(rows, indent=1, ensure_ascii=False)
