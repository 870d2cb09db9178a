"""The paper's claims, checked on the measured tables and on the paper's own numbers."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtkd.experiments.published import Claim, published
from mtkd.experiments.statistics import FIRST_LOOK, Finding, conclude, pair, rank_correlation
from mtkd.numbers import interval, signed

if TYPE_CHECKING:
    from mtkd.experiments.matrix import Line
    from mtkd.experiments.tables import Tables

SIGNIFICANT = 0.05
ONE_AGGREGATOR = "one aggregator of each kind, where three are needed"


def check(tables: Tables, claim: Claim, scales: Sequence[int], also: Sequence[int] = ()) -> dict[str, Any]:
    """What was found on a claim, as plain data: ``verdict``, what it is from, and what the paper's own numbers say.

    At the scales of ``also`` what was not measured is not asked for.
    """
    found = _correlation(tables, claim, [*scales, *also]) if claim.grows else _compared(tables, claim, scales, also)
    return {"id": claim.id, "text": claim.text, "where": claim.where, **found}


def _places(tables: Tables, claim: Claim, scales: Sequence[int]) -> Iterator[tuple[str, int, dict[str, Line]]]:
    """Every table of a claim at every scale that it has, with its lines by label."""
    for name in claim.tables:
        entry = tables.matrix.table(name)
        lines = {line.label: line for line in tables.matrix.lines(entry)}
        for scale in scales:
            if entry.scales is None or scale in entry.scales:
                yield name, scale, lines


def _compared(tables: Tables, claim: Claim, scales: Sequence[int], also: Sequence[int]) -> dict[str, Any]:
    comparisons, printed = [], []
    for name, scale, lines in _places(tables, claim, [*scales, *also]):
        for first, second in claim.pairs:
            printed += _printed(name, scale, first, second)
            if first not in lines or second not in lines:
                continue
            found = tables.compare(lines[first], lines[second], scale)
            if found["measured"] or scale in scales:
                titles = [tables.plan.title(label) for label in (first, second)]
                student = tables.plan.title(tables.matrix.table(name).student or "")
                of = f"{' − '.join(titles)}, {student} x{scale}"
                place = {"table": name, "scale": scale, "student": student}
                comparisons.append({"of": of, "first": first, "second": second, **place, **found})
    verdict, decisive = conclude([(found["verdict"], found["p_against"]) for found in comparisons])
    return {
        "verdict": "undecided" if claim.aggregators else verdict,
        "one_aggregator_each": claim.aggregators,
        "comparisons": comparisons,
        "decisive": [comparisons[place]["of"] for place in decisive],
        "printed": [sum(printed), len(printed)],
    }


def _printed(table: str, scale: int, first: str, second: str) -> list[bool]:
    """Of each set for which the paper prints both rows, whether the first is better."""
    sets = published().sets
    cells = [[published().cell(table, scale, label, name) for label in (first, second)] for name in sets]
    return [a[0] > b[0] for a, b in cells if a and b]


def _correlation(tables: Tables, claim: Claim, scales: Sequence[int]) -> dict[str, Any]:
    """Students at one scale are the points.

    A scratch run that happens to be weak would raise gap and gain alike: the gap takes the first seed of the
    undistilled student, the gain the others.
    """
    assert claim.grows is not None
    labels = (claim.grows["gap"], claim.grows["gain"])
    measured, printed, seeds = [], [], []
    for name, scale, lines in _places(tables, claim, scales):
        cells = [[[published().cell(name, scale, label, s) for label in pair_] for pair_ in labels]
                 for s in published().sets]  # fmt: skip
        known = [[a[0] - b[0] for a, b in of_set if a and b] for of_set in cells if all(a and b for a, b in of_set)]
        if known:
            printed.append([statistics.fmean(column) for column in zip(*known, strict=True)])
        scores = {label: tables.primary(lines[label], scale) for pair_ in labels for label in pair_}
        below = scores[labels[0][1]]
        first = min(below, default=None, key=lambda seed: seed or 0)
        rest = {seed: found for seed, found in below.items() if seed != first} or below
        gap = pair(scores[labels[0][0]], {s: f for s, f in below.items() if s == first})
        gain = pair(scores[labels[1][0]], rest)
        if gap and gain:
            measured.append([gap.mean, gain.mean])
            seeds.append(len(below))
    enough = bool(seeds) and min(seeds) >= FIRST_LOOK
    return {**_correlated(measured, enough), "printed": _correlated(printed, True)}


def _correlated(points: Sequence[Sequence[float]], enough: bool) -> dict[str, Any]:
    gaps, gains = ([point[k] for point in points] for k in (0, 1))
    verdict: Finding = "undecided"
    try:
        correlation, p = rank_correlation(gaps, gains)
    except ValueError:  # fewer than three points, or all alike
        return {"verdict": verdict, "points": len(points)}
    against = rank_correlation(gaps, [-gain for gain in gains])[1]
    if enough and min(p, against) <= SIGNIFICANT:
        verdict = "holds" if p <= against else "does not hold"
    return {"verdict": verdict, "points": len(points), "rank_correlation": round(correlation, 3), "p": round(p, 4)}


# --- in words


def amount(comparison: Mapping[str, Any], count: bool = True) -> str:
    """A comparison's difference: "+0.064 dB (+0.012 to +0.116, n = 3)"; ``count`` says the seeds."""
    if not comparison["seeds"]:
        return "not measured" if count else ""
    ends = comparison["interval"]
    aside = [interval(ends)] if ends else []
    aside += [f"n = {comparison['seeds']}"] if count or not ends else []
    return f"{signed(comparison['mean'], '+.3f')} dB ({', '.join(aside)})"


def evidence(claim: Mapping[str, Any]) -> str:
    """What a claim's verdict is from: how many comparisons there are of each kind, and those that decide it."""
    if "points" in claim:
        return _correlation_text(claim)
    comparisons, text = claim["comparisons"], counts(claim)
    if claim["one_aggregator_each"]:
        return text
    decisive = [found for found in comparisons if found["of"] in claim["decisive"]]
    if claim["verdict"] == "does not hold":
        return "; ".join([text, *(f"{found['of']}: {amount(found)}" for found in decisive)])
    missing = [f"{found['of']} ({found['needed']})" for found in decisive if found["needed"]]
    return text if claim["verdict"] == "holds" or not missing else f"{text}; seeds still needed: {', '.join(missing)}"


def counts(claim: Mapping[str, Any]) -> str:
    """How many comparisons of a claim there are of each kind: "of 3 comparisons 2 better, 1 undecided"."""
    states = [found["verdict"] if found["seeds"] else "not measured" for found in claim["comparisons"]]
    kinds = ("better", "better by less than 0.02 dB", "level", "worse", "undecided", "not measured")
    text = ", ".join(f"{number} {kind}" for kind in kinds if (number := states.count(kind)))
    text = f"of {len(states)} comparisons {text}" if len(states) > 1 else text
    return f"{text}; {ONE_AGGREGATOR}" if claim["one_aggregator_each"] else text


def printed_evidence(claim: Mapping[str, Any]) -> str:
    """What the paper's own numbers say on a claim."""
    printed = claim["printed"]
    return _correlation_text(printed) if "points" in claim else f"{printed[0]} of {printed[1]}"


def _correlation_text(found: Mapping[str, Any]) -> str:
    if "rank_correlation" not in found:
        return f"{found['points']} points"
    return f"rank correlation {signed(found['rank_correlation'])} over {found['points']} points (p = {found['p']:.2g})"
