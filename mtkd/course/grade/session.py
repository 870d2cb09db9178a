"""Grading an answer, and what a lesson prints of it."""

from __future__ import annotations

from collections.abc import Callable

from mtkd.course.grade.verdict import NOT_ANSWERED, Grade

_last: dict[str, Grade] = {}
listeners: list[Callable[[str, Grade], None]] = []
"""Called by :func:`check` with every exercise and its grade: the grader of folders listens."""


def grade(exercise: str, answer: object) -> Grade:
    """The judgement of an answer; nothing is printed or kept.

    Args:
        exercise: lesson and number, as in "04.2".
        answer: a number, a word or a function; an ellipsis is no answer.

    Raises:
        UserError: no such exercise.
    """
    from mtkd.course.exercises import find

    return find(exercise).grade(answer)


def check(exercise: str, answer: object) -> None:
    """Print whether the answer is right; it is counted by :func:`progress`.

    Raises:
        UserError: no such exercise.
    """
    from mtkd.course.exercises import find

    found = find(exercise)
    _last[exercise] = result = found.grade(answer)
    stars = "●" * found.difficulty + "○" * (3 - found.difficulty)
    print(f"Exercise {exercise} ({stars}, {found.minutes} min): {result.message}")
    for listener in listeners:
        listener(exercise, result)


def progress(lesson: str) -> None:
    """Print how many exercises of a lesson, as in "04", are right, by what :func:`check` said last of each.

    Raises:
        UserError: a lesson without exercises.
    """
    from mtkd.course.exercises import of_lesson

    grades = {exercise.id: _last.get(exercise.id, NOT_ANSWERED) for exercise in of_lesson(lesson)}
    right = sum(one.right for one in grades.values())
    bar = "".join("■" if one.right else "□" for one in grades.values())
    rest = "; ".join(f"{name} {one.verdict}" for name, one in grades.items() if not one.right)
    print(f"Lesson {lesson}: {bar} {right} of {len(grades)} right" + (f" ({rest})" if rest else ""))
