"""The evidence in short: three questions with their answers, gains over the student alone, when distillation pays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from mtkd import networks, zoo
from mtkd.experiments.claims import amount
from mtkd.explore.evidence.headline import cost_of
from mtkd.explore.evidence.result_rows import Row
from mtkd.explore.evidence.results import Checked, Results
from mtkd.numbers import signed

HELPS, OVER_KD = "distillation-helps", "mtkd-over-kd"
"""The claims of the first two questions."""
METHODS = ("kd", "mtkd")
"""What the panels of :func:`pays` compare with the student alone."""
Panel = Literal["steps", "images", "parameters"]


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a few words, and what that is from: ``numbers`` by name, each with interval and n.

    ``claim`` says what the paper's claim needs, and what of it is there.
    """

    question: str
    answer: str
    about: str
    numbers: Mapping[str, str]
    claim: str = ""

    def __str__(self) -> str:
        """All of it as one paragraph."""
        numbers = "; ".join(f"{name} {number}" for name, number in self.numbers.items())
        return f"{self.answer} {self.about}{f': {numbers}.' if numbers else ''}{f' {self.claim}' if self.claim else ''}"


def answers(results: Results, scale: int = 4) -> list[Answer]:
    """Does distillation help, is it better than KD, what does it cost: from the records alone.

    A question that nothing was measured for is left out.
    """
    claims = {claim.id: claim for claim in results.claims()}
    found = []
    for question, name in (("Does distillation help?", HELPS), ("Is it better than KD?", OVER_KD)):
        if (claim := claims.get(name)) and (measured := _measured(claim, scale)):
            numbers = {one["student"]: amount(one) for one in measured}
            about = _about(results, measured, scale)
            found.append(Answer(question, _in_words(measured), about, numbers, _needs(claim, scale)))
    return [*found, *_cost(results, scale)]


def _measured(claim: Checked, scale: int) -> list[Mapping[str, Any]]:
    return [one for one in claim.comparisons if one["scale"] == scale and one["seeds"]]


