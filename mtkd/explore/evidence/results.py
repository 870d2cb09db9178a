"""The recorded evidence as people look at it: tables beside the paper's, runs behind a number, claims, costs.

Means over seeds, spreads, differences and verdicts are those of the report (:mod:`mtkd.experiments.tables`).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mtkd import networks, zoo
from mtkd.data.sources import set_names
from mtkd.errors import UserError, unknown_name
from mtkd.experiments import records as recorded
from mtkd.experiments.claims import counts, evidence, printed_evidence
from mtkd.experiments.plan import PLAN_FILE, Plan, load_plan
from mtkd.experiments.published import published
from mtkd.experiments.records import Records
from mtkd.experiments.runner import HELD_OUT
from mtkd.experiments.statistics import Finding
from mtkd.experiments.tables import Tables, report
from mtkd.experiments.titles import titles as model_titles
from mtkd.explore.evidence.result_rows import Difference, Row, View, marked, notes
from mtkd.home import runs_folder
from mtkd.metrics import DEFAULT, spec
from mtkd.plugins import Role
from mtkd.zoo import costs

SCALES = (2, 3, 4)
GROUPS = {"baseline": "Baselines", "teacher": "Teachers", "aggregator": "Combined teachers"}
"""Of points, by role; students have a group a family, after these."""


@dataclass(frozen=True)
class Point:
    """A model among all that were measured at one scale on one set; ``role`` is its network's.

    ``group`` is one of :data:`GROUPS`, or a family's students.

    ``parts`` are its networks by name: an aggregator's teachers are among them, bicubic has none.
    """

    model: str
    label: str
    title: str
    role: Role
    group: str
    psnr: float
    spread: float | None
    seeds: int
    parts: Mapping[str, costs.Cost]


@dataclass(frozen=True)
class Checked:
    """A sentence of the paper, what was found on it, and from what.

    ``comparisons`` are those of the report, each with ``of``, its ``verdict`` and its ``interval``; ``counts`` says how
    many there are of each kind, ``evidence`` names those that matter.
    """

    id: str
    text: str
    where: str
    verdict: Finding
    counts: str
    evidence: str
    printed: str
    comparisons: tuple[Mapping[str, Any], ...]


class Results:
    """What was recorded for one plan.

    Args:
        plan: the plan.
        found: the records to show.
        own: digests of the runs that are the user's own and not bundled.
    """

    def __init__(self, plan: Plan, found: Records, own: frozenset[str] = frozenset()) -> None:
        self.plan, self.records, self.own = plan, found, own
        self._tables = Tables(plan, found)
        self._titles = model_titles(plan)
        self._filled: dict[tuple[str, int], dict[str, Any]] = {}

    @cached_property
    def report(self) -> dict[str, Any]:
        """The report of all tables and claims, as ``mtkd matrix report`` gives it."""
        return report(self.plan, self.records, list(self.plan.tables))

    @property
    def source(self) -> str:
        """Which runs are shown, in a sentence."""
        bundled = len(self.records.runs.keys() - self.own)
        return f"{bundled} runs that come with the package and {len(self.own) or 'none'} of your own"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were recorded, PSNR and SSIM first."""
        return self.records.metrics

    @property
    def protocol(self) -> str:
        """How PSNR and SSIM were measured."""
        return "; ".join(sorted(self.records.protocols)) or "nothing measured yet"

    def scales(self, table: str) -> tuple[int, ...]:
        """The scales that a table has."""
        entry = self._tables.matrix.table(table)
        return SCALES if entry.scales is None else tuple(entry.scales)

    def scales_with_data(self, table: str) -> tuple[int, ...]:
        """The scales at which any row of a table was measured or is printed."""
        return tuple(scale for scale in self.scales(table) if any(self.sets_with_data(table, scale)))

    def sets_with_data(self, table: str, scale: int) -> tuple[list[str], list[str]]:
        """The sets on which any row of a table was measured, and those further ones that the paper prints."""
        all_measured, printed = self._tables.filled(table, scale)
        measured = [name for name in set_choices() if name in all_measured]
        return measured, [name for name in set_choices() if name in {*printed} - {*measured}]

    def compares_methods(self, table: str) -> bool:
        """Whether a table is one of the paper's that compare methods on one student."""
        return table in published().tables and {"scratch", "kd", "mtkd"} <= {*self.plan.tables[table].variants}

    def measured_scales(self) -> tuple[int, ...]:
        """The scales at which a student was measured."""
        digests = {digest for digest, _ in self.records.scores}
        found = {run["scale"] for digest, run in self.records.runs.items() if digest in digests and run["teachers"]}
        return tuple(sorted(found))

    def measured_sets(self, scale: int) -> list[str]:
        """The sets on which anything was measured at a scale."""
        at = {digest for digest, run in self.records.runs.items() if run["scale"] == scale}
        return [name for name in set_choices() if any((digest, name) in self.records.scores for digest in at)]

    def default_set(self, scale: int) -> str:
        """The last of the benchmark sets that was measured at a scale."""
        names = set_names()
        measured = [name for name in self.measured_sets(scale) if name in names]
        return measured[-1] if measured else names[0]

    def printed_set(self, table: str, scale: int, wanted: str) -> str | None:
        """The set for which the paper prints numbers of a table at a scale: the wanted one, or else the first."""
        labels = [row["label"] for row in self._table(table, scale)["rows"]]
        printed = [
            name for name in published().sets if any(published().cell(table, scale, label, name) for label in labels)
        ]
        return wanted if wanted in printed else next(iter(printed), None)

    def view(self, table: str, scale: int, set_name: str, metric: str = "psnr") -> View:
        """One table at one scale, on one set.

        Raises:
            UserError: no such table, scale, set or metric.
        """
        for what, value, known in (("set", set_name, set_choices()), ("metric", metric, self.metrics)):
            if value not in known:
                raise unknown_name(what, value, known)
        if scale not in SCALES:
            raise UserError(f"scale {scale}: give 2, 3 or 4")
        entry = self._tables.matrix.table(table)
        base = "scratch" if "scratch" in entry.variants else "MT"
        lines = self._rows(table, scale, set_name, metric, base) if scale in self.scales(table) else []
        rows = marked(lines, spec(metric).better)
        return View(
            table,
            entry.title,
            scale,
            set_name,
            metric,
            rows,
            "over the student alone" if base == "scratch" else "combined teacher over it",
            self._missing(table, scale, set_name, rows),
            tuple(notes(table, scale, set_name, entry.student)),
        )

    def _rows(self, table: str, scale: int, set_name: str, metric: str, base: str) -> list[Row]:
        filled = self._table(table, scale)
        differences = {(d["first"], d["second"]): d["sets"].get(set_name) for d in filled["differences"]}
        printed_base = self._printed_base(table, scale, set_name)
        rows = []
        for row in filled["rows"]:
            label, cell = row["label"], row["measured"].get(set_name, {})
            printed = published().cell(table, scale, label, set_name)
            over = differences.get((label, "scratch") if base == "scratch" else ("MT", label))
            distilled = label in self.plan.tables[table].variants and label != "scratch"
            rows.append(
                Row(
                    label,
                    self._title(row),
                    row["title"],
                    row["model"],
                    distilled,
                    tuple(row["runs"]),
                    row["parameters"],
                    cell.get(metric),
                    cell.get(f"{metric}_spread"),
                    cell.get("seeds", 0),
                    dict(zip(DEFAULT, printed or (), strict=False)).get(metric),
                    over and Difference(**over),
                    round(printed[0] - printed_base[0], 2) if distilled and printed and printed_base else None,
                )
            )
        return rows

    def _printed_base(self, table: str, scale: int, set_name: str) -> tuple[float, float] | None:
        """The paper's numbers of the undistilled student; Table 5 leaves them to the table of its student's methods."""
        student = self.plan.tables[table].student
        same = [name for name, entry in self.plan.tables.items() if student and entry.student == student]
        cells = (published().cell(name, scale, "scratch", set_name) for name in (table, *same))
        return next((cell for cell in cells if cell), None)

    def _title(self, row: Mapping[str, Any]) -> str:
        """What people read in place of the name of a row's model."""
        return self._titles.get(row["model"]) or str(row["title"])

    def _table(self, name: str, scale: int) -> dict[str, Any]:
        if (name, scale) not in self._filled:
            self._filled[name, scale] = self._tables.table(name, scale)
        return self._filled[name, scale]

    def _missing(self, table: str, scale: int, set_name: str, rows: Sequence[Row]) -> str:
        where = f"on {set_name} at ×{scale}"
        if scale not in self.scales(table):
            return f"This table is for ×{', ×'.join(map(str, self.scales(table)))} alone."
        absent = [row.method for row in rows if row.measured is None]
        if not absent:
            return ""
        if len(absent) < len(rows):
            return f"Not measured {where} yet: {', '.join(absent)}."
        printed = any(row.printed is not None for row in rows)
        return f"Nothing of this table is measured {where} yet" + (": the paper's numbers alone." if printed else ".")

    # --- runs

    def runs(self, table: str, scale: int, label: str) -> list[dict[str, Any]]:
        """The records behind a row of a table, a run a seed, with ``source`` ("bundled", "own") and ``scores``.

        ``scores`` are each set's metrics by name, means over its images.

        Raises:
            UserError: no such table or row.
        """
        rows = {row["label"]: row for row in self._table(table, scale)["rows"]}
        if label not in rows:
            raise unknown_name(f"row of {table}", label, rows)
        return [self._run(digest) for digest in rows[label]["runs"]]

    def _run(self, digest: str) -> dict[str, Any]:
        found = {name: self.records.scores.get((digest, name)) for name in set_choices()}
        scores = {
            name: {
                metric: statistics.fmean(values)
                for metric in self.metrics
                if (values := [metrics[metric] for metrics in images.values() if metric in metrics])
            }
            for name, images in found.items()
            if images
        }
        return {**self.records.runs[digest], "source": "own" if digest in self.own else "bundled", "scores": scores}

    # --- pictures

    def points(self, scale: int, set_name: str) -> list[Point]:
        """Every model that was measured at a scale on a set, in order of their groups."""
        found: dict[str, Point] = {}
        compared = [name for name, table in self.plan.tables.items() if table.tradeoff]
        for name in compared:
            for row in self._table(name, scale)["rows"] if scale in self.scales(name) else []:
                cell = row["measured"].get(set_name)
                if cell and row["model"] not in found and self._is_declared(row):
                    found[row["model"]] = self._point(row, cell)
        order = list(GROUPS)
        return sorted(found.values(), key=lambda p: (order.index(p.role) if p.role in order else len(order), p.group))

    def multiply_adds(self, row: Mapping[str, Any]) -> int:
        """Of a row of the report, an aggregator's with its teachers'; for an output of 1280 x 720."""
        return sum(part.multiply_adds for part in self._parts(self.records.runs[row["runs"][0]]).values())

    def _is_declared(self, row: Mapping[str, Any]) -> bool:
        """Whether a row's network is known here: that of a plugin may not be loaded."""
        run = self.records.runs[row["runs"][0]]
        return (run["network"] or run["name"]) in networks.specs()

    def _point(self, row: Mapping[str, Any], cell: Mapping[str, Any]) -> Point:
        run = self.records.runs[row["runs"][0]]
        spec = networks.specs()[run["network"] or run["name"]]  # a baseline is its own network
        group = GROUPS.get(spec.role, f"{spec.title} student")
        return Point(
            row["model"],
            row["label"],
            self._title(row),
            spec.role,
            group,
            cell["psnr"],
            cell["psnr_spread"],
            cell["seeds"],
            self._parts(run),
        )

    def _parts(self, run: Mapping[str, Any]) -> dict[str, costs.Cost]:
        network, scale = run["network"], run["scale"]
        if network is None:
            return {}
        merges = networks.specs()[network].role == "aggregator"
        found = {run["name"]: costs.of_network(network, scale, tuple(run["recipe"]["teachers"]) if merges else ())}
        for teacher in found[run["name"]].teachers:
            found[teacher] = costs.of_network(self._network(teacher, scale), scale)
        return found

    def _network(self, name: str, scale: int) -> str:
        """The network of a teacher, which may not have been measured itself."""
        measured = (r["network"] for r in self.records.runs.values() if (r["name"], r["scale"]) == (name, scale))
        return next(measured, None) or (name if name in networks.specs() else zoo.find(name, scale).header.network)

    # --- claims

    def claims(self) -> list[Checked]:
        """The paper's sentences, each checked at the scales of :attr:`claims_at`."""
        return [
            Checked(
                **{key: claim[key] for key in ("id", "text", "where", "verdict")},
                counts=evidence(claim) if "points" in claim else counts(claim),
                evidence=evidence(claim),
                printed=printed_evidence(claim),
                comparisons=tuple(claim.get("comparisons", ())),
            )
            for claim in self.report["claims"]
        ]

    @property
    def claims_at(self) -> tuple[int, ...]:
        """The scales at which claims are checked."""
        return tuple(self.report["claims_at"])


