"""Measured tables beside the paper's: built from the records alone, as data and as markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtkd import networks
from mtkd.data.sources import set_names
from mtkd.experiments.matrix import Line, Matrix, images_by_scale
from mtkd.experiments.plan import Plan
from mtkd.experiments.published import Claim, published
from mtkd.experiments.records import Records
from mtkd.experiments.runner import HELD_OUT
from mtkd.experiments.statistics import LEAST_SEEDS, Paired, Scores, Verdict, pair, rank_correlation, spread, together
from mtkd.metrics import DEFAULT, spec, text

SIGNIFICANT = 0.05


class Tables:
    """The tables of one plan, filled from the records of its runs."""

    def __init__(self, plan: Plan, records: Records) -> None:
        self.plan, self.records = plan, records
        self.matrix = Matrix(plan, images_by_scale(plan.images(), records.images, elsewhere=True))
        self.sets = [name for name in set_names() if any(measured == name for _, measured in records.scores)]

    def seeds(self, line: Line, scale: int) -> dict[int | None, str]:
        """The digests of a line's finished runs by seed."""
        recorded = sorted({run["seed"] for run in self.records.runs.values() if run["seed"] is not None})
        seeds: Sequence[int | None] = [None] if line.kind == "model" else recorded
        runs = [self.matrix.run(line.model, scale, seed) for seed in seeds]
        one = line.kind == "model"  # one run, compared with every seed of others, whatever its own
        return {None if one else run.seed: run.digest for run in runs if run.digest in self.records.runs}

    def scores(self, line: Line, scale: int, set_name: str) -> dict[int | None, Scores]:
        """The scores of a line on one set by seed, of every seed that was measured."""
        by_seed = {seed: self.records.scores.get((d, set_name)) for seed, d in self.seeds(line, scale).items()}
        return {seed: scores for seed, scores in by_seed.items() if scores}

    def any_measured(self, name: str, scale: int) -> bool:
        """Whether a student of a table, or an aggregator where it has none, was measured at a scale."""
        entry = self.matrix.table(name)
        kind = "student" if entry.variants else "aggregator"
        lines = [line for line in self.matrix.lines(entry) if line.kind == kind]
        return any(self.scores(line, scale, s) for line in lines for s in (HELD_OUT, *self.sets))

    def table(self, name: str, scale: int) -> dict[str, Any]:
        """One table at one scale as plain data: ``rows`` with measured and published numbers, ``differences``."""
        entry = self.matrix.table(name)
        lines = self.matrix.lines(entry)
        measured = [s for s in (HELD_OUT, *self.sets) if any(self.scores(line, scale, s) for line in lines)]
        printed = [s for s in published().sets if any(published().cell(name, scale, line.label, s) for line in lines)]
        rows = [self._row(name, line, scale, measured, printed) for line in lines]
        return {
            "table": name,
            "title": entry.title,
            "scale": scale,
            "measured_sets": measured,
            "printed_sets": printed,
            "protocols": sorted(self.records.protocols),
            **({"other_metrics": list(others)} if (others := self.records.metrics[len(DEFAULT) :]) else {}),
            "rows": rows,
            "differences": list(self._differences(lines, scale, measured)),
        }

    def _row(
        self, table: str, line: Line, scale: int, measured: Sequence[str], printed: Sequence[str]
    ) -> dict[str, Any]:
        digests = self.seeds(line, scale)
        runs = [self.records.runs[digest] for digest in digests.values()]
        numbers = {}
        for set_name in measured:
            by_seed = list(self.scores(line, scale, set_name).values())
            if not by_seed:
                continue
            numbers[set_name] = {**_means(by_seed), "images": len(by_seed[0]), "seeds": len(by_seed)}
        return {
            "label": line.label,
            "title": self.plan.title(line.label),
            "model": line.model,
            "seeds": [seed for seed in digests if seed is not None],
            "runs": list(digests.values()),
            "parameters": runs[0]["parameters"] if runs else None,
            "steps": runs[0]["iterations"] if runs else None,
            "teacher_passes": runs[0]["teacher_passes"] if runs else None,
            "seconds": round(statistics.fmean(s)) if (s := [r["seconds"] for r in runs if r["seconds"]]) else None,
            "measured": numbers,
            "printed": {s: list(cell) for s in printed if (cell := published().cell(table, scale, line.label, s))},
        }

    def _differences(self, lines: Sequence[Line], scale: int, sets: Sequence[str]) -> Iterator[dict[str, Any]]:
        by_label = {line.label: line for line in lines}
        students = [line.label for line in lines if line.kind == "student"]
        pairs = [
            (label, parent) for label in students if (parent := label.partition("_")[0]) in students and parent != label
        ]
        pairs += [(label, base) for label in students if (base := self._scratch(label, students)) != label]
        pairs += [("mtkd", label) for label in students if label not in ("mtkd", "scratch")]
        others = [line.label for line in lines if line.kind != "student" and line.label not in networks.baselines()]
        pairs += [("MT", label) for label in others if label != "MT"]
        for first, second in pairs:
            if first not in by_label or second not in by_label:
                continue
            found = {}
            for set_name in sets:
                a, b = (self.scores(by_label[label], scale, set_name) for label in (first, second))
                if (paired := pair(a, b)) is not None:
                    found[set_name] = {
                        "mean": round(paired.mean, 4),
                        "spread": _rounded(paired.spread),
                        "seeds": len(paired.differences),
                        "images": paired.images,
                        "won": paired.won,
                        "verdict": paired.verdict,
                    }
            if found:
                yield {"first": first, "second": second, "sets": found}

    @staticmethod
    def _scratch(label: str, students: Sequence[str]) -> str:
        """What a student is compared with: the one without a teacher on as many images or steps, "kd_8_images"."""
        suffixes = [label[at:] for at, sign in enumerate(label) if sign == "_"]
        return next((found for suffix in suffixes if (found := f"scratch{suffix}") in students), "scratch")

    # --- the paper's claims

    def claim(self, claim: Claim, scales: Sequence[int], also: Sequence[int] = ()) -> dict[str, Any]:
        """Whether a sentence of the paper holds in the measured tables, and in the paper's own numbers.

        At the scales of ``also`` what was not measured is not asked for.
        """
        check = self._correlation if claim.grows else self._comparisons
        return {"id": claim.id, "text": claim.text, "where": claim.where, **check(claim, scales, also)}

    def _cells(self, claim: Claim, scales: Sequence[int]) -> Iterator[tuple[str, int, dict[str, Line], str]]:
        for name in claim.tables:
            entry = self.matrix.table(name)
            lines = {line.label: line for line in self.matrix.lines(entry)}
            for scale in scales:
                for set_name in published().sets:
                    yield name, scale, lines, set_name

    def _comparisons(self, claim: Claim, scales: Sequence[int], also: Sequence[int]) -> dict[str, Any]:
        found: list[tuple[str, Paired | None]] = []
        printed = []
        for name, scale, lines, set_name in self._cells(claim, [*scales, *also]):
            for first, second in claim.pairs:
                cells = [published().cell(name, scale, label, set_name) for label in (first, second)]
                if cells[0] and cells[1]:
                    printed.append(cells[0][0] > cells[1][0])
                if set_name in self.sets and first in lines and second in lines:
                    paired = pair(*(self.scores(lines[label], scale, set_name) for label in (first, second)))
                    if paired is not None or scale in scales:
                        found.append((f"{first} - {second}, {name} x{scale}, {set_name}", paired))
        measured = [(where, paired) for where, paired in found if paired is not None]
        worst = min(measured, key=lambda item: item[1].mean, default=None)
        verdict = together([paired for _, paired in found])
        return {
            "verdict": "not enough seeds" if claim.aggregators and verdict != "not measured" else verdict,
            "one_aggregator_each": claim.aggregators,
            "wanted": len(found),
            "comparisons": len(measured),
            "positive": sum(paired.mean > 0 for _, paired in measured),
            "least": worst and {"of": worst[0], "mean": round(worst[1].mean, 4), "seeds": len(worst[1].differences)},
            "printed": [sum(printed), len(printed)],
        }

    def _correlation(self, claim: Claim, scales: Sequence[int], also: Sequence[int]) -> dict[str, Any]:
        """Students at one scale are the points, each the mean over its sets.

        A scratch run that happens to be weak would raise gap and gain alike: the gap takes the first seed of the
        undistilled student, the gain the others.
        """
        assert claim.grows is not None
        measured: dict[tuple[str, int], list[list[float]]] = {}
        printed: dict[tuple[str, int], list[list[float]]] = {}
        seeds = []
        for name, scale, lines, set_name in self._cells(claim, [*scales, *also]):
            labels = (claim.grows["gap"], claim.grows["gain"])
            cells = [[published().cell(name, scale, label, set_name) for label in pair_] for pair_ in labels]
            if all(a and b for a, b in cells):
                printed.setdefault((name, scale), []).append([a[0] - b[0] for a, b in cells if a and b])
            if set_name not in self.sets:
                continue
            scores = {label: self.scores(lines[label], scale, set_name) for pair_ in labels for label in pair_}
            below = scores[labels[0][1]]
            first = min(below, default=None, key=lambda seed: seed or 0)
            rest = {seed: found for seed, found in below.items() if seed != first} or below
            gap = pair(scores[labels[0][0]], {s: f for s, f in below.items() if s == first})
            gain = pair(scores[labels[1][0]], rest)
            if gap and gain:
                measured.setdefault((name, scale), []).append([gap.mean, gain.mean])
                seeds.append(len(below))
        enough = bool(seeds) and min(seeds) >= LEAST_SEEDS
        return {**_correlated(measured, enough), "printed": _correlated(printed, True)}


