"""The numbers of the Ablations tab: what the runs of a plan tell of one of its tables, beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mtkd.explore import Comparison
from mtkd.explore.evidence.ablations import Variant, students
from mtkd.explore.evidence.result_rows import Row
from mtkd.explore.evidence.results import Results
from mtkd.numbers import signed

from . import plan_choice

HEADERS = ["variant", "this picture, dB", "seeds", "over student alone, dB"]
"""Of the columns that are always there."""


@dataclass(frozen=True)
class Recorded:
    """What the runs of a plan tell of one of its tables at one scale."""

    results: Results
    table: str
    scale: int
    sources: tuple[Path, ...]
    """See :func:`~mtkd_app.parts.plan_choice.models_folder`."""

    @classmethod
    def of(cls, plan: str, table: str, scale: int) -> Recorded:
        """What the runs of the plan of this name tell.

        Raises:
            Error: there is no such plan, or its file or records cannot be read.
        """
        return cls(plan_choice.results(plan), table, scale, plan_choice.models_folder(plan))

    @cached_property
    def where(self) -> str:
        """The set on which it was measured."""
        return self.results.default_set(self.scale)

    @cached_property
    def variants(self) -> list[Variant]:
        """The students that can be looked at."""
        has = self.scale in self.results.scales(self.table)
        return students(self.results, self.table, self.scale, self.where, self.sources) if has else []

    @cached_property
    def printed(self) -> str | None:
        """The set for which the paper prints the table."""
        return self.results.printed_set(self.table, self.scale, self.where)

    @property
    def paper(self) -> dict[str, Row]:
        """The rows on that set, by model."""
        if not self.printed:
            return {}
        rows = students(self.results, self.table, self.scale, self.printed, self.sources)
        return {variant.name: variant.row for variant in rows}

    @property
    def note(self) -> str:
        """On what it was measured, and on what the paper did."""
        text = f"Measured: mean PSNR-Y over {self.where}, ± standard deviation over seeds ({self.results.protocol})."
        if self.printed and self.printed != self.where:
            text += f" The paper prints this table for {self.printed}: compare differences."
        return text


def value(seen: Comparison, picked: Sequence[Variant], recorded: Recorded) -> dict[str, Any]:
    """The table of the picked variants, ``seen`` on a picture: numbers to sort by, texts to read."""
    columns = [*HEADERS[:2], f"{recorded.where}, dB", *HEADERS[2:]]
    if recorded.printed:
        columns += [f"paper, {recorded.printed}, dB", "paper, over student alone, dB"]
    data, texts, paper = [], [], recorded.paper
    for variant in picked:
        row, printed, psnr = variant.row, paper.get(variant.name), seen[variant.name].psnr
        over = row.over.mean if row.over else None
        values: list[Any] = [variant.title, psnr, row.measured, row.seeds, over]
        words = [
            variant.title,
            _text(psnr, ".2f"),
            _text(row.measured, ".3f") + _plus_minus(row.spread),
            str(row.seeds),
            _text(over) + _plus_minus(row.over.spread if row.over else None),
        ]
        if recorded.printed:
            numbers = (printed.printed, printed.printed_over) if printed else (None, None)
            values += numbers
            words += [_text(numbers[0], ".2f"), _text(numbers[1], "+.2f")]
        data.append(values)
        texts.append(words)
    return {"headers": columns, "data": data, "metadata": {"display_value": texts, "styling": None}}


def _plus_minus(spread: float | None) -> str:
    return "" if spread is None else f" ± {spread:.3f}"


def _text(value: float | None, form: str = "+.3f") -> str:
    return "–" if value is None else signed(value, form)
