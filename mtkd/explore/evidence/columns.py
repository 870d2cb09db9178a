"""The columns of a results table, as page, CSV and markdown show them: one list for all three."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mtkd.explore.evidence.result_rows import Mark, Row, View
from mtkd.metrics import spec
from mtkd.numbers import signed

Value = float | str | None


@dataclass(frozen=True)
class Text:
    """A value for people: its digits, its mark, and what stands smaller beside it, with the meaning of that."""

    main: str = ""
    mark: Mark = ""
    aside: str = ""
    meaning: str = ""


def _plain(value: Value, row: Row, view: View) -> Text:
    return Text("" if value is None else str(value))


def _no_group(view: View) -> str:
    return ""


def _no_more(row: Row, view: View) -> dict[str, Value]:
    return {}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name in the CSV's head; "{metric}" in it stands for the metric's name.
        title: its heading.
        value: of a row: what the CSV holds and what a page sorts by; None where there is none.
        text: a value for people, from the value, the row and the view.
        group: the heading that it shares with its neighbours.
        optional: people do not see it where no row of a view has a value.
        more: further fields of the CSV, after this one.
    """

    key: str
    title: str
    value: Callable[[Row], Value]
    text: Callable[[Value, Row, View], Text] = _plain
    group: Callable[[View], str] = _no_group
    optional: bool = False
    more: Callable[[Row, View], Mapping[str, Value]] = _no_more

    def cell(self, row: Row, view: View) -> Text:
        """A row's value for people; without text where there is none."""
        value = self.value(row)
        return Text() if value is None else self.text(value, row, view)


def _metric(view: View) -> str:
    metric = spec(view.metric)
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def _over(view: View) -> str:
    return f"{view.over}, dB"


def _measured(value: Value, row: Row, view: View) -> Text:
    form = f".{spec(view.metric).digits}f"
    return Text(f"{value:{form}}", row.mark, "" if row.spread is None else f"± {row.spread:{form}}")


def _printed(value: Value, row: Row, view: View) -> Text:
    return Text(f"{value:{'.2f' if view.metric == 'psnr' else '.4f'}}", row.printed_mark)


def _difference(value: Value, row: Row, view: View) -> Text:
    if row.over is None:
        return Text()
    spread = "" if row.over.spread is None else f"± {row.over.spread:.3f} "
    aside = f"{spread}({row.over.won}/{row.over.images})"
    return Text(signed(row.over.mean, "+.3f"), aside=aside, meaning="images on which it is better")


COLUMNS = [
    Column("title", "Model", lambda row: row.title),
    Column(
        "{metric}",
        "measured",
        lambda row: row.measured,
        _measured,
        _metric,
        more=lambda row, view: {f"{view.metric}_spread": row.spread},
    ),
    Column(
        "seeds",
        "seeds",
        lambda row: row.seeds,
        lambda value, row, view: Text(str(value) if value and row.parameters else ""),
        _metric,
    ),
    Column("{metric}_printed", "paper", lambda row: row.printed, _printed, _metric, optional=True),
    Column(
        "difference",
        "measured",
        lambda row: row.over.mean if row.over else None,
        _difference,
        _over,
        more=lambda row, view: {
            "difference_is": view.over if row.over else None,
            "difference_spread": row.over.spread if row.over else None,
        },
    ),
    Column(
        "difference_printed",
        "paper",
        lambda row: row.printed_over,
        lambda value, row, view: Text(signed(row.printed_over or 0.0)),
        _over,
        optional=True,
    ),
    Column("parameters", "parameters", lambda row: row.parameters, lambda value, row, view: Text(f"{value:,}")),
]
"""From left to right; a further column is one more entry."""


def shown(view: View) -> list[Column]:
    """The columns that people see of a view."""
    return [c for c in COLUMNS if not c.optional or any(c.value(row) is not None for row in view.rows)]


def as_csv(view: View) -> str:
    """The rows of a view as comma-separated values, every column with every digit; PSNR and differences in dB."""
    lines: list[dict[str, Value]] = []
    for row in view.rows:
        # What a row is stands first.
        line: dict[str, Value] = {"table": view.table, "scale": view.scale, "set": view.set_name, "label": row.label}
        line |= {"title": row.title, "model": row.model, "parameters": row.parameters}
        for column in COLUMNS:
            line |= {column.key.format(metric=view.metric): column.value(row), **column.more(row, view)}
        lines.append(line)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def as_markdown(view: View) -> str:
    """A view as a table in markdown: its best in bold, its second underlined, and its notes below."""
    columns = shown(view)
    heads = [": ".join(filter(None, (column.group(view), column.title))) for column in columns]
    lines = [
        f"**{view.title}**, ×{view.scale}, {view.set_name}, {spec(view.metric).title}",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" + "|--:" * (len(columns) - 1) + "|",
        *("| " + " | ".join(_markdown(column.cell(row, view)) for column in columns) + " |" for row in view.rows),
        "",
        *(f"*{note}*" for note in view.notes),
    ]
    return "\n".join(lines)


def _markdown(text: Text) -> str:
    main = {"best": f"**{text.main}**", "second": f"<u>{text.main}</u>", "": text.main}[text.mark]
    return f"{main} {text.aside}".strip() or "–"