def _means(by_seed: Sequence[Scores]) -> dict[str, float | None]:
    """Each metric that every image of every seed has: its mean over seeds and images, ``_spread`` over the seeds."""
    common = set.intersection(*({*metrics} for scores in by_seed for metrics in scores.values()))
    found: dict[str, float | None] = {}
    for name in (*DEFAULT, *sorted(common - {*DEFAULT})):
        means = [statistics.fmean(metrics[name] for metrics in scores.values()) for scores in by_seed]
        digits = spec(name).digits + 1
        found[name] = round(statistics.fmean(means), digits)
        found[f"{name}_spread"] = _rounded(spread(means), digits)
    return found


def _correlated(points: Mapping[tuple[str, int], Sequence[Sequence[float]]], enough: bool) -> dict[str, Any]:
    gaps, gains = ([statistics.fmean(row[k] for row in rows) for rows in points.values()] for k in (0, 1))
    verdict: Verdict = "not enough seeds" if points else "not measured"
    try:
        correlation, p = rank_correlation(gaps, gains)
    except ValueError:  # fewer than three points, or all alike
        return {"verdict": verdict, "points": len(points)}
    against = rank_correlation(gaps, [-gain for gain in gains])[1]
    if enough and min(p, against) <= SIGNIFICANT:
        verdict = "holds" if p <= against else "does not hold"
    return {"verdict": verdict, "points": len(points), "rank_correlation": round(correlation, 3), "p": round(p, 4)}


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def report(plan: Plan, records: Records, names: Sequence[str], scales: Sequence[int] | None = None) -> dict[str, Any]:
    """The named tables and the paper's claims on them, as plain data.

    Without ``scales``: all that was measured, and at the plan's scales also what the paper prints.
    """
    tables = Tables(plan, records)
    filled = []
    for name in names:
        entry = tables.matrix.table(name)
        printed = plan.scales if published().tables.get(name) else ()
        wanted = scales or [s for s in (2, 3, 4) if s in printed or tables.any_measured(name, s)]
        filled += [tables.table(name, scale) for scale in wanted if entry.scales is None or scale in entry.scales]
    asked = list(scales or plan.scales)
    also = [] if scales else sorted({table["scale"] for table in filled} - {*asked})
    at = sorted([*asked, *also])
    known = [claim for claim in published().claims if set(claim.tables) <= plan.tables.keys()]
    claims = [tables.claim(claim, asked, also) for claim in known]
    footnotes = [note.model_dump() for note in published().footnotes if note.table in names]
    corrections = [note.model_dump() for note in published().corrections if note.table in names]
    return {"tables": filled, "claims": claims, "claims_at": at, "footnotes": footnotes, "corrections": corrections}


