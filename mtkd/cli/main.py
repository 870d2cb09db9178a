"""The command line: ``mtkd COMMAND --help``."""

from __future__ import annotations

import io
import sys
from copy import copy
from typing import Annotated

import typer

from mtkd import __version__, plugins
from mtkd.cli.benchmark import benchmark
from mtkd.cli.compare import compare
from mtkd.cli.data import data_app
from mtkd.cli.degrade import degrade
from mtkd.cli.demo import demo
from mtkd.cli.explain import ExplainCommand, explain
from mtkd.cli.export import export
from mtkd.cli.help import Command, Group
from mtkd.cli.matrix import agreement, matrix
from mtkd.cli.models import models_app
from mtkd.cli.score import score
from mtkd.cli.site import site
from mtkd.cli.train import train
from mtkd.cli.upscale import upscale
from mtkd.errors import UserError

app = typer.Typer(
    cls=Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="mtkd demo             start here\nmtkd COMMAND --help   options and an example",
)

COMMANDS = (  # in the order of the overview: section, command, examples
    ("See", demo, "mtkd demo --browser"),
    ("See", compare, "mtkd compare photo.png --models bicubic,rcan_tiny-scratch,rcan_tiny-mtkd -o report.html"),
    ("See", site, "mtkd site -o site --models rcan_tiny-scratch,rcan_tiny-mtkd,aggregator_mini"),
    ("See", explain, "mtkd explain lr.png --model aggregator_mini --at 96,120 -o maps"),
    ("Use", upscale, "mtkd upscale photo.png -o photo_x4.png --model rcan_tiny-mtkd"),
    ("Use", degrade, "mtkd degrade hr_images lr_images --scale 4"),
    ("Use", export, "mtkd export rcan_tiny-mtkd -o rcan_x4.onnx"),
    ("Train", train, "mtkd train mini/edsr_tiny-mtkd --set name=mine --set data.train=PHOTOS"),
    ("Evidence", score, "mtkd score sr_images hr_images --scale 4"),
    ("Evidence", benchmark, "mtkd benchmark rcan_tiny-scratch rcan_tiny-mtkd --sets Set5,Set14"),
    (
        "Evidence",
        matrix,
        "mtkd matrix status\nmtkd matrix table3 --only kd,mtkd --dry-run\nmtkd matrix report --output report",
    ),
    ("Evidence", agreement, "mtkd agreement edsr_mini rcan_mini --sets Set5"),
)
for _section, _function, _examples in COMMANDS:
    _class = ExplainCommand if _function is explain else Command
    app.command(cls=_class, rich_help_panel=_section, epilog=_examples)(_function)
app.add_typer(models_app, name="models", rich_help_panel="Use")
app.add_typer(data_app, name="data", rich_help_panel="Train")


def _version(requested: bool) -> None:
    if requested:
        print(f"mtkd {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _overview(
    context: typer.Context,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Load networks, losses, methods, ... from a Python file or module; repeatable."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """MTKD: multi-teacher knowledge distillation for image super-resolution."""
    plugins.load_environment()
    plugins.load(plugin or (), pass_on=True)
    if context.invoked_subcommand is None:
        print(context.get_help())


def _with_only(command: str) -> typer.Typer:
    """The app with one command, or with all if there is no such: it takes 0.15 s to read the options of all."""
    one = copy(app)
    one.registered_commands = [info for info in app.registered_commands if info.callback.__name__ == command]  # type: ignore[union-attr]
    one.registered_groups = [info for info in app.registered_groups if info.name == command]
    return one if one.registered_commands or one.registered_groups else app


def main() -> None:
    """Entry point: a user's mistake is one line on stderr and exit code 2."""
    command = typer.main.get_command(_with_only(" ".join(sys.argv[1:2])))
    for stream in (sys.stdout, sys.stderr):  # names of files may be no text at all, or none that a terminal shows
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
    try:
        code = command.main(prog_name="mtkd", standalone_mode=False)
    except UserError as error:
        code = _print_error(str(error))
    except typer.Abort:
        code = 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # usage errors of the parser
            raise
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "mtkd"
        code = _print_error(f"{' '.join(error.format_message().split())} (see {path} --help)")
    raise SystemExit(code)


def _print_error(message: str) -> int:
    print(f"mtkd: {message}", file=sys.stderr)
    return 2
