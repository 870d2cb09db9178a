"""``mtkd export``: models as ONNX or safetensors files."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd.cli.console import Json, Scale, check_scale, print_json
from mtkd.errors import UserError

if TYPE_CHECKING:
    from mtkd.export import Exported


def export(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Model name (see `mtkd models`).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .onnx or .safetensors.")],
    scale: Scale = 4,
    format_: Annotated[
        str | None, typer.Option("--format", help="onnx or safetensors [default: from the file name].")
    ] = None,
    half: Annotated[
        bool, typer.Option("--fp16", help="Store weights in float16; ONNX also computes in it. Images stay float32.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="ONNX for one image of this many LR pixels: every shape is a constant."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="ONNX with weights in int8; says how many dB that costs.")
    ] = False,
    static: Annotated[
        bool, typer.Option("--static", help="With --int8: activations too, calibrated on the training images.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With --int8: HR images to calibrate on, in place of the training images."),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Write an input and its expected output beside the file, as .npy.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an existing file.")] = False,
    json_: Json = False,
) -> None:
    """Export a model to ONNX or safetensors.

    The file is compared with the model on a real image before it is kept. An ONNX file needs no PyTorch; that of an
    aggregator includes its teachers. Exporting networks with attention to ONNX takes up to a minute.
    """
    from mtkd.export import export as write

    check_scale(scale)
    if (static or calibration) and not int8:
        raise UserError(f"{'--static' if static else '--calibration'} needs --int8")
    exported = write(
        name,
        scale,
        output,
        format_,
        half,
        replace,
        size=_size(size),
        int8=("static" if static else "weights") if int8 else None,
        calibration=calibration,
        vectors=vectors,
    )
    row = exported.row()
    if json_:
        print_json(row)
        return
    onnx = f"ONNX, opset {row['opset']}" if row["opset"] else "safetensors"
    print(f"{output}: {onnx}, {row['precision']}, {row['parameters']:,} parameters, {row['bytes']:,} bytes")
    sizes = ", ".join(f"{width} x {height}" for height, width in exported.sizes)
    largest = exported.difference
    of = " of the float32 file" if int8 else ""
    print(f"largest difference{of} from the model: {largest:.2g} ({255 * largest:.2g} of 255 levels; {sizes})")
    if int8:
        _tell_losses(exported, static)
    if exported.vectors:
        print(f"test vectors: {', '.join(str(path) for path in exported.vectors)}")
    if exported.teachers:
        print(f"without its teachers: to load it, {', '.join(exported.teachers)} are needed too")


def _size(text: str | None) -> tuple[int, int] | None:
    """Height and width of a text like 320x240, which has the width first."""
    if text is None:
        return None
    if not (match := re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text.strip().lower())):
        raise UserError(f"--size {text}: give width and height in LR pixels, as in 320x240")
    return int(match[2]), int(match[1])


def _tell_losses(exported: Exported, static: bool) -> None:
    from mtkd.export.quantise import LOSS

    for kind, what in (("weights", "weights in int8"), ("static", "weights and activations in int8 (--static)")):
        if kind in exported.lost:
            print(f"{what}: {exported.lost[kind]:.3f} dB lost on the example images")
        else:
            print(f"{what}: not measured: {exported.uncalibrated}")
    if exported.lost["static" if static else "weights"] > LOSS:
        print(f"this file loses more than {LOSS} dB: try --fp16", file=sys.stderr)
