"""Measured tables beside the paper's: built from the records alone, as data and as markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtkd import networks
from mtkd.data.sources import set_names
from mtkd.experiments.claims import amount, check, evidence, printed_evidence
from mtkd.experiments.matrix import Line, Matrix, images_by_scale
from mtkd.experiments.plan import Plan
from mtkd.experiments.published import published
from mtkd.experiments.records import Records
from mtkd.experiments.runner import HELD_OUT
from mtkd.experiments.statistics import FIRST_LOOK, VERDICTS, Paired, Scores, pair, spread
from mtkd.metrics import DEFAULT, spec, text
from mtkd.numbers import signed

PRIMARY = ("Set14", HELD_OUT)
"""The primary endpoint: the mean over all images of these sets together, each image with the same weight. Set14 alone
has 14 images; Set5, with five, is shown and not tested. The held-out images are those of the training set that no
training saw; the plan's settings were chosen on them, never one of two models that a claim compares."""


class Tables:
    """The tables of one plan, filled from the records of its runs."""

    def __init__(self, plan: Plan, records: Records) -> None:
        self.plan, self.records = plan, records
        self.matrix = Matrix(plan, images_by_scale(plan.images(), records.images, elsewhere=True))
        self.sets = [name for name in set_names() if any(measured == name for _, measured in records.scores)]
        self._recorded = sorted({run["seed"] for run in records.runs.values() if run["seed"] is not None})
        self._seeds: dict[tuple[Line, int], dict[int | None, str]] = {}

    def seeds(self, line: Line, scale: int) -> dict[int | None, str]:
        """The digests of a line's finished runs by seed."""
        if (line, scale) not in self._seeds:
            one = line.kind == "model"  # one run, compared with every seed of others, whatever its own
            seeds: Sequence[int | None] = [None] if one else self._recorded
            runs = [self.matrix.run(line.model, scale, seed) for seed in seeds]
            digests = {None if one else run.seed: run.digest for run in runs if run.digest in self.records.runs}
            self._seeds[line, scale] = digests
        return self._seeds[line, scale]

    def scores(self, line: Line, scale: int, set_name: str) -> dict[int | None, Scores]:
        """The scores of a line on one set by seed, of every seed that was measured."""
        by_seed = {seed: self.records.scores.get((d, set_name)) for seed, d in self.seeds(line, scale).items()}
        return {seed: scores for seed, scores in by_seed.items() if scores}

    def primary(self, line: Line, scale: int) -> dict[int | None, Scores]:
        """The scores of a line on the images of the primary endpoint by seed, where all of its sets were measured."""
        by_set = {name: self.scores(line, scale, name) for name in PRIMARY}
        seeds = set.intersection(*map(set, by_set.values()))
        return {
            seed: {f"{name}/{image}": found for name in PRIMARY for image, found in by_set[name][seed].items()}
            for seed in seeds
        }

    def compare(self, first: Line, second: Line, scale: int) -> dict[str, Any]:
        """The comparison of two lines on the primary endpoint as plain data.

        ``mean``, ``spread`` and the 97.5 % ``interval`` are over the ``seeds`` of the look that ``verdict`` is from, of
        ``measured`` in all; ``needed`` more are needed until the next look. ``fixed`` is the number of seeds of the
        second look in the plan, ``planned`` that which the spread of the first three asks for (see
        :mod:`mtkd.experiments.statistics`).
        """
        paired = pair(self.primary(first, scale), self.primary(second, scale))
        fixed = self.plan.fixed_seeds(name := f"{first.model} - {second.model} x{scale}")
        return {"comparison": name, **_judged(paired, fixed), "fixed": fixed}

    def any_measured(self, name: str, scale: int) -> bool:
        """Whether a student of a table, or an aggregator where it has none, was measured at a scale."""
        entry = self.matrix.table(name)
        kind = "student" if entry.variants else "aggregator"
        lines = [line for line in self.matrix.lines(entry) if line.kind == kind]
        return any(self.scores(line, scale, s) for line in lines for s in (HELD_OUT, *self.sets))

    def filled(self, name: str, scale: int) -> tuple[list[str], list[str]]:
        """The sets on which any line of a table was measured, and those on which the paper prints any."""
        lines = self.matrix.lines(self.matrix.table(name))
        measured = [s for s in (HELD_OUT, *self.sets) if any(self.scores(line, scale, s) for line in lines)]
        printed = [s for s in published().sets if any(published().cell(name, scale, line.label, s) for line in lines)]
        return measured, printed

    def table(self, name: str, scale: int) -> dict[str, Any]:
        """One table at one scale as plain data: ``rows`` with measured and published numbers, ``differences``."""
        entry = self.matrix.table(name)
        lines = self.matrix.lines(entry)
        measured, printed = self.filled(name, scale)
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
                        **_measured(paired),
                        "seeds": len(paired.differences),
                        "images": paired.images,
                        "won": paired.won,
                    }
            if found:
                judged = self.compare(by_label[first], by_label[second], scale)
                yield {"first": first, "second": second, "sets": found, "primary": judged}

    @staticmethod
    def _scratch(label: str, students: Sequence[str]) -> str:
        """What a student is compared with: the one without a teacher on as many images or steps, "kd_8_images"."""
        suffixes = [label[at:] for at, sign in enumerate(label) if sign == "_"]
        return next((found for suffix in suffixes if (found := f"scratch{suffix}") in students), "scratch")


