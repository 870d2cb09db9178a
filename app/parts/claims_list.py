"""The evidence in HTML: three answers, the paper's claims with their comparisons, numbers behind a figure. All text is
escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mtkd.experiments.claims import amount
from mtkd.experiments.statistics import MARGIN
from mtkd.explore.evidence.results import Checked
from mtkd.explore.evidence.summary import Answer, Panel, Point

_WIDTH, _HEIGHT = 240, 18
"""Of a line of a forest plot, in its own units."""
_REACH = 3


def answers(found: Sequence[Answer]) -> str:
    """Questions with their answers, and the numbers behind each."""
    cards = []
    for one in found:
        numbers = "".join(f"<dt>{escape(name)}</dt><dd>{escape(number)}</dd>" for name, number in one.numbers.items())
        cards.append(
            f"<section><h2>{escape(one.question)}</h2><p>{escape(one.answer)}</p><small>{escape(one.about)}</small>"
            f"{f'<dl>{numbers}</dl>' if numbers else ''}{f'<small>{escape(one.claim)}</small>' if one.claim else ''}"
            "</section>"
        )
    return f'<div class="answers">{"".join(cards)}</div>'


def claims(found: Sequence[Checked], scales: Sequence[int]) -> str:
    """The paper's claims, a line each; opened, a line shows the comparisons behind it as a forest plot."""
    counts = {kind: sum(claim.verdict == kind for claim in found) for kind in ("holds", "does not hold", "undecided")}
    where = ", ".join(f"×{scale}" for scale in scales)
    head = f"{counts['holds']} hold, {counts['does not hold']} do not hold, {counts['undecided']} are undecided"
    lines = []
    for claim in found:
        seen = f"{claim.counts[:1].upper()}{claim.counts[1:]}."
        lines.append(
            f"<details><summary>{_chip(claim.verdict)}<span>{escape(claim.text)} <small>{escape(claim.where)}</small>"
            f"</span></summary><p>{escape(seen)} In the paper's own numbers: {escape(claim.printed)}.</p>"
            f"{forest(claim.comparisons)}</details>"
        )
    return f"<p>Tested on what was measured at {where}: {head}.</p>{''.join(lines)}"


def _chip(verdict: str) -> str:
    kind = verdict.partition(" by ")[0].replace(" ", "-")
    return f'<span class="verdict verdict-{kind}">{escape(verdict)}</span>'


def forest(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Differences with their intervals on one axis, a line each; grey: where a difference is too small to matter.

    The axis holds the intervals up to :data:`_REACH` times the largest difference; an arrow says that one goes on.
    """
    measured = [one for one in comparisons if one["seeds"]]
    if not comparisons:
        return ""
    largest = max([abs(one["mean"]) for one in measured] + [3 * MARGIN])
    ends = [abs(end) for one in measured for end in one["interval"] or ()]
    most = 1.05 * min(max([1.2 * largest, *ends]), _REACH * largest)
    rows = []
    for one in comparisons:
        needed = f", {one['needed']} more seeds needed" if one["needed"] else ""
        chip = _chip(one["verdict"]) if one["seeds"] else ""
        rows.append(
            f"<tr><td>{escape(one['of'])}</td><td>{_line(one, most)}</td><td>{escape(amount(one) + needed)}</td>"
            f"<td>{chip}</td></tr>"
        )
    axis = (
        f"<td></td><td><span class='axis'><i>−{most:.2f}</i><i>0</i><i>+{most:.2f} dB</i></span></td><td></td><td></td>"
    )
    return f'<table class="forest"><tbody>{"".join(rows)}<tr aria-hidden="true">{axis}</tr></tbody></table>'


def _line(one: Mapping[str, Any], most: float) -> str:
    def x(value: float) -> float:
        return _WIDTH / 2 * (1 + min(max(value / most, -1), 1))

    band = f'<rect x="{x(-MARGIN):.1f}" y="0" width="{x(MARGIN) - x(-MARGIN):.1f}" height="{_HEIGHT}" class="band"/>'
    marks = f'{band}<path d="M{_WIDTH / 2} 0V{_HEIGHT}" class="zero"/>'
    if one["seeds"]:
        if one["interval"]:
            low, high = map(x, one["interval"])
            marks += f'<path d="M{low:.1f} {_HEIGHT / 2}H{high:.1f}"/>'
            for end, edge, back in ((-one["interval"][0], 0, 6), (one["interval"][1], _WIDTH, -6)):
                if end > most:
                    tip = f"M{edge + back} {_HEIGHT / 2 - 5}L{edge} {_HEIGHT / 2}l{back} 5"
                    marks += f'<path class="goes-on" d="{tip}"/>'
        hollow = "" if one["seeds"] > 1 else ' class="hollow"'
        marks += f'<circle cx="{x(one["mean"]):.1f}" cy="{_HEIGHT / 2}" r="4.5"{hollow}/>'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">{marks}</svg>'


def points(panels: Mapping[Panel, Sequence[Point]]) -> str:
    """The numbers behind the panels, and the runs behind each number."""
    lines = []
    for panel, of in panels.items():
        for point in of:
            setting = f"{point.value:,} {panel}"
            cells = (setting, point.method.upper(), amount(point.comparison))
            runs = f'<td title="{escape(" ".join(point.runs))}">{len(point.runs)} runs</td>'
            chip = f"<td>{_chip(point.comparison['verdict'])}</td>"
            lines.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}{chip}{runs}</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("setting", "method", "gain", "verdict", "runs"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f"<details><summary>Numbers and runs behind the figure</summary>{table}</details>" if lines else ""
