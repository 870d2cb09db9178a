"""The command line: ``mtkd COMMAND --help``."""

from __future__ import annotations

import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd import plugins
from mtkd.cli.benchmark import benchmark
from mtkd.cli.console import (
    Json,
    Metrics,
    Scale,
    check_scale,
    device_called,
    metric_cells,
    metric_names,
    metric_titles,
    print_json,
    print_table,
    progress_bar,
)
from mtkd.cli.data import data_app
from mtkd.cli.explain import ExplainCommand, explain
from mtkd.cli.matrix import agreement, matrix
from mtkd.cli.models import models_app
from mtkd.errors import UserError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")

Border = Annotated[str, typer.Option(help="Edge of the image: clamp (the benchmarks' LR files) or mirror.")]


@app.callback(invoke_without_command=True)
def _commands(
    context: typer.Context,
    plugin: Annotated[
        list[str] | None,
        typer.Option(help="Python file or module that declares networks, losses, methods ...; repeatable."),
    ] = None,
) -> None:
    """MTKD: multi-teacher knowledge distillation for image super-resolution."""
    plugins.load_environment()
    plugins.load(plugin or (), pass_on=True)
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def demo(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0: everybody on your networks can open the page "
            "[default: GRADIO_SERVER_NAME, else 127.0.0.1: this computer alone]."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port [default: GRADIO_SERVER_PORT, else the first free one from 7860]."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = False,
    share: Annotated[
        bool,
        typer.Option(
            "--share",
            help="Also put the page on the internet, through Gradio's tunnel: everybody who has the address it prints "
            "can open it.",
        ),
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="With --host or --share: whoever reaches the page may train, bring checkpoints and read this "
            "computer's folders, as you.",
        ),
    ] = False,
) -> None:
    """Open the explorer: teachers, aggregator and students side by side."""
    try:
        from mtkd_app.main import launch
    except ImportError as error:
        raise UserError(f"the explorer needs the extra 'app': pip install 'mtkd[app]' ({error})") from error
    launch(host=host, port=port, browser=browser, share=share, trust=trust)
    sys.stdout.flush()
    os._exit(0)  # a thread in the midst of a network would end the process as a crash


@app.command()
def upscale(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="LR images, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png file (one input), or a folder.")],
    model: Annotated[str, typer.Option(help="A name from `mtkd models`, or bicubic.")],
    scale: Scale = 4,
    tile: Annotated[
        int, typer.Option(help="Images of more than this many LR pixels squared run in tiles so far apart; 0: whole.")
    ] = 256,
    overlap: Annotated[
        int | None,
        typer.Option(
            help="LR pixels that a tile sees on each side of its own "
            "[default: as far as the network sees, at most 48 but for EDSR]."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
) -> None:
    """Enlarge images with one model; results are PNG. Transparency is laid on white, 16 bits reduced to 8."""
    from mtkd import infer, zoo
    from mtkd.images import find_images, read_image, to_tensor, write_image

    check_scale(scale)
    if tile < 0 or tile % 8:
        raise UserError(f"--tile {tile}: give a multiple of 8, or 0 to run images whole")
    if overlap is not None and (overlap < 0 or overlap % 8):
        raise UserError(f"--overlap {overlap}: give a multiple of 8, or 0 for none")
    network = zoo.load(model, scale, device_called(device))
    files = [file for path in inputs for file in (find_images(path) if path.is_dir() else [path])]
    to_file = output.suffix.lower() == ".png" and not output.is_dir()
    if to_file and len(files) > 1:
        raise UserError(f"{output}: {len(files)} images cannot go into one file; give a folder")
    if output.suffix and not to_file and not output.is_dir():
        raise UserError(f"{output}: results are PNG; give a name that ends in .png, or a folder")
    targets = [output if to_file else output / f"{file.stem}_x{scale}.png" for file in files]
    if len(set(targets)) < len(targets):
        raise UserError(f"{output}: two inputs have the same name and would overwrite each other")
    sources = {file.resolve() for file in files}
    for target in targets:
        if target.resolve() in sources:
            raise UserError(f"{target}: is an input, and would be overwritten; choose another output")
    for file in files:  # nothing is written if any of them is bad
        read_image(file)
    with progress_bar("upscale", len(files)) as advance:
        for number, (file, target) in enumerate(zip(files, targets, strict=True)):
            lr = to_tensor(read_image(file)).to(device_called(device))
            told = partial(lambda number, done, of: advance(number + done / of), number)
            try:
                sr = infer.upscale(network, lr, scale, tile or None, overlap, told)
            except RuntimeError as error:
                if "memory" not in str(error):
                    raise
                raise UserError(f"{file}: not enough memory; give a smaller --tile ({tile or 'none'} now)") from error
            write_image(target, sr)
            print(target)


@app.command()
def degrade(
    hr_dir: Annotated[Path, typer.Argument(help="Folder of HR images.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for the LR images, NAMExS.png.")],
    scale: Scale = 4,
    border: Border = "clamp",
) -> None:
    """Make LR images as MATLAB's imresize does (bicubic), bit for bit as the benchmarks' own."""
    from mtkd.images import chw, crop_to_multiple, find_images, read_image, write_image
    from mtkd.resize import imresize

    check_scale(scale)
    if border not in ("clamp", "mirror"):
        raise UserError(f"--border {border}: give clamp or mirror")
    files = find_images(hr_dir)
    if hr_dir.resolve() == out_dir.resolve():
        raise UserError(f"{out_dir}: is the folder of the HR images; choose another")
    targets = [out_dir / f"{file.stem}x{scale}.png" for file in files]
    if len(set(targets)) < len(targets):
        raise UserError(f"{hr_dir}: two images differ only in their suffix and would overwrite each other")
    for file in files:  # nothing is written if any of them is bad
        _named(file, crop_to_multiple, read_image(file), scale)
    with progress_bar("degrade", len(files)) as advance:
        for file, target in zip(files, targets, strict=True):
            hr = chw(crop_to_multiple(read_image(file), scale))
            write_image(target, imresize(hr, 1 / scale, border).permute(1, 2, 0).contiguous().numpy())  # type: ignore[arg-type]
            advance()
    print(f"{len(files)} images in {out_dir}")


@app.command()
def score(
    sr_dir: Annotated[Path, typer.Argument(help="Folder of SR images.")],
    hr_dir: Annotated[Path, typer.Argument(help="Folder of HR images of the same names.")],
    scale: Scale = 4,
    metrics: Metrics = "",
    json_: Json = False,
) -> None:
    """PSNR, SSIM or other metrics of SR images against HR images by the paper's protocol."""
    from mtkd.evaluate import score_folders

    check_scale(scale)
    names = metric_names(metrics)
    result = score_folders(sr_dir, hr_dir, scale, metrics=names)
    images = [score.row() for score in result.scores]
    if json_:
        print_json({"scale": scale, **result.row(), "per_image": images})
        return
    mean = {"image": f"mean of {result.images}", **result.metrics}
    cells = [[row["image"], *metric_cells(row, names)] for row in [*images, mean]]
    print_table(("image", *metric_titles(names)), cells)
    print(f"protocol: {result.protocol} (scale {scale})")


app.command()(benchmark)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled one (mini/edsr_mini).")],
    out: Annotated[Path, typer.Option(help="The run folder.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder, if there is one.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, over the recipe's; repeatable.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for frozen networks' outputs (default: beside the run folder)."),
    ] = None,
) -> None:
    """Train one recipe: a teacher, an aggregator or a student.

    Teachers are looked up in the folders of MTKD_ZOO (weights, or run folders), then among the bundled models.
    """
    from mtkd.experiments.plan import load_recipe
    from mtkd.training.loop import train as run
    from mtkd.training.progress import TrainingProgress
    from mtkd.training.stop import Interrupted

    resolved = load_recipe(recipe, set_ or [])
    try:
        with TrainingProgress(resolved.name) as progress:
            card = run(resolved, out, resume, progress.report, cache)
    except Interrupted as stopped:
        again = ["mtkd", "train", recipe, "--out", str(out), "--resume"]
        again += [word for assignment in set_ or [] for word in ("--set", assignment)]
        again += ["--cache", str(cache)] if cache else []
        print(f"{stopped}. Go on with: {shlex.join(again)}", file=sys.stderr)
        raise SystemExit(130) from None
    held_out = card["held_out"]
    print(f"{out}: finished, held-out PSNR {held_out['psnr']:.3f} dB ({held_out['protocol']})")


