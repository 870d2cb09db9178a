"""What the form of Runs stands for: a plan's recipes, what one prefills, and what a filled form asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtkd import networks, zoo
from mtkd.config import assign
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.experiments.plan import SIZES, available_plans, load_plan, load_recipe
from mtkd.experiments.titles import titles
from mtkd.home import run_folder
from mtkd.images import find_images
from mtkd.training.dataset import find_folder
from mtkd.training.recipe import Recipe, parse
from mtkd.training.request import shortened

STAGES = (("Teacher", "teacher"), ("Combined teacher", "aggregator"), ("Student", "student"))
EXAMPLE_FOLDER = EXAMPLES[0].path.parent
USUAL = "mini/rcan_tiny-mtkd"
"""The recipe that the form opens with: the student and method of the paper's ablations."""


@dataclass(frozen=True)
class Choice:
    """A recipe to choose: ``name`` is PLAN/MODEL, ``variant`` that of a student."""

    name: str
    label: str
    variant: str | None


def recipes(plan: str, stage: str) -> tuple[Choice, ...]:
    """Every recipe of a plan that trains a network of this role in the plan, which may be another than the usual one.

    Raises:
        UserError: the plan cannot be read.
    """
    file = available_plans().get(plan, plan)
    return _recipes(plan, file, _stamp(file), stage)


def _stamp(file: str) -> int | None:
    """The time of a plan file's last change; None of a bundled plan."""
    return Path(file).stat().st_mtime_ns if Path(file).is_file() else None


@lru_cache
def _recipes(name: str, file: str, stamp: int | None, stage: str) -> tuple[Choice, ...]:
    """``stamp`` is that of the file: it is read again where it has changed."""
    plan, choices = load_plan(file), list[Choice]()
    known, taken = titles(plan), set[str]()
    for model, variant in plan.trained().items():
        network = (plan.recipe_content(model, 4) or {})["network"]
        merges = networks.specs()[network].role == "aggregator"
        if stage == ("student" if variant else "aggregator" if merges else "teacher"):
            label = known.get(model, model)
            other = label in taken  # the same student with a network of another size
            choices.append(Choice(f"{name}/{model}", f"{label} [{model}]" if other else label, variant))
            taken.add(label)
    return tuple(choices)


def usual(choices: Sequence[Choice], now: str | None) -> str | None:
    """The recipe to begin with: the one chosen already, else MTKD's, else the first."""
    if any(choice.name == now for choice in choices):
        return now
    first = next((choice for choice in choices if choice.variant == "mtkd"), choices[0] if choices else None)
    return first.name if first else None


def prefilled(recipe: str, scale: int, now: str = "") -> dict[str, Any]:
    """What the form's fields are for a recipe; its images where they are found, else the bundled ones (empty).

    Args:
        now: the folder that the form names; one that a person gave stays, as does what is held out of it.
    """
    base = _base(recipe, scale)
    own = base.data.train if find_folder(base.data) else ""
    images: dict[str, Any] = {"data": own, "held_out": held_out(own, base.data.holdout)}
    if now.strip() and (now not in _folders_of_recipes() or not own):
        images = {}
    return {
        "name": free_name(f"{base.name}-mine", base.scale),
        **images,
        "steps": base.iterations,
        "batch": base.batch,
        "patch": base.lr_patch,
        "rate": base.optimizer.lr,
        "seed": base.seed,
    }


def free_name(name: str, scale: int) -> str:
    """``name``, or with the first number from 2 that neither a model nor a run has."""
    taken = {model.name for model in zoo.models(scale)}

    def is_taken(name: str) -> bool:
        return name in taken or run_folder(name, scale).exists()

    numbered = (f"{name}{number}" for number in range(2, 10_000))
    return name if not is_taken(name) else next(other for other in numbered if not is_taken(other))


def held_out(data: str, at_most: int = 20) -> int:
    """A tenth of a folder's images, one at least."""
    try:
        return min(at_most, max(1, len(find_images(_folder(data))) // 10))
    except UserError:
        return at_most


def resolve(
    recipe: str | None, scale: int, name: str, data: str, held_out: int | None, steps: int | None, batch: int | None,
    patch: int | None, rate: float | None, seed: int | None, more: str,
) -> Recipe:  # fmt: skip
    """The recipe that the form asks for: the bundled one at its steps, then the fields, then ``more``'s lines.

    Raises:
        UserError: no recipe chosen, an empty field, no such folder, or anything that no recipe may have.
    """
    if not recipe:
        raise UserError("there is no recipe of this stage and plan; choose another plan")
    numbers = {"Validation images": held_out, "Steps": steps, "Batch": batch, "LR patch": patch, "Learning rate": rate,
               "Seed": seed}  # fmt: skip
    for label, value in numbers.items():
        if value is None:
            raise UserError(f"{label} is empty; give a number")
    content = shortened(_base(recipe, scale), steps or 0).model_dump(mode="json")
    content |= {"name": name.strip(), "batch": batch, "lr_patch": patch, "seed": seed}
    content["optimizer"]["lr"] = rate
    content["data"] |= {"train": str(_folder(data)), "holdout": held_out}
    for line in filter(None, map(str.strip, more.splitlines())):
        try:
            assign(content, line)
        except UserError as error:
            raise UserError(str(error).replace("--set ", "")) from error
    if not all(part.isalnum() for part in content["name"].replace(".", "_").replace("-", "_").split("_") if part):
        raise UserError(f"name '{content['name']}': letters, digits and . _ - between them")
    asked = parse(content, recipe)
    if find_folder(asked.data) is None:
        raise UserError(f"no folder '{asked.data.train}'; give the path of a folder of HR images on this computer")
    return asked


@lru_cache
def _folders_of_recipes() -> set[str]:
    """The images that the bundled recipes name."""
    return {load_plan(size).images().train for size in SIZES}


def _base(recipe: str, scale: int) -> Recipe:
    return load_recipe(f"{recipe}_x{scale}")


def _folder(data: str) -> Path:
    """The bundled images if nothing is given; a name under MTKD_DATA stays one."""
    if not data.strip():
        return EXAMPLE_FOLDER
    given = Path(data.strip()).expanduser()
    return given.absolute() if given.is_dir() else given