def find(content: Mapping[str, Any], table: str, scale: int) -> dict[str, Any]:
    """One table of a report.

    Raises:
        KeyError: the report does not have it at this scale.
    """
    for found in content["tables"]:
        if (found["table"], found["scale"]) == (table, scale):
            return dict(found)
    raise KeyError(f"{table} x{scale}")


def sentence(content: Mapping[str, Any], table: str, first: str, second: str, scale: int = 4) -> str:
    """The measured difference between two rows of a report's table, in words.

    >>> sentence(report, "table2", "mtkd", "scratch")
    "+0.119 dB on Set5 (5 of 5 images), +0.107 dB on Set14 (14 of 14), one seed"
    """
    for row in find(content, table, scale)["differences"]:
        if (row["first"], row["second"]) == (first, second):
            sets = {name: cell for name, cell in row["sets"].items() if name != HELD_OUT}
            parts: list[str] = []
            for name, cell in sets.items():
                plus_minus = "" if cell["spread"] is None else f" ± {cell['spread']:.3f}"
                images = "" if parts else " images"
                parts.append(
                    f"{cell['mean']:+.3f}{plus_minus} dB on {name} ({cell['won']} of {cell['images']}{images})"
                )
            seeds = max(cell["seeds"] for cell in sets.values())
            return ", ".join([*parts, _seeds(seeds)])
    return "not measured"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


