"""The command line: ``mtkd COMMAND --help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mtkd.errors import UserError

app = typer.Typer(
    help="MTKD: multi-teacher knowledge distillation for image super-resolution.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """MTKD: multi-teacher knowledge distillation for image super-resolution."""


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled one (mini/edsr_mini).")],
    out: Annotated[Path, typer.Option(help="The run folder.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, over the recipe's; repeatable.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for frozen networks' outputs (default: beside the run folder).")
    ] = None,
) -> None:
    """Train one recipe: a teacher, an aggregator or a student."""
    from mtkd.training.loop import Interrupted
    from mtkd.training.loop import train as run
    from mtkd.training.progress import TrainingProgress
    from mtkd.training.recipe import load_recipe

    resolved = load_recipe(recipe, set_ or [])
    try:
        with TrainingProgress(resolved) as progress:
            card = run(resolved, out, resume, progress.report, cache)
    except Interrupted as stopped:
        print(f"{stopped}. Go on with: mtkd train {recipe} --out {out} --resume", file=sys.stderr)
        raise SystemExit(130) from None
    held_out = card["held_out"]
    print(f"{out}: finished, held-out PSNR {held_out['psnr']:.3f} dB ({held_out['protocol']})")


def main() -> None:
    """Entry point: a user's mistake is one line on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"mtkd: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