app.command()(matrix)
app.command()(agreement)


app.command(cls=ExplainCommand)(explain)


@app.command()
def export(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A name from `mtkd models`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: .onnx or .safetensors.")],
    scale: Scale = 4,
    format_: Annotated[
        str | None, typer.Option("--format", help="onnx or safetensors [default: by the file's name].")
    ] = None,
    half: Annotated[
        bool, typer.Option("--fp16", help="Weights, in ONNX computation too, in float16; images stay float32.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an existing file.")] = False,
    json_: Json = False,
) -> None:
    """Write a trained model as one file for other programs: ONNX (needs no PyTorch), or safetensors.

    It is compared with the model on a real image first. An aggregator's ONNX file holds its teachers too. ONNX
    of networks with attention takes up to a minute.
    """
    from mtkd.export import SIZES
    from mtkd.export import export as write

    check_scale(scale)
    made = write(name, scale, output, format_, half, replace)
    row = made.row()
    if json_:
        print_json(row)
        return
    onnx = f"ONNX, opset {row['opset']}" if row["opset"] else "safetensors"
    print(f"{output}: {onnx}, {row['precision']}, {row['parameters']:,} parameters, {row['bytes']:,} bytes")
    sizes = ", ".join(f"{width} x {height}" for height, width in SIZES)
    print(
        f"largest difference from the model: {made.difference:.2g} ({255 * made.difference:.2g} of 255 levels; {sizes})"
    )
    if made.teachers:
        print(f"the aggregator alone; it needs its teachers {', '.join(made.teachers)} wherever it is loaded")


def _named(file: Path, function: Any, *arguments: Any) -> Any:
    """Call a function; a user's error is told with the name of the file."""
    try:
        return function(*arguments)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def main() -> None:
    """Entry point: a user's mistake is one line on stderr and exit code 2."""
    command = typer.main.get_command(app)
    try:
        code = command.main(standalone_mode=False)
    except UserError as error:
        code = _complain(str(error))
    except typer.Abort:
        code = 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # usage errors of the parser
            raise
        code = _complain(f"{' '.join(error.format_message().split())} (see --help)")
    raise SystemExit(code)


def _complain(message: str) -> int:
    print(f"mtkd: {message}", file=sys.stderr)
    return 2
