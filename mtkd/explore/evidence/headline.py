"""What distillation is worth in general, as recorded: the gain over the student alone, and what the student costs.

It stands beside what is seen on one picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mtkd.data.examples import PLACE_SCALE, Place
from mtkd.experiments.plan import load_plan
from mtkd.experiments.records import MEASURED
from mtkd.experiments.statistics import quantile
from mtkd.explore.comparison.choices import BICUBIC, DISTILLED, METHOD_TABLES, PLAIN, SCRATCH
from mtkd.explore.comparison.story import Story
from mtkd.numbers import interval, signed
from mtkd.zoo.costs import multiply_adds

SIZE, COMBINED = "mini", "MT"
A_LITTLE = 0.2
"""dB: a smaller gain is called little. Twice the compute in a network gains more."""
_ON = "on Set14 and held-out images"
"""The primary endpoint."""


@dataclass(frozen=True)
class Share:
    """A student's part of the combined teacher's gain over bicubic, in PSNR: the mean over its ``seeds``.

    ``interval`` is the 95 % interval over the seeds (the combined teacher is one); None with one seed.
    """

    mean: float
    interval: tuple[float, float] | None
    seeds: int

    def __str__(self) -> str:
        """Of the share, e.g. "83 % (82 to 84 %, n = 3)"."""
        percent = self.interval and (100 * self.interval[0], 100 * self.interval[1])
        ends = f"{interval(percent, '.0f')} %, " if percent else ""
        return f"{100 * self.mean:.0f} % ({ends}n = {self.seeds})"


@dataclass(frozen=True)
class Cost:
    """What a student costs beside the combined teacher, however it was taught, and how much of its quality it has.

    Attributes:
        student, combined: multiply-adds.
        alone, distilled: what the student alone and the distilled one reach.
    """

    student: float
    combined: float
    alone: Share
    distilled: Share

    @property
    def times(self) -> float:
        """How many times less the student computes."""
        return self.combined / self.student

    def quality(self) -> str:
        """What the student reaches with MTKD and without, in a sentence; the intervals are 95 % intervals."""
        return (
            f"The student alone reaches {self.alone} of the combined teacher's gain over bicubic, with MTKD "
            f"{self.distilled}."
        )


@dataclass(frozen=True)
class Headline:
    """One student at one scale; its cost on one set.

    Attributes:
        gain: the distilled student's over the student alone, as in the report: a comparison on the primary endpoint
            (:meth:`~mtkd.experiments.tables.Tables.compare`), the same as in the Summary of the evidence.
        over_plain: the same over the student with plain KD; None where that was not measured.
    """

    student: str
    scale: int
    set_name: str
    gain: Mapping[str, Any]
    cost: Cost
    over_plain: Mapping[str, Any] | None = None

    def verdict(self) -> str:
        """Whether distillation helps this student, and how sure that is."""
        gain, student = self.gain, f"the {self.student} student"
        little = " a little" if abs(gain["mean"]) < A_LITTLE else ""
        helps = f"helps {student}{little}" if gain["mean"] > 0 else f"does not help {student}"
        amount = f"{signed(gain['mean'], '+.3f')} dB at ×{self.scale}"
        if gain["interval"] is None:
            return f"In one training, distillation {helps}: {amount}, {_ON}. One training says nothing of chance."
        if gain["verdict"] == "undecided":
            few = f"{gain['seeds']} trainings are too few to be sure"
            return f"On average distillation {helps}: {amount}; {few} ({_ends(gain)})."
        if gain["verdict"] == "level":
            return f"Distillation changes nothing that counts for {student}: {amount} ({_ends(gain)})."
        return f"Distillation {helps}: {amount} ({_ends(gain)})."

    def sentence(self) -> str:
        """Compute and quality, with student, scale, set, seeds and intervals, and why another student is shown."""
        first = headline()
        other = (
            f" The {first.student} student was trained at ×{first.scale} only."
            if first and first.student != self.student
            else ""
        )
        seeds = {self.cost.alone.seeds, self.cost.distilled.seeds}
        what = ", 95 % intervals" if max(seeds) > 1 else ", one training each"
        return (
            f"In general ({self.student} student, ×{self.scale}, {self.set_name}{what}): any such student computes "
            f"{self.cost.times:.0f} times less than the combined teacher. {self.cost.quality()}{other}"
        )

    def beside(self) -> str:
        """How the distilled student stands to plain KD, and how sure that is; "" where that was not measured."""
        gain = self.over_plain
        if gain is None:
            return ""
        amount = f"In general MTKD is {signed(gain['mean'], '+.3f')} dB over KD at ×{self.scale}"
        if gain["interval"] is None:
            return f"{amount} in one training, {_ON}, which says nothing of chance."
        return f"{amount} ({_ends(gain)}): {gain['verdict']}."


def _ends(comparison: Mapping[str, Any]) -> str:
    """What the Summary of the evidence says of the same number."""
    return f"97.5 % interval {interval(comparison['interval'])}, n = {comparison['seeds']}, {_ON}"


def place_caption(place: Place, story: Story, scale: int) -> str:
    """What is seen at a place, that it was chosen, and what is true of the whole picture.

    Args:
        story: of the picture, with the place as its region.
    """
    at = f" at ×{PLACE_SCALE}; here at ×{scale}" if scale != PLACE_SCALE else ""
    here = "" if story.gain_in_region is None else f", {signed(story.gain_in_region)} dB"
    what = f"{place.what[0].upper()}{place.what[1:]}"
    return f"{what}: chosen because distillation helps most here{at}{here}. Whole picture {signed(story.gain)} dB."


@lru_cache
def headline(scale: int = 4, set_name: str = "Set14") -> Headline | None:
    """Of the first student under every method that was measured at this scale on this set: from the bundled report.

    None where there is none, or the report cannot be read: Compare goes on without.
    """
    try:
        content = json.loads((MEASURED / f"{SIZE}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    filled = {(table["table"], table["scale"]): table for table in content["tables"]}
    known = (filled.get((name, scale)) for name in METHOD_TABLES)
    return next((found for table in known if table and (found := _of(table, set_name))), None)


def _of(table: Mapping[str, Any], set_name: str) -> Headline | None:
    differences = {(d["first"], d["second"]): d["primary"] for d in table["differences"] if d["primary"]["seeds"]}
    gain, over_plain = (differences.get((DISTILLED, other)) for other in (SCRATCH, PLAIN))
    cost = cost_of(table, set_name, lambda name: multiply_adds(name, table["scale"]))
    if not gain or not cost:
        return None
    plan = load_plan(SIZE)
    title = plan.title(plan.architecture(str(plan.tables[table["table"]].student)))
    return Headline(title, table["scale"], set_name, gain, cost, over_plain)


def cost_of(table: Mapping[str, Any], set_name: str, multiply_adds: Callable[[str], float]) -> Cost | None:
    """Of the student of a report's table; None where it, bicubic or the combined teacher was not measured.

    ``multiply_adds`` are those of a model by name, an aggregator's with its teachers'.
    """
    rows = {row["label"]: row for row in table["rows"] if set_name in row["measured"]}
    if not {SCRATCH, DISTILLED, BICUBIC, COMBINED} <= rows.keys():
        return None
    alone, distilled, bicubic, combined = (
        rows[label]["measured"][set_name] for label in (SCRATCH, DISTILLED, BICUBIC, COMBINED)
    )
    whole = combined["psnr"] - bicubic["psnr"]
    small, large = (multiply_adds(rows[label]["model"]) for label in (DISTILLED, COMBINED))
    return Cost(small, large, *(_share(student, bicubic["psnr"], whole) for student in (alone, distilled)))


def _share(student: Mapping[str, Any], bicubic: float, whole: float) -> Share:
    mean, ends = (student["psnr"] - bicubic) / whole, None
    if student["seeds"] > 1:
        half = quantile(student["seeds"] - 1, 0.05) * student["psnr_spread"] / math.sqrt(student["seeds"]) / whole
        ends = mean - half, mean + half
    return Share(mean, ends, student["seeds"])
