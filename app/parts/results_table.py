"""The Results tab's pieces of HTML: a table, the runs behind a number. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from mtkd.config import to_yaml
from mtkd.explore.evidence.columns import Text, shown
from mtkd.explore.evidence.result_rows import View
from mtkd.metrics import spec


def table(view: View, chosen: str | None) -> str:
    """A view as a table whose rows carry ``data-label`` and whose cells carry what to sort by."""
    if view.empty:
        return f"<p>{escape(view.missing)}</p>"
    columns = shown(view)
    groups = groupby(column.group(view) for column in columns)
    above = "".join(f'<th colspan="{len(list(same))}">{escape(group)}</th>' for group, same in groups)
    head = "".join(f'<th scope="col"><button type="button">{escape(c.title)}</button></th>' for c in columns)
    body = []
    for row in view.rows:
        marked = ' class="chosen"' if row.label == chosen else ""
        first, *others = (column.cell(row, view) for column in columns)
        values = [column.value(row) for column in columns]
        name = f'<td data-value="{escape(row.title)}"><button type="button">{_content(first)}</button></td>'
        cells = "".join(map(_cell, others, values[1:]))
        body.append(f'<tr data-label="{escape(row.label)}"{marked}>{name}{cells}</tr>')
    name = escape(f"{view.title}, ×{view.scale}, {view.set_name}, {spec(view.metric).title}")
    head = f'<tr class="above">{above}</tr><tr class="sort">{head}</tr>'
    return f'<table aria-label="{name}"><thead>{head}</thead><tbody>{"".join(body)}</tbody></table>'


def _cell(text: Text, value: object) -> str:
    """A cell and what to sort by; what shows nothing has nothing to sort by."""
    return f'<td data-value="{escape(str(value)) if text.main else ""}">{_content(text) or "–"}</td>'


def _content(text: Text) -> str:
    main = escape(text.main)
    if text.mark:
        main = f'<span class="mark-{text.mark}" title="{text.mark}">{main}</span>'
    meaning = f' title="{escape(text.meaning)}"' if text.meaning else ""
    return main + (f" <small{meaning}>{escape(text.aside)}</small>" if text.aside else "")


def runs(found: Sequence[Mapping[str, Any]], table_name: str, scale: int, label: str) -> str:
    """The runs behind a row: a line each, and all that was recorded of it to be opened."""
    if not found:
        command = f"mtkd matrix {table_name} --scales {scale} --only {label}"
        return f"<p>No run of this row at ×{scale} yet. <code>{escape(command)}</code> makes it.</p>"
    sets = list(dict.fromkeys(name for run in found for name in run["scores"]))
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in ("seed", "steps", "trained, s", *sets))
    lines = []
    for run in found:
        scores = (f"{run['scores'][name]['psnr']:.3f}" if name in run["scores"] else "" for name in sets)
        numbers = ("" if run[key] is None else f"{run[key]:,}" for key in ("iterations", "seconds"))
        seed = "–" if run["seed"] is None else str(run["seed"])
        lines.append("".join(f"<td>{escape(text)}</td>" for text in (seed, *numbers, *scores)))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    details = "".join(_details(run) for run in found)
    name = escape(f"{table_name}, ×{scale}, {label}")
    return (
        f'<table aria-label="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<small>PSNR-Y in dB. Open a run to see its recipe, teachers and deviations from the paper.</small>{details}"
    )


def _details(run: Mapping[str, Any]) -> str:
    teachers = ", ".join(f"{name} ({digest})" for name, digest in (run["teachers"] or {}).items())
    versions = ", ".join(f"{name} {version}" for name, version in (run["versions"] or {}).items())
    held_out = "" if run["held_out_psnr"] is None else f"{run['held_out_psnr']:.3f} dB, at the end of training"
    facts = {
        "identity": run["digest"],
        "from": "the package" if run["source"] == "bundled" else "your own runs",
        "network": run["network"],
        "device": run["device"],
        "held out": held_out,
        "curve": run["curve_note"],
        "teachers": teachers and f"{teachers}: names, and hashes of their weights",
        "teacher passes": run["teacher_passes"],
        "training images": run["images"] and f"hash {run['images']}",
        "versions": versions,
    }
    parts = [f"<dt>{name}</dt><dd>{escape(str(fact))}</dd>" for name, fact in facts.items() if fact not in (None, "")]
    if run["deviations"]:
        items = "".join(f"<li>{escape(text)}</li>" for text in run["deviations"])
        parts.append(f"<dt>deviations</dt><dd><ul>{items}</ul></dd>")
    if run["recipe"]:
        recipe = escape(to_yaml(run["recipe"]))
        parts.append(f"<dt>recipe</dt><dd><pre>{recipe}</pre></dd>")
    return f"<details><summary>{escape(run['folder'])}</summary><dl>{''.join(parts)}</dl></details>"
