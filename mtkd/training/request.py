"""Requests for a training: shorten a recipe, and check it before it starts."""

from __future__ import annotations

from typing import Any

import torch

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.images import image_size
from mtkd.methods import create
from mtkd.training.dataset import Dataset
from mtkd.training.initial import initial
from mtkd.training.recipe import Recipe, parse


def shortened(recipe: Recipe, iterations: int) -> Recipe:
    """The same training with fewer steps.

    All intervals of the recipe shrink in proportion: warm-up, schedule, moving average, snapshots, log, validation,
    checkpoint (at most 500 log entries, 20 validations and 20 checkpoints). With more steps than in the recipe, only
    their number changes.
    """
    content: dict[str, Any] = recipe.model_dump(mode="json") | {"iterations": iterations}
    content.pop("longer", None)
    ratio = iterations / recipe.iterations
    if ratio >= 1:
        return parse(content, recipe.name)

    def fewer(steps: int, at_least: int = 1) -> int:
        return min(steps, max(1, round(steps * ratio), at_least))

    schedule = recipe.schedule
    content["schedule"] |= {"every": fewer(schedule.every), "warmup": round(schedule.warmup * ratio)}
    content["snapshots"] = sorted({fewer(step) for step in recipe.snapshots if step <= recipe.iterations})
    content["log_every"] = fewer(recipe.log_every, iterations // 500)
    for key in ("validate_every", "checkpoint_every"):
        content[key] = fewer(getattr(recipe, key), iterations // 20)
    if recipe.ema is not None:  # its memory, 1 / (1 - ema) steps
        ema = 1 - (1 - recipe.ema) / ratio
        content["ema"] = round(ema, 6) if ema > 0 else None
    return parse(content, recipe.name)


def check(recipe: Recipe) -> None:
    """Check that a training can start, without reading images or weights.

    Raises:
        UserError: a model of that name exists, an unknown network to learn from or to begin with, options that the
            method does not have, no such folder, too few images, or one that is smaller than the patch.
    """
    for model in zoo.models():
        if (model.name, model.scale) == (recipe.name, recipe.scale):
            kind = "bundled model" if model.bundled else "imported model"
            raise UserError(f"{recipe.name} is a {kind} for scale {recipe.scale}; choose another name")
    with torch.device("meta"):
        network = networks.build(recipe.network, recipe.scale, recipe.teachers)
        teachers = {name: _teacher(name, recipe) for name in recipe.teachers}
        side = recipe.scale * recipe.lr_patch
        create(recipe.method.name, recipe.method.options, recipe.teachers, network, teachers, side)
    if recipe.init:
        initial(recipe)
    dataset = Dataset(recipe.data, recipe.scale)
    train_files, held_files = dataset.split()
    for files in (dataset.drawn(train_files, recipe.seed), held_files):
        for path in files:
            side = min(image_size(path)) // recipe.scale
            if side < recipe.lr_patch:
                raise UserError(
                    f"{path}: its shorter side is {side} pixels at 1/{recipe.scale}, smaller than the LR patch of "
                    f"{recipe.lr_patch}; make the patch smaller or remove the image"
                )


def _teacher(name: str, recipe: Recipe) -> torch.nn.Module:
    if name in networks.baselines():
        return zoo.load(name, recipe.scale)
    try:
        return zoo.find(name, recipe.scale).build()
    except UserError as error:
        raise UserError(f"teacher {name} is missing for ×{recipe.scale}; train it first, or name other teachers "
                        f"(teachers: [...]). {error}") from error  # fmt: skip
