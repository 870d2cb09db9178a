"""How long models will take on a picture, learned from those that have run."""

from __future__ import annotations

from collections.abc import Sequence

from mtkd.explore import Comparison
from mtkd.zoo.costs import HEIGHT, WIDTH, multiply_adds

SHORTEST = 0.05
"""Seconds of a run from which something can be learned."""


class Pace:
    """Multiply-adds per second of this computer, the newest runs counting most."""

    def __init__(self, rate: float = 30e9) -> None:
        self.rate = rate

    def learn(self, comparison: Comparison) -> None:
        """Take the newest result into account."""
        if not comparison.results:
            return
        result = comparison.results[-1]
        if result.multiply_adds and result.seconds and result.seconds >= SHORTEST:
            rate = result.multiply_adds * comparison.pixels / (HEIGHT * WIDTH) / result.seconds
            self.rate += 0.3 * (rate - self.rate)

    def seconds(self, names: Sequence[str], scale: int, pixels: int) -> float:
        """What these models will take for a result of so many pixels."""
        return sum(multiply_adds(name, scale) for name in names) * pixels / (HEIGHT * WIDTH) / self.rate


PACE = Pace()
"""Of this process."""
