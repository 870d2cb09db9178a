"""What is said of an answer, and when a number is right, close or neither."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Grade:
    """The judgement of one answer; ``message`` is what the student reads."""

    right: bool
    close: bool
    message: str

    @property
    def verdict(self) -> str:
        """One of "right", "close", "not yet" and "not answered"."""
        return self.message.partition(":")[0]


RIGHT = Grade(True, False, "right")
CLOSE = Grade(False, True, "close: more digits")
NOT_ANSWERED = Grade(False, False, "not answered")


def not_yet(hint: str) -> Grade:
    """A wrong answer, with a hint."""
    return Grade(False, False, f"not yet: {hint}")


def nearness(value: float, expected: float) -> Grade | None:
    """Right, close, or None.

    Right: within 0.5 % of the expected number, or this number rounded to two or more digits.
    Close: within 5 %, or the number rounded to one digit.
    """
    if not math.isfinite(value):
        return None
    away = abs(value - expected) / abs(expected) if expected else abs(value)
    if away <= 0.005 or any(value == float(f"{expected:.{digits}e}") for digits in range(1, 6)):
        return RIGHT
    return CLOSE if away <= 0.05 or value == float(f"{expected:.0e}") else None
