"""Numbers as people read them; CSV and JSON hold them as Python writes them."""

from __future__ import annotations


def signed(value: float, form: str = "+.2f") -> str:
    """A number in a format, with a real minus sign (U+2212), which is as wide as the plus.

    >>> signed(-0.0312, "+.3f")
    '−0.031'
    """
    return f"{value:{form}}".replace("-", "−")


def interval(ends: tuple[float, float], form: str = "+.3f") -> str:
    """The two ends of an interval: "−0.02 to +0.16"."""
    return " to ".join(signed(end, form) for end in ends)
