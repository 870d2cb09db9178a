"""``mtkd upscale``: upscale images."""

from __future__ import annotations

import re
import sys
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mtkd.cli.console import (
    Device,
    Engine,
    Scale,
    check_bf16,
    check_scale,
    known_engine,
    progress_bar,
    tell_device,
    torch_device,
)
from mtkd.errors import Unwritable, UserError

Inputs = Annotated[list[Path], typer.Argument(metavar="IMAGE", help="LR images, or folders of LR images.")]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="A file (for one image; .png, .jpg, .webp, .avif or .tif), or a folder."),
]
Tile = Annotated[
    int, typer.Option(help="Tile size in LR pixels; larger images are processed in tiles. 0 disables tiling.")
]
Overlap = Annotated[
    int | None,
    typer.Option(
        help="Context of a tile in LR pixels, on each side "
        "[default: the network's receptive field, at most 48 except for EDSR]."
    ),
]
Form = Annotated[
    str | None, typer.Option("--format", help="Of results in a folder: png, jpg, webp, avif or tiff [default: png].")
]
Quality = Annotated[int, typer.Option(help="Of JPEG, WebP and AVIF, 1 to 100; WebP is lossless at 100.")]
Bits = Annotated[int | None, typer.Option(help="Bits a channel of the result: 8 or 16 [default: as the image].")]
Range = Annotated[
    str | None,
    typer.Option(
        "--range", metavar="MIN-MAX", help="Sample values that become black and white: two numbers, or min-max."
    ),
]
Background = Annotated[
    str | None, typer.Option(metavar="COLOUR", help="Lay transparent images on a colour: white, '#203040'.")
]
KeepProfile = Annotated[
    bool, typer.Option("--keep-profile", help="Convert results back to the image's colour profile and embed it.")
]
Strip = Annotated[bool, typer.Option("--strip-metadata", help="Write no date, camera, place, copyright, resolution.")]
Frames = Annotated[
    str | None, typer.Option(metavar="all|N", help="Of animations and files of several pages: all, or the one N.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders with their sub-folders, which are kept.")]
Skip = Annotated[bool, typer.Option("--skip-existing", help="Leave out images whose result is there: go on.")]

Chosen = Annotated[
    str | None,
    typer.Option("--model", help="Model name (see `mtkd models`), or bicubic [default: the best student]."),
]
Precision = Annotated[str, typer.Option(help="fp32, or bf16: faster where the processor has it, a little less exact.")]


def upscale(
    inputs: Inputs,
    output: Output,
    model: Chosen = None,
    scale: Scale = 4,
    form: Form = None,
    quality: Quality = 95,
    bits: Bits = None,
    stretch: Range = None,
    background: Background = None,
    keep_profile: KeepProfile = False,
    strip_metadata: Strip = False,
    frames: Frames = None,
    recursive: Recursive = False,
    skip_existing: Skip = False,
    tile: Tile = 256,
    overlap: Overlap = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    engine: Engine = "torch",
) -> None:
    """Upscale images with one model.

    Results keep transparency, grey, 16 bits a channel, date, camera and copyright; colours become sRGB. Of many images,
    one that cannot be read stops no other: it is listed at the end, and the exit code is 1.
    """
    from mtkd.images.reading import Reading
    from mtkd.images.writing import Writing
    from mtkd.photos import Enlarging, Upscaler, plan

    check_scale(scale)
    _check_options(tile, overlap, quality, bits, frames)
    number = None if frames in (None, "all") else int(str(frames)) - 1
    reading = Reading(stretch=_range(stretch), frame=number)
    enlarging = Enlarging(tile or None, overlap, _colour(background), bits, precision == "bf16")
    writing = Writing(quality, keep_profile, not strip_metadata)
    planned = plan(inputs, output, scale, form, recursive, frames == "all")
    on, network = _network(_best(scale) if model is None else model, scale, device, precision, engine)
    begin = cache(partial(tell_device, on))  # once

    failed = _run(planned, Upscaler(network, scale, on, reading, enlarging, writing, begin), skip_existing)
    if failed:
        raise typer.Exit(1)


