"""``mtkd compare``: several models on pictures, as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import Metrics, Scale, check_scale, metric_names, progress_bar
from mtkd.errors import Unwritable, UserError


def compare(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, or folders of them.")],
    models: Annotated[str, typer.Option(help="Model names, separated by commas (see `mtkd models`), or bicubic.")] = "",
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="HTML file to write.")] = Path(
        "report.html"
    ),
    scale: Scale = 4,
    hr: Annotated[
        bool,
        typer.Option("--hr/--lr", help="Downscale the pictures first and measure, or upscale them as they are."),
    ] = True,
    baseline: Annotated[
        str | None,
        typer.Option(help="Model over which gains are given [default: a student alone, else bicubic, else the first]."),
    ] = None,
    others: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Results of other programs: a folder each, or one folder of images."),
    ] = None,
    metrics: Metrics = "",
    title: Annotated[str, typer.Option(help="Title of the report.")] = "",
) -> None:
    """Compare models on pictures in one HTML file.

    The file holds pictures, numbers and viewer. It opens from disk, offline, in any browser. It shows the gain of each
    model on each picture and the crops in which two models differ most. A report over 30 MB becomes a folder.
    """
    from mtkd.explore import default_models
    from mtkd.explore.comparison.core import compare as run
    from mtkd.explore.report import Report
    from mtkd.explore.report.sources import Sources
    from mtkd.images import read_image

    check_scale(scale)
    names = list(dict.fromkeys(filter(None, (name.strip() for name in models.split(","))))) or default_models(scale)
    measured = metric_names(metrics)
    sources = Sources(images, others)
    failed: list[str] = []
    with Report(output, title, baseline) as report, progress_bar("compare", len(sources), lines=True) as advance:
        for done, source in enumerate(sources):
            advance(done)
            try:
                comparison = run(read_image(source.path), names, scale, hr, others=source.others(), metrics=measured)
                report.add(source.title, comparison)
            except Unwritable:
                raise
            except UserError as error:
                if len(sources) == 1:
                    raise
                why = str(error)
                failed.append(why if why.startswith(str(source.path)) else f"{source.path}: {why}")
        if len(failed) == len(sources):
            raise UserError(f"no picture could be compared: {failed[0]}")
    _tell(report, failed, sources)


def _tell(report: Any, failed: list[str], sources: Any) -> None:
    path: Path = report.written
    size = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
    if path.is_dir():
        print(f"over {report.largest / 1e6:.0f} MB: written as a folder; open its index.html", file=sys.stderr)
    print(f"{path} ({size / 1e6:.1f} MB)")
    for path, why in sources.left_out:
        print(f"left out: {path}: {why}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(sources)} pictures failed", file=sys.stderr)
        for message in failed:
            print(f"failed: {message}", file=sys.stderr)
        raise typer.Exit(1)
