"""The table of all runs: one SQLite file, which can be rebuilt from the run folders at any time.

Table ``runs`` has a line per run, table ``scores`` a line per image of a benchmark set. App, notebooks and reports read
them. They contain nothing that the run folders do not.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtkd.errors import UserError
from mtkd.experiments.runner import read_scores
from mtkd.files import atomic_write
from mtkd.metrics import DEFAULT
from mtkd.training.measured import HELD_OUT_PSNR
from mtkd.zoo import Model
from mtkd.zoo.headers import read_header
from mtkd.zoo.model import read_card

NAME = "records.sqlite"
MEASURED = Path(__file__).parent / "measured"
"""Records of the project's own runs, a file a size; see :mod:`~mtkd.experiments.maintain.evidence`."""
FORMAT = 3
"""The only one that is read: the table is made anew from the run folders at any time."""

RUNS = {
    "digest": "TEXT",
    "folder": "TEXT",
    "name": "TEXT",
    "network": "TEXT",
    "scale": "INTEGER",
    "seed": "INTEGER",
    "method": "TEXT",
    "parameters": "INTEGER",
    "iterations": "INTEGER",
    "teacher_passes": "INTEGER",
    "seconds": "INTEGER",
    "device": "TEXT",
    "images": "TEXT",
    "held_out_psnr": "REAL",
    "teachers": "TEXT",
    "versions": "TEXT",
    "recipe": "TEXT",
    "deviations": "TEXT",
    "curve": "TEXT",
    "weights": "TEXT",
    "measured_with": "TEXT",
    "curve_note": "TEXT",
}
"""Columns of ``runs``. From ``teachers`` to ``curve`` they are JSON, and so is ``measured_with``, the versions that its
scores were measured with; ``curve`` is [[iteration, held-out PSNR], ...], ``weights`` the hash of what was measured.
``curve_note`` says what is wrong with a curve; records of before it have none."""

SCORES = {
    "digest": "TEXT",
    "set_name": "TEXT",
    "image": "TEXT",
    "metrics": "TEXT",
    "protocol": "TEXT",
    "images": "TEXT",
}
"""Columns of ``scores``: ``metrics`` is JSON, {metric: value}; ``images`` is the hash of the set's HR files."""


def _refuse(problem: str) -> None:
    raise UserError(problem)


def rebuild(out: Path, damaged: Callable[[str], None] = _refuse, known: Path | None = None) -> Path:
    """Write ``out/records.sqlite`` from the run folders in ``out``: all that are finished or were measured.

    ``damaged`` is called with a sentence for each folder that cannot be read, and left out. What the records ``known``
    hold is taken from there.

    Raises:
        UserError: a damaged file in one of the folders, unless ``damaged`` says otherwise, an unwritable ``out``, or
            anything that :func:`read` refuses.
    """
    runs: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for folder in sorted(p.parent for p in out.glob("*/run.json")) if out.is_dir() else []:
        try:
            run, measured = _run(folder), list(_scores(folder))
        except (ValueError, KeyError, TypeError, OSError) as error:
            damaged(f"{folder}: damaged run folder ({type(error).__name__}: {error}); move it away")
            continue
        runs.append(run)
        scores += measured
    if known is not None:
        known_runs, known_scores = _rows(known)
        runs = sorted({row["digest"]: row for row in runs + known_runs}.values(), key=lambda row: str(row["folder"]))
        scores = list({(row["digest"], row["set_name"], row["image"]): row for row in scores + known_scores}.values())
    path = out / NAME
    with atomic_write(path) as temporary, closing(sqlite3.connect(temporary)) as table, table:
        table.execute(f"PRAGMA user_version = {FORMAT}")
        for name, columns, rows in (("runs", RUNS, runs), ("scores", SCORES, scores)):
            table.execute(f"CREATE TABLE {name} ({', '.join(f'{c} {kind}' for c, kind in columns.items())})")
            places = ", ".join("?" * len(columns))
            table.executemany(f"INSERT INTO {name} VALUES ({places})", [[row.get(c) for c in columns] for row in rows])
    return path


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _run(folder: Path) -> dict[str, Any]:
    identity = _read(folder / "run.json")
    card = read_card(folder / "card.json") if (folder / "card.json").is_file() else {}
    curve = []
    if (folder / "metrics.jsonl").is_file():
        rows = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        curve = [[r["iteration"], round(r[HELD_OUT_PSNR], 4)] for r in rows if HELD_OUT_PSNR in r]
    weights = folder / "model.safetensors"
    model = Model(read_header(weights), weights, bundled=False) if weights.is_file() else None
    record = {
        "digest": identity["digest"],
        "parameters": None if model is None else model.summary()["parameters"],
        "folder": folder.name,
        "name": identity["name"],
        "scale": identity["scale"],
        "seed": identity["seed"],
        "images": card.get("data", {}).get("hash"),
        "held_out_psnr": card.get("held_out", {}).get("psnr"),
        "curve": json.dumps(curve),
    }
    for key in ("teachers", "versions", "recipe", "deviations"):
        record[key] = json.dumps(card.get(key))
    measured = dict(next(iter(read_scores(folder).values()), {}))
    record |= {"weights": measured.get("weights"), "measured_with": json.dumps(measured.get("versions"))}
    return {column: card.get(column) for column in RUNS} | record