def _best(scale: int) -> str:
    from mtkd import zoo

    name = zoo.best_student(scale)
    print(f"model: {name}", file=sys.stderr)
    return name


def _network(model: str, scale: int, device: str, precision: str, engine: str) -> tuple[Any, Any]:
    """The device, and the network on it."""
    from mtkd import zoo

    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision}: give fp32 or bf16")
    if known_engine(engine) == "torch":
        on = torch_device(device)
        if precision == "bf16":
            check_bf16(on)
        return on, zoo.load(model, scale, on)
    from mtkd.export import engine as exported

    if precision == "bf16":
        raise UserError("--precision bf16: not with --engine onnxruntime; leave one out")
    if device not in ("auto", "cpu"):
        raise UserError(f"--engine onnxruntime computes on the CPU, not on {device}; leave --device out")
    return torch_device("cpu"), exported.load(model, scale)


def _run(planned: Any, one: Any, skip_existing: bool) -> bool:
    """Do all jobs and tell what came of them; whether one failed."""
    jobs, left_out, failed = planned.jobs, list(planned.left_out), list(planned.failed)
    with progress_bar("upscale", len(jobs), lines=True) as advance:
        for done, job in enumerate(jobs):
            advance(done)
            if skip_existing and job.target.exists() and job.target.stat().st_size:  # an empty file is no result
                left_out.append((job.source, f"{job.target.name} exists"))
                continue
            try:
                notes = one(job, partial(_advance, advance, done))
            except Unwritable:
                raise
            except UserError as error:
                if len(jobs) == 1:
                    raise
                failed.append(str(error))
                continue
            for note in notes:
                print(f"{job.source}: {note}", file=sys.stderr)
            print(job.target)
    _tell(len(jobs) + len(planned.failed), failed, left_out)
    return bool(failed)


def _advance(advance: Any, done: int, tile: int, of: int) -> None:
    advance(done + tile / of)


def _tell(count: int, failed: list[str], left_out: list[tuple[Path, str]]) -> None:
    if failed or left_out:
        print(f"{len(failed)} of {count} images failed, {len(left_out)} files left out", file=sys.stderr)
    for message in failed:
        print(f"failed: {message}", file=sys.stderr)
    for path, why in left_out:
        print(f"left out: {path}: {why}", file=sys.stderr)


def _check_options(tile: int, overlap: int | None, quality: int, bits: int | None, frames: str | None) -> None:
    if tile < 0 or tile % 8:
        raise UserError(f"--tile {tile}: give a multiple of 8, or 0 to disable tiling")
    if overlap is not None and (overlap < 0 or overlap % 8):
        raise UserError(f"--overlap {overlap}: give a multiple of 8, or 0 for no overlap")
    if not 1 <= quality <= 100:
        raise UserError(f"--quality {quality}: give 1 to 100")
    if bits not in (None, 8, 16):
        raise UserError(f"--bits {bits}: give 8 or 16")
    if frames not in (None, "all") and not re.fullmatch(r"[1-9]\d{0,8}", str(frames)):
        raise UserError(f"--frames {frames}: give all, or the number of one frame or page, from 1")


def _range(text: str | None) -> tuple[float, float] | Literal["min-max"] | None:
    if text is None:
        return None
    if text == "min-max":
        return "min-max"
    number = r"-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
    match = re.fullmatch(f"({number})-({number})", text.strip(), re.IGNORECASE)
    if match is None or float(match[1]) >= float(match[2]):
        raise UserError(f"--range {text}: give the values of black and white, e.g. 0-4095, or min-max for its own")
    return float(match[1]), float(match[2])


def _colour(name: str | None) -> tuple[int, int, int] | None:
    if name is None:
        return None
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UserError(f"--background {name}: no colour; give a name like white, or '#203040'") from error
    return red, green, blue
