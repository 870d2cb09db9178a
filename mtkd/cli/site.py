"""``mtkd site``: the static explorer, whose networks run in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd.cli.console import Scale, check_scale, progress_bar


def site(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder to build the site in.")],
    models: Annotated[
        str, typer.Option(help="Model names, separated by commas [default: the best student, all methods, teachers].")
    ] = "",
    scale: Scale = 4,
    runtime: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder with onnxruntime-web, in place of npm's.")
    ] = None,
) -> None:
    """Build the explorer as static files for any web host.

    The networks run in the visitor's browser; no server computes, and no picture leaves the visitor's device.
    """
    from mtkd.site import build

    check_scale(scale)
    names = [name for name in (part.strip() for part in models.split(",")) if name]
    with progress_bar("site", 1, lines=True) as advance:
        folder = build(output, names, scale, runtime, lambda _, done, of: advance(done / of))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder} ({size / 1e6:.0f} MB)")
    print(f"try it: python -m http.server --directory {folder} 8000, then open http://127.0.0.1:8000/")