# --- markdown


def markdown(content: Mapping[str, Any], size: str) -> str:
    """The report as markdown; equal records give equal text."""
    parts = [
        f"# Measured at size `{size}`, beside the paper's numbers",
        "",
        f"PSNR in dB / SSIM{_others(content)}. With several seeds: the mean, ± the standard deviation over seeds. "
        "*Printed* are the numbers of the paper, for its own networks and training. *Held out* are training images on "
        "which choices were made.",
    ]
    for table in content["tables"]:
        parts += ["", f"## {table['title']}, x{table['scale']} ({table['table']})", ""]
        parts += [*_rows(table, table["printed_sets"]), ""]
        if table["protocols"]:
            parts += [f"Protocol: {'; '.join(table['protocols'])}.", ""]
        parts += _difference_lines(table)
        notes = [n["text"] for n in content["footnotes"] if n["table"] == table["table"]]
        for c in content["corrections"]:
            if (c["table"], c["scale"]) == (table["table"], table["scale"]):
                where = f"{c['row']} on {c['set']}, {c['metric']}"
                notes.append(f"{where}: printed {c['printed']}, read as {c['read']} ({c['why']}).")
        parts += [f"- {note}" for note in notes]
    at = ", ".join(f"x{scale}" for scale in content["claims_at"])
    parts += [
        "",
        f"## What the paper says, checked on what was measured at {at}",
        "",
        *_claim_lines(content["claims"]),
        "",
    ]
    return "\n".join(parts)


def excerpt(content: Mapping[str, Any]) -> str:
    """The report's tables of the paper, measured sets alone, and its claims: for a page that says more."""
    parts = []
    for table in content["tables"]:
        if table["printed_sets"]:
            parts += [f"**{table['title']}, x{table['scale']}**", ""]
            parts += [*_rows(table, [s for s in table["printed_sets"] if s in table["measured_sets"]]), ""]
    at = ", ".join(f"x{scale}" for scale in content["claims_at"])
    return "\n".join(
        [*parts, f"**What the paper says, checked on what was measured at {at}**", "", *_claim_lines(content["claims"])]
    )


