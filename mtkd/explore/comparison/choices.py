"""Which models there are to compare, as people choose them: by title, in groups, or several at once by a preset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.experiments.matrix import Line, Matrix
from mtkd.experiments.plan import Plan, load_plan
from mtkd.zoo.titles import distinct

BICUBIC = "bicubic"
"""The network over which gains are given."""
SCRATCH, PLAIN, DISTILLED = "scratch", "kd", "mtkd"
"""The variants of a student's training that the story is about: without distillation, and with the paper's."""
GROUPS = {"baseline": "Baselines", "teacher": "Teachers", "aggregator": "Combined teacher", "student": "Students"}
"""Titles of the groups of models, by role."""
STORY, METHODS, ABLATIONS, EVERYTHING = "Story", "All methods", "Ablations", "Everything"
"""The presets."""
METHOD_TABLES = ("table2", "table3", "table4")
"""Each has one student under every method; the first whose student is here tells the story."""
ABLATION_TABLE = "table5"


def title(name: str, scale: int, sources: Sequence[Path] = ()) -> str:
    """What people read in place of a model's name; ``sources`` are folders looked up first.

    Raises:
        UserError: unknown name or scale.
    """
    return networks.specs()[name].title if name in networks.baselines() else zoo.find(name, scale, sources).title


def model_choices(scale: int) -> dict[str, list[tuple[str, str]]]:
    """All models of a scale by group, as (title, name); no group is empty.

    Within a group they stand as in the bundled plan, its first table's student first; others, as the user's, after
    them.
    """
    models = zoo.models(scale)
    roles = {**dict.fromkeys(networks.baselines(), "baseline"), **{model.name: model.role for model in models}}
    baselines = {name: title(name, scale) for name in networks.baselines()}
    titles = distinct({**baselines, **{model.name: model.title for model in models}})
    place = {name: number for number, name in enumerate(_order())}
    names = sorted(roles, key=lambda name: place.get(name, len(place)))
    groups = {text: [(titles[n], n) for n in names if roles[n] == role] for role, text in GROUPS.items()}
    return {text: choices for text, choices in groups.items() if choices}


def presets(scale: int) -> dict[str, list[str]]:
    """Names of models by preset, of those that are here at this scale; without the presets that would be empty.

    A best student that is not one of the story's comes before it: a photo is upscaled with that.
    """
    here = [name for choices in model_choices(scale).values() for _, name in choices]
    lines = _lines()
    methods = next((table for table in METHOD_TABLES if _tells_the_story(lines[table], here)), METHOD_TABLES[0])
    story = _chosen(lines[methods], lambda line: line.label in (SCRATCH, DISTILLED) or line.kind == "aggregator")
    found = {
        STORY: story,
        METHODS: _chosen(lines[methods], lambda line: line.kind != "model" or line.model in networks.baselines()),
        ABLATIONS: _chosen(lines[ABLATION_TABLE], lambda line: line.kind != "model"),
        EVERYTHING: here,
    }
    present = {preset: [name for name in names if name in here] for preset, names in found.items()}
    with suppress(UserError):  # it need not be here
        if (best := zoo.best_student(scale)) not in present[STORY]:
            present[STORY].insert(0, best)
    if not any(line.model in here for line in lines[ABLATION_TABLE] if line.kind == "student"):
        present[ABLATIONS] = []
    return {preset: names for preset, names in present.items() if names}


def default_models(scale: int) -> list[str]:
    """What a comparison opens with: the story; bicubic where nothing of it is trained."""
    return presets(scale).get(STORY) or [BICUBIC]


def _tells_the_story(lines: Sequence[Line], here: Sequence[str]) -> bool:
    return all(line.model in here for line in lines if line.label in (SCRATCH, DISTILLED))


def _chosen(lines: Sequence[Line], wanted: Callable[[Line], bool]) -> list[str]:
    """Models of a table's lines: baselines, students, then what they learn from."""
    ranks = {"model": 0, "student": 1, "aggregator": 2}
    return [line.model for line in sorted(filter(wanted, lines), key=lambda line: ranks[line.kind])]


@lru_cache
def _plan() -> Plan:
    """The plan of the bundled models."""
    return load_plan("mini")


@lru_cache
def _lines() -> dict[str, list[Line]]:
    """The lines of the tables of methods and of ablations."""
    matrix = Matrix(_plan(), "")
    return {table: matrix.lines(matrix.table(table)) for table in (*METHOD_TABLES, ABLATION_TABLE)}


@lru_cache
def _order() -> list[str]:
    """The models of the bundled plan: its teachers, aggregators, and students in the order of its tables."""
    plan = _plan()
    students = dict.fromkeys([*(str(plan.tables[table].student) for table in METHOD_TABLES), *plan.students])
    of_students = [f"{plan.student_network(student)}-{variant}" for student in students for variant in plan.variants]
    return [*(name for name in plan.names() if name not in of_students), *of_students]
