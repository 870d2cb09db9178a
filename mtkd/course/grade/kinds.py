"""The kinds of exercises: a number, a word, a function, or any object that passes a check."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd.course.grade.verdict import CLOSE, NOT_ANSWERED, RIGHT, Grade, nearness, not_yet


@dataclass(frozen=True, kw_only=True)
class Exercise(ABC):
    """One exercise: declared once, in :mod:`mtkd.course.exercises`; its question stands in the lesson.

    Args:
        id: lesson and number, as in "04.2".
        title: what is asked, in a few words.
        difficulty: 1 (read off) to 3 (think, or write ten lines).
        minutes: to be planned for it.
        hint: what a wrong answer is told where no mistake is recognised; it does not give the answer away.
    """

    id: str
    title: str
    difficulty: int
    minutes: int
    hint: str

    def grade(self, answer: object) -> Grade:
        """The judgement of an answer; an ellipsis is none. It never raises."""
        if answer is ...:
            return NOT_ANSWERED
        if answer is None:
            return not_yet("the answer is None")
        return self.judge(answer)

    @abstractmethod
    def judge(self, answer: object) -> Grade:
        """The judgement of something that may be an answer."""


@dataclass(frozen=True, kw_only=True)
class Number(Exercise):
    """A number; rounded to two digits or more it is right, unless it must be whole.

    Args:
        expected: computes the right answer.
        whole: only the exact whole number is right.
        mistakes: numbers that well-known mistakes lead to, by their hint.
    """

    expected: Callable[[], float]
    whole: bool = False
    mistakes: Mapping[str, Callable[[], float]] = field(default_factory=dict)

    def judge(self, answer: object) -> Grade:
        value = _number(answer)
        if value is None:
            return not_yet(f"a number is asked for, this is of type {type(answer).__name__}")
        expected = self.expected()
        verdict = (RIGHT if value == expected else None) if self.whole else nearness(value, expected)
        if verdict:
            return verdict
        for hint, wrong in self.mistakes.items():
            if (value == wrong()) if self.whole else nearness(value, wrong()) == RIGHT:
                return not_yet(hint)
        return not_yet("look at the sign" if value == -expected or nearness(-value, expected) else self.hint)


@dataclass(frozen=True, kw_only=True)
class Word(Exercise):
    """One of a few words; capitals do not matter.

    Args:
        expected: the spellings that are right, in lower case.
        choices: all words that are an answer, in lower case.
        mistakes: hints by wrong word.
    """

    expected: Sequence[str]
    choices: Sequence[str]
    mistakes: Mapping[str, str] = field(default_factory=dict)

    def judge(self, answer: object) -> Grade:
        if not isinstance(answer, str):
            return not_yet(f"a word in quotes is asked for, this is of type {type(answer).__name__}")
        word = answer.strip().lower()
        if word in self.expected:
            return RIGHT
        if word not in self.choices:
            return not_yet(f"{answer!r} is none of the names to choose from")
        return not_yet(self.mistakes.get(word, self.hint))


@dataclass(frozen=True, kw_only=True)
class Code(Exercise):
    """A function, tried on inputs for which the right results are known.

    Args:
        solution: a right function, the oracle.
        inputs: makes the arguments of every trial; each call gets a copy of its own.
        mistakes: wrong functions that students write, by their hint.
        exact: the results are whole numbers: none is nearly right.
        trial: what is done with a function and the arguments; its result is compared. By default a call.
    """

    solution: Callable[..., Any]
    inputs: Callable[[], Sequence[tuple[Any, ...]]]
    mistakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    exact: bool = False
    trial: Callable[..., Any] = lambda function, *arguments: function(*arguments)

    def judge(self, answer: object) -> Grade:
        if not callable(answer):
            return not_yet(f"a function is asked for, this is of type {type(answer).__name__}")
        grades = []
        for arguments in self.inputs():
            try:
                result = self._try(answer, arguments)
            except Exception as error:  # whatever a student's code raises is told, not raised
                return not_yet(f"the function raises {type(error).__name__}: {error}")
            if result is ...:
                return NOT_ANSWERED
            grades.append(self._compared(result, arguments))
            if not grades[-1].right and not grades[-1].close:
                return grades[-1]
        return next((one for one in grades if one.close), RIGHT)

    def _try(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with torch.enable_grad():
            return self.trial(function, *copy.deepcopy(arguments))

    def _compared(self, result: Any, arguments: tuple[Any, ...]) -> Grade:
        verdict = likeness(result, self._try(self.solution, arguments), self.exact)
        if verdict == RIGHT:
            return RIGHT
        for hint, wrong in self.mistakes.items():
            if likeness(result, self._try(wrong, arguments), self.exact) == RIGHT:
                return not_yet(hint)
        return verdict if isinstance(verdict, Grade) else not_yet(verdict or self.hint)


@dataclass(frozen=True, kw_only=True)
class Object(Exercise):
    """Any object that passes a check.

    Args:
        fault: what is wrong with an object, or None.
    """

    fault: Callable[[Any], str | None]

    def judge(self, answer: object) -> Grade:
        try:
            fault = self.fault(answer)
        except Exception:  # an object of another type, with other attributes
            fault = self.hint
        return not_yet(fault) if fault else RIGHT


def likeness(result: Any, expected: Any, exact: bool = False) -> Grade | str | None:
    """Right (to 0.01 % of the largest value), close (1 %), None, or a sentence if the shape or the type differs."""
    if result is None:
        return "the function returns None"
    if isinstance(expected, tuple):
        if not isinstance(result, (tuple, list, np.ndarray, Tensor)) or len(result) != len(expected):
            return f"{len(expected)} values are asked for, in this order"
        verdicts = [likeness(one, other, exact) for one, other in zip(result, expected, strict=True)]
        return next((v for v in verdicts if v != RIGHT), RIGHT)
    try:
        if isinstance(result, (bool, str)):
            raise TypeError
        ours, right = (torch.as_tensor(np.asarray(_plain(x)), dtype=torch.float64) for x in (result, expected))
    except (TypeError, ValueError, RuntimeError):
        return f"the function returns an object of type {type(result).__name__}"
    if ours.shape != right.shape and not ours.numel() == right.numel() == 1:
        return f"the result has the shape {tuple(ours.shape)}, it should be {tuple(right.shape)}"
    away = float((ours.flatten() - right.flatten()).abs().max())
    scale = float(right.abs().max()) or 1.0
    if exact:
        return None if away else RIGHT
    if away <= 1e-4 * scale:
        return RIGHT
    return CLOSE if away <= 0.01 * scale else None


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().numpy()
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _number(answer: object) -> float | None:
    """The answer as a number: int, float, NumPy's or PyTorch's single value; no text, no bool."""
    if isinstance(answer, (bool, np.bool_, str, bytes)):
        return None
    try:
        return float(answer.item() if isinstance(answer, (np.ndarray, Tensor)) else answer)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return None
