"""What people read in place of the names of a plan's models: "RCAN student, with MTKD (v6: DCT loss)"."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mtkd.experiments.plan import Plan
from mtkd.files import write_json
from mtkd.networks import family_title
from mtkd.zoo.titles import FILE


def titles(plan: Plan) -> dict[str, str]:
    """The title of every model of a plan, by name: its teachers, aggregators and students, in the plan's order."""
    teachers = {plan.teacher_name(family): f"{family_title(family)} teacher" for family in plan.teachers}
    aggregators = {plan.aggregator_name(role): _aggregator(plan, role) for role in plan.aggregators}
    students = {
        f"{plan.student_network(student)}-{variant}": _student(plan, student, variant)
        for student in plan.students
        for variant in plan.variants
    }
    return {**teachers, **aggregators, **students}


def write(plan: Plan, folder: Path, names: Iterable[str] | None = None) -> None:
    """Write the titles, those of ``names`` or all, where the catalogue finds them: into the folder of the models.

    Raises:
        Unwritable: the folder cannot be written to.
    """
    known = titles(plan)
    chosen = known if names is None else [name for name in known if name in set(names)]
    write_json(folder / FILE, {name: known[name] for name in chosen})


def _aggregator(plan: Plan, role: str) -> str:
    """The first one of a plan is the combined teacher; of another it is said in what it differs."""
    of, first = plan.aggregators[role], next(iter(plan.aggregators.values()))
    apart = [of.note] if of.note else []
    if of.teachers != first.teachers:
        apart.insert(0, f"of {' and '.join(map(plan.title, of.teachers))}")
    return f"{' '.join(['Combined teacher', *apart])} ({role})"


def _student(plan: Plan, student: str, name: str) -> str:
    variant = plan.variant(name)
    apart, method = plan.difference(name), str(variant.method.get("name"))
    trained = f"with {plan.title(method)}" if variant.teachers else "alone"
    return f"{family_title(plan.architecture(student))} student, {trained}{f' ({apart})' if apart else ''}"
