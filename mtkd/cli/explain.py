"""``mtkd explain``: which input pixels, or which teacher's, made the detail in a window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import Json, Scale, check_scale, device_called, print_json, print_table, progress_bar
from mtkd.errors import UserError


class ExplainCommand(typer.core.TyperCommand):
    """Its help ends with the options of every attribution method, plugins' too."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what the methods' dataclasses say."""
        try:
            from mtkd.explain.options import options_of
        except UserError:  # the extra is not installed; the command says it
            return
        from mtkd.plugins import ATTRIBUTIONS

        for name, spec in ATTRIBUTIONS.items():
            with formatter.section(f"Options of --method {name}, {spec.title} (--option KEY=VALUE)"):
                rows = [
                    (option.name, f"{option.about}: {option.values} [default: {option.text}]")
                    for option in options_of(name)
                ]
                formatter.write_dl(rows or [("", "no options")])


def explain(
    image: Annotated[Path, typer.Argument(help="An LR image.")],
    model: Annotated[str, typer.Option(help="A name from `mtkd models`.")],
    at: Annotated[str, typer.Option(help="Row and column of the window's middle in the SR image: Y,X.")],
    scale: Scale = 4,
    window: Annotated[int, typer.Option(help="Side of the window, SR pixels.")] = 16,
    method: Annotated[str, typer.Option(help="Attribution method; below are the options of each.")] = "lam",
    option: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of the method; repeatable.")] = None,
    sigma: Annotated[str | None, typer.Option(help="As --option sigma=SIGMA.")] = None,
    steps: Annotated[str | None, typer.Option(help="As --option steps=STEPS.")] = None,
    rule: Annotated[str | None, typer.Option(help="As --option rule=RULE.")] = None,
    path: Annotated[str | None, typer.Option(help="As --option path=PATH.")] = None,
    official: Annotated[bool, typer.Option("--official", help="As --option compat=official.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the maps (PNG, npy) and explanation.json.")
    ] = None,
    json_: Json = False,
) -> None:
    """Which input pixels, or which teacher's, made the detail in a window of a model's image (LAM, Fig. 4)."""
    from mtkd.explain.answer import explain as attribute
    from mtkd.explain.options import parse_assignments, read_options
    from mtkd.explain.question import Window
    from mtkd.images import read_image

    check_scale(scale)
    try:
        row, column = (int(part) for part in at.split(","))
    except ValueError:
        raise UserError(f"--at {at}: give a row and a column of the SR image, e.g. --at 96,120") from None
    flags = {"sigma": sigma, "steps": steps, "rule": rule, "path": path, "compat": "official" if official else None}
    assignments = [f"{name}={value}" for name, value in flags.items() if value is not None]
    options: dict[str, Any] = parse_assignments([*assignments, *(option or ())])
    read_options(method, options)  # a misspelt option is told before the model is loaded
    around = Window.around(row, column, window)
    with progress_bar("attribution", 1) as advance:
        answer = attribute(
            model, read_image(image), scale, around, method=method, device=device_called(device),
            progress=lambda done, of: advance(done / of), **options,
        )  # fmt: skip
    if output is not None:
        answer.save(output)
    if json_:
        print_json(answer.row())
        return
    _print(answer.row())
    if output is not None:
        print(output)


def _print(row: dict[str, Any]) -> None:
    numbers = ("di", "share", "signed_share", "shapley")
    print_table(
        ("input", "size", "DI", "share", "signed share", "Shapley"),
        [
            [
                one["input"],
                "{1} x {0}".format(*one["size"]),
                *("-" if one[key] is None else f"{one[key]:.3f}" for key in numbers),
            ]
            for one in row["inputs"]
        ],
    )
    if row["before"] is None:
        print(f"detail {row['after']:.3f}")
        return
    relative = row["completeness_error_relative"]
    complete = "undefined: flat window" if relative is None else f"{relative:+.2%}"
    print(f"detail {row['before']:.3f} blurred, {row['after']:.3f} as it is; completeness error {complete}")
