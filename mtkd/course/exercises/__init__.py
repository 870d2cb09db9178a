"""The exercises of the course, a module for each lesson; a module beside them is found without being listed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from mtkd.course.grade.kinds import Exercise
from mtkd.errors import UserError


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises by id, in the order of the lessons."""
    modules = sorted(name for _, name, _ in iter_modules(__path__) if name.startswith("lesson_"))
    declared = [one for name in modules for one in import_module(f"{__name__}.{name}").EXERCISES]
    return {one.id: one for one in declared}


def find(name: str) -> Exercise:
    """The exercise with this id.

    Raises:
        UserError: there is none.
    """
    if name not in exercises():
        raise UserError(f"there is no exercise {name!r}: choose one of {', '.join(exercises())}")
    return exercises()[name]


def of_lesson(lesson: str) -> list[Exercise]:
    """The exercises of a lesson, as in "04".

    Raises:
        UserError: it has none.
    """
    found = [one for one in exercises().values() if one.id.startswith(f"{lesson}.")]
    if not found:
        raise UserError(f"lesson {lesson!r} has no exercises")
    return found
