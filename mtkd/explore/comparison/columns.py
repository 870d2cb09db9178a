"""The columns of a comparison's numbers, as page, CSV and markdown show them: one list for all three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtkd.metrics import spec
from mtkd.numbers import signed


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: what a row of :meth:`~mtkd.explore.comparison.core.Comparison.table` and the CSV's head call it.
        title: its heading, with the unit.
        form: format of a number for people; the CSV has every digit.
        per: what a number is divided by for people, e.g. 1e9.
        digits: significant digits for people, where the format does not say them.
        words: what people read in place of a text.
    """

    key: str
    title: str
    form: str = ""
    per: float = 1
    digits: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    def number(self, row: dict[str, Any]) -> Any:
        """A row's value in the unit of the heading, to sort by; None where there is none."""
        value = row.get(self.key)
        return value if value is None or self.per == 1 else value / self.per

    def text(self, row: dict[str, Any], blank: str = "") -> str:
        """A row's value for people."""
        value = self.number(row)
        if value is None or isinstance(value, str):
            return blank if value is None else self.words.get(value, value)
        return signed(value if self.digits is None else float(f"{value:.{self.digits}g}"), self.form)


def metric_column(name: str, region: bool = False) -> Column:
    """The column of a metric; of a region of the image with ``region``. On Y, as the paper's protocol says."""
    metric = spec(name)
    title = f"{'region ' if region else ''}{metric.title}-Y" + (f" ({metric.unit})" if metric.unit else "")
    digits = 2 if metric.unit == "dB" else metric.digits
    return Column(f"region_{name}" if region else name, title, f".{digits}f")


def columns(metrics: Sequence[str], region: bool = False) -> list[Column]:
    """All columns for these metrics; with ``region`` also those of a region's metrics."""
    return [
        Column("title", "model"),
        Column("name", "id"),
        *map(metric_column, metrics),
        *(metric_column(name, region=True) for name in metrics if region),
        Column("over_bicubic", "gain over bicubic (dB)", "+.2f"),
        Column("over_scratch", "gain over student alone (dB)", "+.2f"),
        Column("role", "role", words={"aggregator": "combined teacher"}),
        Column("parameters", "parameters", ","),
        Column("multiply_adds", "multiply-adds (G)", ".2f", 1e9),
        Column("seconds", "seconds", "g", digits=2),
    ]
