"""What a person asks to be trained: a recipe shortened as a whole, and checked before anything starts."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image, UnidentifiedImageError

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.methods import create
from mtkd.training.dataset import Dataset
from mtkd.training.recipe import Recipe, parse


def shortened(recipe: Recipe, iterations: int) -> Recipe:
    """The same training in fewer steps.

    What the recipe does every so many steps, or after or over so many, shrinks in proportion: warm-up, schedule,
    moving average, snapshots, log, validation, checkpoint. (Log at most 500 times, validate and save at most 20.)
    With more steps than the recipe's nothing but their number changes.
    """
    content: dict[str, Any] = recipe.model_dump(mode="json") | {"iterations": iterations}
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
    """Find what would stop a training from starting, without reading images or weights.

    Raises:
        UserError: a model of that name exists, an unknown network to learn from, options that the method does not
            have, no such folder, too few images, or one that is smaller than the patch.
    """
    for model in zoo.models():
        if (model.name, model.scale) == (recipe.name, recipe.scale):
            kind = "bundled model" if model.bundled else "model of yours"
            raise UserError(f"{recipe.name} is a {kind} for scale {recipe.scale}; choose another name")
    with torch.device("meta"):
        network = networks.build(recipe.network, recipe.scale, recipe.teachers)
        teachers = {name: _teacher(name, recipe) for name in recipe.teachers}
        side = recipe.scale * recipe.lr_patch
        create(recipe.method.name, recipe.method.options, recipe.teachers, network, teachers, side)
    dataset = Dataset(recipe.data, recipe.scale)
    train_files, held_files = dataset.split()
    for files in (dataset.drawn(train_files, recipe.seed), held_files):
        for path in files:
            try:
                with Image.open(path) as image:
                    side = min(image.size) // recipe.scale
            except (OSError, UnidentifiedImageError) as error:
                raise UserError(f"{path}: not an image that can be read; remove it") from error
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
        raise UserError(f"learns from {name}, which is not there for ×{recipe.scale}: train it first, or name others "
                        f"(teachers: [...]). {error}") from error  # fmt: skip
