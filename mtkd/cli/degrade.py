"""``mtkd degrade``: downscale HR images to LR images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import Scale, check_scale, progress_bar
from mtkd.errors import UserError

Border = Annotated[
    str, typer.Option(help="How the image continues beyond its edge: clamp (as in the benchmarks' LR files) or mirror.")
]


def degrade(
    hr_dir: Annotated[Path, typer.Argument(metavar="HR_DIR", help="Folder of HR images.")],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Folder for the LR images, NAMExS.png.")],
    scale: Scale = 4,
    border: Border = "clamp",
) -> None:
    """Downscale HR images to LR images.

    Bicubic, like MATLAB's imresize: the results equal the LR files of the benchmarks bit for bit.
    """
    from mtkd.images import chw, crop_to_multiple, find_images, read_image, write_image
    from mtkd.resize import imresize

    check_scale(scale)
    if border not in ("clamp", "mirror"):
        raise UserError(f"--border {border}: give clamp or mirror")
    files = find_images(hr_dir)
    if hr_dir.resolve() == out_dir.resolve():
        raise UserError(f"{out_dir}: the folder of the HR images; choose another folder")
    targets = [out_dir / f"{file.stem}x{scale}.png" for file in files]
    if len(set(targets)) < len(targets):
        raise UserError(f"{hr_dir}: two images differ only in their suffix and would overwrite each other; rename one")
    for file in files:  # nothing is written if any of them is bad
        _with_path(file, crop_to_multiple, read_image(file), scale)
    with progress_bar("degrade", len(files)) as advance:
        for file, target in zip(files, targets, strict=True):
            hr = chw(crop_to_multiple(read_image(file), scale))
            write_image(target, imresize(hr, 1 / scale, border).permute(1, 2, 0).contiguous().numpy())  # type: ignore[arg-type]
            advance()
    print(f"{len(files)} images in {out_dir}")


def _with_path(file: Path, function: Any, *arguments: Any) -> Any:
    """Call a function; put the path of the file before a user's error."""
    try:
        return function(*arguments)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
