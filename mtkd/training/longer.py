"""Make a run longer: the same recipe with more iterations, finished or not."""

from __future__ import annotations

from pathlib import Path

from mtkd.errors import UserError
from mtkd.training.recipe import Longer, Recipe, Then


def resumed(path: Path, begun: Recipe, recipe: Recipe, then: Then | None = None) -> Recipe:
    """The recipe that a run goes on with: the one that it began with, or with more iterations.

    Args:
        path: the run folder, for messages.
        then: learning rate of the added part; by default a step schedule goes on, and after a cosine it is constant.

    Raises:
        UserError: another recipe, or fewer iterations.
    """
    changed = _changed(begun, recipe)
    if changed:
        raise UserError(f"{path}: contains a run of another recipe ({', '.join(changed)} differ); choose another --out")
    lengths = {begun.iterations, *(part.after for part in begun.longer)}
    if recipe.iterations in lengths:
        same = begun.longer and begun.longer[-1].rate == then and recipe.iterations == begun.iterations
        if then is not None and not same:
            raise UserError(f"--then {then}: says how a run is made longer; give more iterations than {max(lengths)}")
        return begun
    if recipe.iterations < begun.iterations:
        raise UserError(
            f"{path}: contains a run of {begun.iterations} iterations, which can only be made longer, not "
            f"{recipe.iterations}; choose another --out"
        )
    rate = then or ("schedule" if begun.schedule.kind == "step" else "constant")
    part = Longer(after=begun.iterations, rate=rate)
    return begun.model_copy(update={"iterations": recipe.iterations, "longer": (*begun.longer, part)})


def _changed(begun: Recipe, recipe: Recipe) -> list[str]:
    """The keys in which recipes differ, other than their length."""
    new, before = (r.model_copy(update={"iterations": 1, "longer": ()}).model_dump() for r in (recipe, begun))
    return sorted(key for key in new | before if new.get(key) != before.get(key))
