"""``mtkd train``: train a network from a recipe."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from mtkd.errors import UserError
from mtkd.home import run_folder, runs_folder

if TYPE_CHECKING:
    from mtkd.training.recipe import Recipe


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Recipe file, or the name of a bundled recipe (mini/edsr_mini).")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder [default: NAME_xSCALE in the runs of MTKD_HOME, where every command finds it]."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in the run folder; start one if there is none.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the recipe; repeatable."),
    ] = None,
    then: Annotated[
        str | None,
        typer.Option(
            help="Learning rate of the part that --resume --set iterations=N adds: constant (that of the end) or "
            "cosine (a new one) [default: a step schedule goes on; after a cosine, constant]."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for cached outputs of teachers [default: beside the run folder]."),
    ] = None,
) -> None:
    """Train a teacher, an aggregator or a student from a recipe.

    Teachers are looked up in the folders of MTKD_ZOO (weights or run folders), among your models and runs, then among
    the bundled models. A run, stopped or finished, is made longer with --resume --set iterations=N.
    """
    from mtkd.experiments.plan import load_recipe
    from mtkd.training.loop import train as run
    from mtkd.training.progress import TrainingProgress
    from mtkd.training.stop import Interrupted

    resolved = load_recipe(recipe, set_ or [])
    folder = out or _folder(resolved)
    try:
        with TrainingProgress(resolved.name) as progress:
            card = run(resolved, folder, resume, progress.report, cache, then=_then(then))
    except Interrupted as stopped:
        again = ["mtkd", "train", recipe, *(["--out", str(out)] if out else []), "--resume"]
        again += [word for assignment in set_ or [] for word in ("--set", assignment)]
        again += ["--cache", str(cache)] if cache else []
        print(f"{stopped}. Resume with: {shlex.join(again)}", file=sys.stderr)
        raise SystemExit(130) from None
    held_out = card["held_out"]
    print(f"{folder}: finished, held-out PSNR {held_out['psnr']:.3f} dB ({held_out['protocol']})")
    print(_use(resolved, folder))


def _folder(recipe: Recipe) -> Path:
    """Where the model is found by its name, which no other model may have."""
    from mtkd import zoo

    folder = run_folder(recipe.name, recipe.scale)
    for model in zoo.models(recipe.scale):
        if model.name == recipe.name and folder not in model.path.parents:
            kind = "a bundled model" if model.bundled else f"the model {model.path}"
            raise UserError(f"{recipe.name} is the name of {kind}; add --set name=NAME, or give --out FOLDER")
    return folder


def _use(recipe: Recipe, folder: Path) -> str:
    """What to do with the model, as a command."""
    where = [] if folder.parent == runs_folder() else [f"MTKD_ZOO={shlex.quote(str(folder.parent))}"]
    words = f"mtkd upscale photo.jpg -o large.png --model {recipe.name} --scale {recipe.scale}"
    return f"Use it: {' '.join([*where, words])}"


def _then(name: str | None) -> Literal["constant", "cosine"] | None:
    if name is None or name in ("constant", "cosine"):
        return cast('Literal["constant", "cosine"] | None', name)
    raise UserError(f"--then {name}: give constant or cosine")
