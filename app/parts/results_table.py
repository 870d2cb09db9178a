"""The Results tab's pieces of HTML: a table, the runs behind a number, the claims. All text is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from itertools import groupby
from typing import Any

from mtkd.config import to_yaml
from mtkd.explore.evidence.result_rows import Difference, Row, View
from mtkd.explore.evidence.results import Checked
from mtkd.metrics import spec


def table(view: View, chosen: str | None) -> str:
    """A view as a table whose rows carry ``data-label`` and whose cells carry what to sort by."""
    if view.empty:
        return f"<p>{escape(view.missing)}</p>"
    columns = _columns(view)
    above = "".join(
        f'<th colspan="{len(list(of))}">{escape(name)}</th>' for name, of in groupby(columns, lambda column: column[0])
    )
    head = "".join(f'<th scope="col"><button type="button">{text}</button></th>' for _, text, _ in columns)
    body = []
    for row in view.rows:
        marked = ' class="chosen"' if row.label == chosen else ""
        cells = "".join(cell(row) for _, _, cell in columns)
        body.append(f'<tr data-label="{escape(row.label)}"{marked}>{cells}</tr>')
    name = escape(f"{view.title}, ×{view.scale}, {view.set_name}, {spec(view.metric).title}")
    head = f'<tr class="above">{above}</tr><tr class="sort">{head}</tr>'
    return f'<table aria-label="{name}"><thead>{head}</thead><tbody>{"".join(body)}</tbody></table>'


def _columns(view: View) -> list[tuple[str, str, Callable[[Row], str]]]:
    """Common heading, heading and cell of every column; those of the paper where it prints anything."""
    metric, over = spec(view.metric), f"{view.over}, dB"
    unit = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    digits, printed_digits = f".{metric.digits}f", ".2f" if view.metric == "psnr" else ".4f"
    columns: list[tuple[str, str, Callable[[Row], str]]] = [
        ("", "Method", lambda row: _cell(f'<button type="button">{escape(row.title)}</button>', row.title)),
        (unit, "measured", lambda row: _cell(_number(row.measured, row.spread, digits, row.mark), row.measured)),
        (unit, "seeds", lambda row: _cell(str(row.seeds or ""), row.seeds) if row.parameters else _cell("", None)),
    ]
    if any(row.printed is not None for row in view.rows):
        paper = partial(_number, spread=None, digits=printed_digits)
        columns.append((unit, "paper", lambda row: _cell(paper(row.printed, mark=row.printed_mark), row.printed)))
    columns.append((over, "measured", lambda row: _cell(_difference(row.over), row.over and row.over.mean)))
    if any(row.printed_over is not None for row in view.rows):
        columns.append((over, "paper", lambda row: _cell(_number(row.printed_over, None, "+.2f"), row.printed_over)))
    return [*columns, ("", "parameters", lambda row: _cell(_number(row.parameters, None, ","), row.parameters))]


def _cell(content: str, value: object) -> str:
    return f'<td data-value="{"" if value is None else escape(str(value))}">{content or "–"}</td>'


def _number(value: float | None, spread: float | None, digits: str, mark: str = "") -> str:
    if value is None:
        return ""
    plus_minus = "" if spread is None else f" <small>± {spread:{digits}}</small>"
    shown = f"{value:{digits}}"
    return (f'<span class="mark-{mark}" title="{mark}">{shown}</span>' if mark else shown) + plus_minus


def _difference(found: Difference | None) -> str:
    if found is None:
        return ""
    plus_minus = "" if found.spread is None else f" ± {found.spread:.3f}"
    won = f'<small title="images on which it is better">{plus_minus} ({found.won}/{found.images})</small>'
    return f"{found.mean:+.3f}{won}"


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
        f"<small>PSNR-Y in dB. Opened, a run shows its recipe, teachers and deviations from the paper.</small>{details}"
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


def claims(found: Sequence[Checked], scales: Sequence[int]) -> str:
    """The paper's sentences with their verdicts."""
    where = ", ".join(f"×{scale}" for scale in scales)
    parts = []
    for claim in found:
        kind = claim.verdict.replace(" ", "-")
        parts.append(
            f'<div class="claim"><span class="verdict verdict-{kind}">{claim.verdict}</span> {escape(claim.text)} '
            f"<small>{escape(claim.where)}</small><p>{escape(claim.evidence[0].upper() + claim.evidence[1:])}. "
            f"<span>In the paper's own numbers: {escape(claim.printed)}.</span></p></div>"
        )
    return f"<h3>What the paper says, checked on what was measured at {where}</h3>{''.join(parts)}"