def _scores(folder: Path) -> Iterator[dict[str, Any]]:
    digest = _read(folder / "run.json")["digest"]
    for set_name, measured in read_scores(folder).items():
        common = {"digest": digest, "set_name": set_name, "protocol": measured["protocol"]}
        for row in measured["images"]:
            image = row.pop("image")
            yield {**common, "image": image, "metrics": json.dumps(row), "images": measured["images_hash"]}


@dataclass(frozen=True)
class Records:
    """The records of one folder of runs, read into memory.

    Attributes:
        runs: by digest, the columns of :data:`RUNS`, JSON decoded.
        scores: by digest and set, the metrics of its images in order: {image: {"psnr": dB, "ssim": ...}}.
        sets: by digest and set, the hash of the set's HR files.
    """

    runs: dict[str, dict[str, Any]]
    scores: dict[tuple[str, str], dict[str, dict[str, float]]]
    protocols: frozenset[str]
    sets: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that any run has, the usual ones first."""
        measured = {name for images in self.scores.values() for metrics in images.values() for name in metrics}
        return (*DEFAULT, *sorted(measured - {*DEFAULT}))

    def images(self, scale: int | None = None) -> list[str]:
        """The hashes of training images that runs (of a scale) have."""
        return sorted({r["images"] for r in self.runs.values() if r["images"] and (not scale or r["scale"] == scale)})

    def over(self, below: Records) -> Records:
        """Both together; of a run that both have, this one's numbers."""
        return Records(
            below.runs | self.runs,
            below.scores | self.scores,
            below.protocols | self.protocols,
            below.sets | self.sets,
        )


def available(out: Path, size: str) -> Records:
    """The records of the folder ``out``, over those that are bundled for a plan of this name.

    Raises:
        UserError: there are neither, or the file in ``out`` cannot be read.
    """
    bundled = shipped(size)
    own = out / NAME
    if bundled is None or not own.is_file():
        return read(bundled or own)
    return read(own).over(read(bundled))


def shipped(size: str) -> Path | None:
    """The records that are bundled for a plan of this name."""
    path = MEASURED / f"{size}.sqlite"
    return path if path.is_file() else None


def read(path: Path) -> Records:
    """Read ``records.sqlite``.

    Raises:
        UserError: missing, not such a file, damaged, or of another format.
    """
    try:
        return _decoded(*_rows(path))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _decoded(runs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Records:
    for run in runs:
        for column in ("teachers", "versions", "recipe", "deviations", "curve", "measured_with"):
            run[column] = json.loads(run[column])
        run.setdefault("curve_note", None)
    scores: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in rows:
        scores.setdefault((row["digest"], row["set_name"]), {})[row["image"]] = json.loads(row["metrics"])
    return Records(
        {run["digest"]: run for run in runs},
        scores,
        frozenset(row["protocol"] for row in rows),
        {(row["digest"], row["set_name"]): row["images"] for row in rows},
    )


def _rows(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of both tables as they are stored."""
    if not path.is_file():
        raise UserError(f"{path}: no records; run `mtkd matrix` first")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as table:
            (version,) = table.execute("PRAGMA user_version").fetchone()
            if version > FORMAT:
                raise UserError(f"{path}: records of format {version}, this version reads {FORMAT}; update mtkd")
            if version < FORMAT:
                again = f"mtkd matrix status --out {path.parent}"
                raise UserError(f"{path}: records of format {version}, this version reads {FORMAT}; run `{again}`")
            table.row_factory = sqlite3.Row
            runs, scores = (
                [dict(row) for row in table.execute(f"SELECT * FROM {name}")] for name in ("runs", "scores")
            )
            return runs, scores
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    """What is wrong with a file of records, and the way out."""
    again = "install mtkd again" if path.parent == MEASURED else "move it away: the next `mtkd matrix` makes it anew"
    return UserError(f"{path}: not a table of runs, or damaged ({error}); {again}")
