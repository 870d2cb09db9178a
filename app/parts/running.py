"""The run of a comparison: models one by one, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd.errors import UserError
from mtkd.explore import Comparison
from mtkd.explore.comparison.core import LR, comparing
from mtkd.images import MAX_PIXELS, UInt8Image, read_image

from ..state import Mode
from . import area
from .estimate import PACE

MOST_OTHERS = 16
"""Results of other methods in one comparison."""


@dataclass(frozen=True)
class Step:
    """Of a run: what runs now, or another comparison."""

    text: str = ""
    comparison: Comparison | None = None


def run_models(
    tell: Callable[[Step], None],
    image: UInt8Image,
    alpha: NDArray[np.uint8] | None,
    mode: Mode,
    scale: int,
    names: Sequence[str],
    others: Sequence[str],
    pixels: int,
) -> None:
    """Run the models; tell each comparison so far, and what runs next."""
    models = [name for name in names if name != LR]
    if not models and not others:
        raise UserError("No model is chosen. Choose at least one.")

    def still_wanted(*_: object) -> None:
        tell(Step())  # after each tile too: it ends here where nobody waits any more

    given = _uploaded(others, scale)
    for comparison in comparing(image, models, scale, mode is Mode.TEST, still_wanted, given, alpha=alpha):
        PACE.learn(comparison)
        tell(Step(comparison=comparison))
        if comparison.pending:
            tell(Step(_text(comparison, len(models), pixels)))


def _text(comparison: Comparison, models: int, pixels: int) -> str:
    """What runs next, and how long all of it takes."""
    number = models - len(comparison.pending) + 1
    seconds = PACE.seconds(list(comparison.pending), comparison.scale, pixels)
    left = f", about {seconds:.0f} s left" if seconds >= 2 else ""
    return f"Running {next(iter(comparison.pending.values()))}, {number} of {models}{left}"


def _uploaded(others: Sequence[str], scale: int) -> dict[str, UInt8Image]:
    """Results of other programs by name."""
    if len(others) > MOST_OTHERS:
        raise UserError(f"{len(others)} results of other methods: at most {MOST_OTHERS} at once")
    uploaded: dict[str, UInt8Image] = {}
    for other in others:
        if (name := Path(other).stem) in uploaded:
            raise UserError(f"two results of other methods are named {name}; rename one of the files")
        area.check_size(other, Mode.TEST, scale)
        uploaded[name] = read_image(other, MAX_PIXELS)
    return uploaded