def set_choices() -> list[str]:
    """The sets whose numbers can be shown: the benchmark sets, then the held-out images."""
    return [*set_names(), HELD_OUT]


def titles(size: str = "mini") -> dict[str, str]:
    """Every table of a size, with what it is about."""
    return {name: table.title for name, table in load_plan(size).tables.items()}


def has_records(plan: str) -> bool:
    """Whether there is something to :func:`load` for the plan of this name."""
    return any(path.is_file() for path in _files(plan, runs_folder(plan)))


def _files(name: str, out: Path) -> tuple[Path, Path]:
    """Where the records of a plan lie, if there are any: the bundled ones, and those of the user's own runs."""
    return recorded.MEASURED / f"{name}.sqlite", out / recorded.NAME


def load(size: str = "mini", out: Path | None = None) -> Results:
    """The bundled records of a size, and over them those of the user's own runs in ``out``.

    Args:
        size: a bundled plan, or a plan file.
        out: by default the folder of the plan in :func:`mtkd.home.runs_folder`.

    Raises:
        UserError: no such size, neither records, or a file that cannot be read.
    """
    name = Path(size).parent.name if Path(size).name == PLAN_FILE else Path(size).stem
    out = runs_folder(name) if out is None else out
    stamps = tuple(path.stat().st_mtime_ns if path.is_file() else None for path in _files(name, out))
    return _load(size, name, out.absolute(), stamps)


@lru_cache(maxsize=2)
def _load(size: str, name: str, out: Path, stamps: tuple[int | None, ...]) -> Results:
    """``stamps`` are the files' times: what was read stays until one of them changes."""
    bundled, own = (
        recorded.read(path).runs.keys() if stamp is not None else set()
        for path, stamp in zip(_files(name, out), stamps, strict=True)
    )
    return Results(load_plan(size), recorded.available(out, name), frozenset(own - bundled))