def _measured(paired: Paired) -> dict[str, Any]:
    """Of one set, with the 95 % interval: nothing is tested on it."""
    return {"mean": round(paired.mean, 4), "spread": _rounded(paired.spread), "interval": _ends(paired.interval)}


def _ends(interval: tuple[float, float]) -> list[float] | None:
    return [round(end, 4) for end in interval] if math.isfinite(interval[0]) else None


def _judged(paired: Paired | None, fixed: int | None) -> dict[str, Any]:
    if paired is None:
        return {
            "verdict": "undecided",
            "seeds": 0,
            "measured": 0,
            "needed": FIRST_LOOK,
            "planned": None,
            "p_against": 1.0,
        }
    look = paired.look(fixed)
    return {
        "verdict": look.verdict,
        **_measured(look),
        "interval": _ends(look.tested),
        "seeds": len(look.differences),
        "measured": len(paired.differences),
        "needed": paired.needed(fixed),
        "planned": paired.planned,
        "first_spread": _rounded(spread(paired.differences[:FIRST_LOOK])),
        "p_against": round(look.p_against, 6),
    }


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
    claims = [check(tables, claim, asked, also) for claim in known]
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
                mean, won = signed(cell["mean"], "+.3f"), f"{cell['won']} of {cell['images']}{images}"
                parts.append(f"{mean}{plus_minus} dB on {name} ({won})")
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
        *_comparison_lines(content["claims"]),
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
        [
            *parts,
            f"**What the paper says, checked on what was measured at {at}**",
            "",
            *_claim_lines(content["claims"]),
            *_comparison_lines(content["claims"]),
        ]
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
        "Differences in dB, same seed and same images (images won); tested on Set14 and the held-out images together:",
        "",
        f"| | seeds | {' | '.join(sets)} | together, 97.5 % interval | |",
        f"|---|--:|{'--:|' * len(sets)}--:|---|",
    ]
    for row in table["differences"]:
        cells = []
        for set_name in sets:
            found = row["sets"].get(set_name)
            cells.append(_difference(found) if found else "")
        seeds = max(found["seeds"] for found in row["sets"].values())
        cells += [amount(row["primary"], count=False), row["primary"]["verdict"]]
        lines.append(f"| {titles[row['first']]} − {titles[row['second']]} | {seeds} | {' | '.join(cells)} |")
    return [*lines, ""]


def _difference(found: Mapping[str, Any]) -> str:
    plus_minus = "" if found["spread"] is None else f" ± {found['spread']:.3f}"
    return f"{signed(found['mean'], '+.3f')}{plus_minus} ({found['won']}/{found['images']})"


def _claim_lines(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [VERDICTS, "", "| claim | measured | evidence | in the paper's own numbers |", "|---|---|---|---|"]
    for claim in claims:
        cells = (f"{claim['text']} ({claim['where']})", claim["verdict"], evidence(claim), printed_evidence(claim))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _comparison_lines(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["", "The comparisons behind each claim, in dB:", ""]
    lines += ["| comparison | difference, 97.5 % interval | verdict | seeds still needed |", "|---|--:|---|--:|"]
    for claim in claims:
        for found in claim.get("comparisons", ()):
            needed = str(found["needed"] or "")
            lines.append(f"| {found['of']} | {amount(found)} | {found['verdict']} | {needed} |")
    return lines