def _in_words(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """ "Yes for RCAN and EDSR; undecided for SwinIR." """
    said = {"better": "yes", "better by less than 0.02 dB": "yes", "level": "no", "worse": "no"}
    groups: dict[str, list[str]] = {"yes": [], "no": [], "undecided": []}
    for one in comparisons:
        groups[said.get(one["verdict"], "undecided")].append(one["student"])
    text = "; ".join(f"{answer} for {_listed(students)}" for answer, students in groups.items() if students)
    return f"{text[0].upper()}{text[1:]}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _about(results: Results, comparisons: Sequence[Mapping[str, Any]], scale: int) -> str:
    first, second = (results.plan.title(comparisons[0][side]) for side in ("first", "second"))
    second = "the student alone" if comparisons[0]["second"] == "scratch" else second
    return f"{first} over {second}, ×{scale}, on Set14 and held-out images together, 97.5 % intervals over n trainings"


def _needs(claim: Checked, scale: int) -> str:
    """ "The paper's claim needs all 5 comparisons, 2 of them at ×2 and ×3; 2 of 5 are better: undecided. In the paper's
    numbers: 36 of 36." """
    of, better = len(claim.comparisons), sum(one["verdict"].startswith("better") for one in claim.comparisons)
    elsewhere = [one["scale"] for one in claim.comparisons if one["scale"] != scale]
    others = f", {len(elsewhere)} of them at {_listed([f'×{n}' for n in sorted(set(elsewhere))])}" if elsewhere else ""
    return (
        f"The paper's claim needs all {of} comparisons{others}; "
        f"{better} of {of} {'is' if better == 1 else 'are'} better: {claim.verdict}. "
        f"In the paper's numbers: {claim.printed}."
    )


def _cost(results: Results, scale: int) -> Iterator[Answer]:
    name = next((claim.comparisons[0]["table"] for claim in results.claims() if claim.id == HELPS), None)
    table = next((t for t in results.report["tables"] if (t["table"], t["scale"]) == (name, scale)), None)
    images = results.default_set(scale)
    rows = {row["model"]: row for row in table["rows"]} if table else {}
    cost = table and cost_of(table, images, lambda model: results.multiply_adds(rows[model]))
    if not table or not cost:
        return
    family = results.plan.title(results.plan.tables[table["table"]].student or "")
    yield Answer(
        "What does it cost?",
        f"Any student computes {cost.times:.0f} times less than the combined teacher, however it was taught.",
        f"{cost.student / 1e9:.1f} G instead of {cost.combined / 1e9:.0f} G multiply-adds for a 1280 × 720 image. "
        f"{cost.quality()} ({family} student, ×{scale}, {images}, 95 % intervals.)",
        {},
    )


# --- gains over the student alone


def gains(results: Results, scale: int, set_name: str) -> dict[str, list[Row]]:
    """The rows of the paper's tables of methods that were measured over the student alone, by student."""
    found = {}
    for name, table in results.plan.tables.items():
        if table.student is None or not results.compares_methods(name) or scale not in results.scales(name):
            continue
        rows = [row for row in results.view(name, scale, set_name).rows if row.distilled and row.over]
        if rows:
            found[f"{results.plan.title(table.student)} student"] = rows
    return found


# --- when does distillation pay?


@dataclass(frozen=True)
class Point:
    """A gain over the student alone under one setting: ``method`` is a label, ``value`` what the panel varies.

    ``comparison`` is that of the report; ``runs`` are the folders of the distilled runs.
    """

    method: str
    value: int
    comparison: Mapping[str, Any]
    runs: tuple[str, ...]


def pays(results: Results, scale: int = 4) -> dict[Panel, list[Point]]:
    """Gains of KD and MTKD over training steps, training images and parameters, each with all else as in the tables.

    Points are found by what the runs' recipes say: what has no data is left out, later runs come in by themselves.
    """
    usual = _usual(results, scale)
    panels: dict[Panel, dict[tuple[str, int], Point]] = {"steps": {}, "images": {}, "parameters": {}}
    if not usual:
        return {}
    family, base, methods = usual
    for filled in results.report["tables"]:
        if filled["scale"] != scale:
            continue
        rows = {row["label"]: row for row in filled["rows"]}
        for difference in filled["differences"]:
            first, second = (_recipe(results, rows[difference[side]]) for side in ("first", "second"))
            method = methods.get(_taught(first)) if first else None
            if not first or not second or not method or second["method"]["name"] != "scratch":
                continue
            setting = _setting(results, rows[difference["first"]], first)
            if networks.specs()[first["network"]].family != family or not difference["primary"]["seeds"]:
                continue
            folders = tuple(results.records.runs[digest]["folder"] for digest in rows[difference["first"]]["runs"])
            for panel, points in panels.items():
                if setting[panel] and all(setting[other] == base[other] for other in panels if other != panel):
                    point = Point(method, setting[panel], difference["primary"], folders)
                    points.setdefault((method, setting[panel]), point)
    ordered = {panel: sorted(points.values(), key=lambda p: (p.method, p.value)) for panel, points in panels.items()}
    return {panel: points for panel, points in ordered.items() if len({point.value for point in points}) > 1}


def _usual(results: Results, scale: int) -> tuple[str, dict[Panel, int], dict[str, str]] | None:
    """The family, the setting and the methods of the first table that compares methods."""
    name = next((name for name in results.plan.tables if results.compares_methods(name)), None)
    tables = [t for t in results.report["tables"] if (t["table"], t["scale"]) == (name, scale)]
    rows = {row["label"]: row for row in tables[0]["rows"]} if tables else {}
    recipes = {label: _recipe(results, rows[label]) for label in ("scratch", *METHODS) if label in rows}
    scratch = recipes.get("scratch")
    if not scratch:
        return None
    methods = {_taught(recipe): label for label, recipe in recipes.items() if recipe and label != "scratch"}
    return networks.specs()[scratch["network"]].family, _setting(results, rows["scratch"], scratch), methods


def _recipe(results: Results, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe of a row's runs, where its network is declared here."""
    recipe = results.records.runs[row["runs"][0]]["recipe"] if row["runs"] else None
    return recipe if recipe and recipe["network"] in networks.specs() else None


def _taught(recipe: Mapping[str, Any]) -> str:
    """How a student is taught: method and teachers."""
    return f"{recipe['method']} {recipe['teachers']}"


def _setting(results: Results, row: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[Panel, int]:
    run = results.records.runs[row["runs"][0]]
    images = recipe["data"].get("images") or _images(run["scale"]).get(run["images"], 0)
    return {"steps": recipe["iterations"], "images": images, "parameters": row["parameters"]}


@lru_cache
def _images(scale: int) -> dict[str, int]:
    """How many images there are in the data of a hash, as cards of models say."""
    cards = [model.card.get("data", {}) for model in zoo.models(scale) if model.bundled]
    return {data["hash"]: int(data["images"]) for data in cards if {"hash", "images"} <= data.keys()}


def reading(points: Sequence[Point], panel: Panel) -> str:
    """A panel in a sentence: where MTKD gains most and least, or that the intervals do not tell."""
    of = [point for point in points if point.method == "mtkd" and point.comparison["interval"]]
    if len(of) < 2:
        return ""
    most, least = (pick(of, key=lambda point: point.comparison["mean"]) for pick in (max, min))
    means = [f"{signed(point.comparison['mean'])} dB at {point.value:,} {panel}" for point in (most, least)]
    apart = most.comparison["interval"][0] > least.comparison["interval"][1]
    return f"MTKD: {means[0]}, {means[1]}" + ("." if apart else "; the intervals overlap, so that no trend is shown.")
