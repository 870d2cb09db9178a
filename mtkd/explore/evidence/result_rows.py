"""What a table shows: rows with measured and printed numbers, marked as in the paper, and what to say under them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mtkd.experiments.published import published
from mtkd.experiments.runner import HELD_OUT

Mark = Literal["best", "second", ""]


@dataclass(frozen=True)
class Difference:
    """Of two rows on one set, in dB: mean, spread and 95 % interval over seeds, images won by the first."""

    mean: float
    spread: float | None
    interval: tuple[float, float] | None
    seeds: int
    images: int
    won: int


@dataclass(frozen=True)
class Row:
    """One row of a table on one set, in one metric.

    ``measured`` is the mean over ``seeds`` of the mean over the images, ``spread`` its standard deviation over seeds.
    ``over`` is the measured difference in PSNR to the view's ``reference`` (see :class:`View`), ``printed_over`` the
    paper's. Marks compare the students that were distilled. ``title`` is the model's, "RCAN student, with KD";
    ``method`` says it in short, where the student is clear: "KD".
    """

    label: str
    title: str
    method: str
    model: str
    distilled: bool
    runs: tuple[str, ...]
    parameters: int | None
    measured: float | None
    spread: float | None
    seeds: int
    printed: float | None
    over: Difference | None
    printed_over: float | None
    mark: Mark = ""
    printed_mark: Mark = ""


@dataclass(frozen=True)
class View:
    """One table at one scale, on one set, in one metric.

    ``over`` says what a difference of a row is: "over the student alone" or "combined teacher over it". ``missing``
    says in a sentence what was not measured; ``notes`` are the paper's footnotes, corrections and what came later.
    """

    table: str
    title: str
    scale: int
    set_name: str
    metric: str
    rows: tuple[Row, ...]
    over: str
    missing: str
    notes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Neither measured nor printed."""
        return all(row.measured is None and row.printed is None for row in self.rows)


def marked(rows: Sequence[Row], better: Literal["higher", "lower"] = "higher") -> tuple[Row, ...]:
    """The rows, with the best and the second of the distilled students marked, measured and printed each."""
    marks = _marks([row.measured if row.distilled else None for row in rows], better)
    printed = _marks([row.printed if row.distilled else None for row in rows], better)
    return tuple(replace(row, mark=m, printed_mark=p) for row, m, p in zip(rows, marks, printed, strict=True))


def _marks(values: Sequence[float | None], better: Literal["higher", "lower"]) -> list[Mark]:
    """Equal values are marked alike; nothing is marked where only one is known."""
    ranked = sorted({value for value in values if value is not None}, reverse=better == "higher")
    if len(ranked) < 2:
        return [""] * len(values)
    return ["best" if value == ranked[0] else "second" if value == ranked[1] else "" for value in values]


def notes(table: str, scale: int, set_name: str, student: str | None) -> Iterator[str]:
    """The paper's footnotes and corrections to a table, and what later papers print for its student."""
    paper = published()
    if set_name == HELD_OUT:
        yield "Held out: training images on which choices were made; the paper has no such set."
    yield from (note.text for note in paper.footnotes if note.table == table)
    for c in paper.corrections:
        if (c.table, c.scale, c.set) == (table, scale, set_name):
            yield f"{c.row}, {c.metric}: printed {c.printed}, read as {c.read} ({c.why})."
    later = paper.later.get(student or "", {})
    if later and (scale, set_name) == (4, "Urban100") and table in paper.tables:
        numbers = ", ".join(f"{name} {psnr:.2f}" for name, psnr in later.items())
        yield f"PSNR on Urban100 that later papers print for this student: {numbers} dB."