def _rows(table: Mapping[str, Any], printed: Sequence[str]) -> list[str]:
    measured = table["measured_sets"]
    header = ["", "parameters", "steps", "seeds", *measured, *(f"{s}, printed" for s in printed)]
    lines = [f"| {' | '.join(header)} |", f"|---|{'--:|' * (len(header) - 1)}"]
    for row in table["rows"]:
        cells = [
            row["title"],
            *("" if row[key] is None else f"{row[key]:,}" for key in ("parameters", "steps")),
            str(len(row["seeds"]) or ""),
        ]
        for set_name in measured:
            found = row["measured"].get(set_name)
            cells.append(_quality(found, table.get("other_metrics", ())) if found else "")
        for set_name in printed:
            cell = row["printed"].get(set_name)
            cells.append(f"*{cell[0]:.2f} / {cell[1]:.4f}*" if cell else "")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _others(content: Mapping[str, Any]) -> str:
    """The further metrics of a report's cells, " / LPIPS"."""
    names = dict.fromkeys(name for table in content["tables"] for name in table.get("other_metrics", ()))
    return "".join(f" / {spec(name).title}" for name in names)


def _quality(found: Mapping[str, Any], others: Sequence[str]) -> str:
    plus_minus = "" if found["psnr_spread"] is None else f" ± {found['psnr_spread']:.3f}"
    further = [text(name, found.get(name), "–") for name in others]
    return " / ".join([f"{found['psnr']:.3f}{plus_minus}", f"{found['ssim']:.4f}", *further])


def _difference_lines(table: Mapping[str, Any]) -> list[str]:
    if not table["differences"]:
        return []
    titles = {row["label"]: row["title"] for row in table["rows"]}
    sets = table["measured_sets"]
    lines = [
        "Differences in dB, same seed and same images (images won):",
        "",
        f"| | seeds | {' | '.join(sets)} |",
        f"|---|--:|{'--:|' * len(sets)}",
    ]
    for row in table["differences"]:
        cells = []
        for set_name in sets:
            found = row["sets"].get(set_name)
            cells.append(_difference(found) if found else "")
        seeds = max(found["seeds"] for found in row["sets"].values())
        lines.append(f"| {titles[row['first']]} − {titles[row['second']]} | {seeds} | {' | '.join(cells)} |")
    return [*lines, ""]


def _difference(found: Mapping[str, Any]) -> str:
    plus_minus = "" if found["spread"] is None else f" ± {found['spread']:.3f}"
    return f"{found['mean']:+.3f}{plus_minus} ({found['won']}/{found['images']})"


def _claim_lines(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "*Holds*: with three seeds or more, the 95 % interval of every difference lies above 0. *Does not hold*: one "
        "lies below 0 by a two-sided test at 5 %, Bonferroni-corrected: 5 % shared among all differences. Otherwise "
        "more seeds are needed. "
        "Seeds are the students': all of them learn from the same teachers and, of each kind, the same one aggregator, "
        "so that claims about aggregators are not decided by students' seeds alone.",
        "",
        "| claim | measured | evidence | in the paper's own numbers |",
        "|---|---|---|---|",
    ]
    for claim in claims:
        if "points" in claim:
            evidence, printed = _correlation_text(claim), _correlation_text(claim["printed"])
        else:
            evidence, least = "", claim["least"]
            if least:
                evidence = f"{claim['positive']} of {claim['comparisons']} differences positive"
                if claim["wanted"] > claim["comparisons"]:
                    evidence += f", {claim['wanted'] - claim['comparisons']} not measured"
                evidence += f"; least {least['mean']:+.3f} dB ({least['of']}, {_seeds(least['seeds'])})"
            printed = f"{claim['printed'][0]} of {claim['printed'][1]}"
        lines.append(f"| {claim['text']} ({claim['where']}) | {claim['verdict']} | {evidence} | {printed} |")
    return lines


def _correlation_text(found: Mapping[str, Any]) -> str:
    if "rank_correlation" not in found:
        return f"{found['points']} points"
    return f"rank correlation {found['rank_correlation']:+.2f} over {found['points']} points (p = {found['p']:.2g})"
