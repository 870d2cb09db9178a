"""``mtkd explain``: which input pixels, or which teacher, the detail in a window depends on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtkd.cli.console import (
    Device,
    Json,
    Scale,
    check_scale,
    print_json,
    print_table,
    progress_bar,
    tell_device,
    torch_device,
)
from mtkd.cli.help import Command
from mtkd.errors import UserError
from mtkd.numbers import signed

if TYPE_CHECKING:
    from mtkd.explain.answer import Explanation


class ExplainCommand(Command):
    """A command whose help also lists the options of every attribution method, those of plugins included."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options of the command, then those of the methods' dataclasses."""
        super().format_options(ctx, formatter)
        try:
            from mtkd.explain.options import options_of
        except UserError:  # the extra is not installed; the command reports it
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
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="LR image.")],
    model: Annotated[str, typer.Option(help="Model name (see `mtkd models`); two to four A,B are set side by side.")],
    at: Annotated[str, typer.Option(metavar="Y,X", help="Row and column of the window's centre in the SR image.")],
    scale: Scale = 4,
    window: Annotated[int, typer.Option(help="Side length of the window in SR pixels.")] = 16,
    method: Annotated[str, typer.Option(help="Attribution method; its options are listed below.")] = "lam",
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Set an option of the method; repeatable.")
    ] = None,
    sigma: Annotated[str | None, typer.Option(help="Short for --option sigma=SIGMA.")] = None,
    steps: Annotated[str | None, typer.Option(help="Short for --option steps=STEPS.")] = None,
    rule: Annotated[str | None, typer.Option(help="Short for --option rule=RULE.")] = None,
    path: Annotated[str | None, typer.Option(help="Short for --option path=PATH.")] = None,
    official: Annotated[bool, typer.Option("--official", help="Short for --option compat=official.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Use the whole image, not only the part that the window depends on.")
    ] = False,
    hr: Annotated[
        Path | None, typer.Option(help="Ground truth: causal then also says by how many dB the window changes.")
    ] = None,
    device: Device = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the maps (PNG, npy) and explanation.json.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show which input pixels, or which teacher, a detail depends on.

    Attributes the detail in a window of the SR image to the pixels of the input (local attribution map, Fig. 4 of the
    paper), and for an aggregator to the pixels of its teachers' images.
    """
    from mtkd.explain.answer import explain as attribute
    from mtkd.explain.options import parse_assignments, read_options
    from mtkd.explain.question import Window
    from mtkd.images import read_image

    check_scale(scale)
    try:
        row, column = (int(part) for part in at.split(","))
    except ValueError:
        raise UserError(f"--at {at}: not a row and a column; give e.g. --at 96,120") from None
    flags = {"sigma": sigma, "steps": steps, "rule": rule, "path": path, "compat": "official" if official else None}
    assignments = [f"{name}={value}" for name, value in flags.items() if value is not None]
    options: dict[str, Any] = parse_assignments([*assignments, *(option or ())])
    read_options(method, options)  # report a misspelt option before the model is loaded
    on = torch_device(device)
    ask = partial(
        attribute, lr_image=read_image(image), scale=scale, window=Window.around(row, column, window), method=method,
        whole=whole, curves=True, hr_image=None if hr is None else read_image(hr), device=on, **options,
    )  # fmt: skip
    names = [name.strip() for name in model.split(",")]
    content, show = _one(ask, model, output) if len(names) == 1 else _several(ask, names, output)
    if json_:
        print_json({**content, "device": str(on)})
        return
    tell_device(on)
    show()
    if output is not None:
        print(output)


Shown = tuple[dict[str, Any], Callable[[], None]]
"""An answer as plain data, and what prints it for people."""


def _one(ask: Callable[..., Explanation], model: str, output: Path | None) -> Shown:
    """The answer of one model."""
    with progress_bar("attribution", 1) as advance:
        answer = ask(model, progress=lambda done, of: advance(done / of))
    if output is not None:
        answer.save(output)
    row = answer.row()

    def show() -> None:
        _print(row)
        _print_curves(row)
        if not answer.part.whole:
            print(f"computed from {answer.part}")

    return row, show


def _several(ask: partial[Explanation], names: list[str], output: Path | None) -> Shown:
    """The answers of several models, on one scale; into a folder also a figure of them."""
    from mtkd.explore import compare
    from mtkd.explore.inside.side_by_side import SideBySide, check_models

    check_models(names)
    with progress_bar("attribution", len(names)) as advance:
        answers = tuple(
            ask(name, progress=lambda done, of, number=number: advance(number + done / of))
            for number, name in enumerate(names)
        )
    together = SideBySide(answers)
    if output is not None:
        results = compare(ask.keywords["lr_image"], names, ask.keywords["scale"], ground_truth=False)
        together.save(output, {one.name: one.image for one in results.results}, results.titles())
    row = together.row()
    return row, lambda: _print_several(row)


def _print_several(row: dict[str, Any]) -> None:
    header = ("model", "DI", "deletion area", "insertion area", "random pixels", "difference from the first")
    print_table(header, [[one["model"], *map(_number, _numbers(one))] for one in row["models"]])
    for one in row["models"]:
        if one["curves"] is None:
            print(f"{one['model']}: {one['no_curves']}")


def _numbers(one: dict[str, Any]) -> list[float | None]:
    curves = one["curves"] or {"deletion_area": None, "insertion_area": None, "random": {"deletion_area": None}}
    areas = [curves["deletion_area"], curves["insertion_area"], curves["random"]["deletion_area"]]
    return [one["inputs"][0]["di"], *areas, one["difference"]]


def _number(value: float | None) -> str:
    return "-" if value is None else signed(value, ".3f")


def _print_curves(row: dict[str, Any]) -> None:
    curves = row["curves"]
    if curves is None:
        print(row["no_curves"])
        return
    print(
        f"deletion area {curves['deletion_area']:.3f}, insertion area {curves['insertion_area']:.3f}; of random pixels "
        f"{curves['random']['deletion_area']:.3f} and {curves['random']['insertion_area']:.3f}"
    )


def _print(row: dict[str, Any]) -> None:
    numbers = ("di", "share", "signed_share", "shapley")
    print_table(
        ("input", "size", "DI", "share", "signed share", "Shapley"),
        [
            [
                entry["input"],
                "{1} x {0}".format(*entry["size"]),
                *(_number(entry[key]) for key in numbers),
            ]
            for entry in row["inputs"]
        ],
    )
    if row["before"] is None:
        print(f"detail: {row['after']:.3f}")
        for name, unit in (("detail", ""), ("psnr", " dB")):
            if f"largest_{name}" in row:
                least, most = (signed(row[f"{end}_{name}"], "+.3f") for end in ("smallest", "largest"))
                print(f"{name} that a patch gives: {least} to {most}{unit}")
        return
    relative = row["completeness_error_relative"]
    complete = "undefined: flat window" if relative is None else signed(relative, "+.2%")
    print(f"detail: {row['before']:.3f} blurred, {row['after']:.3f} in the image; completeness error: {complete}")
