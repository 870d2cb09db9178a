"""``mtkd score``: metrics of SR images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mtkd.cli.console import (
    Json,
    Metrics,
    Scale,
    check_scale,
    metric_cells,
    metric_names,
    metric_titles,
    print_json,
    print_table,
)
from mtkd.errors import UserError


def score(
    sr_dir: Annotated[Path, typer.Argument(metavar="SR_DIR", help="Folder of SR images.")],
    hr_dir: Annotated[Path, typer.Argument(metavar="HR_DIR", help="Folder of HR images with the same names.")],
    scale: Scale = 4,
    metrics: Metrics = "",
    channels: Annotated[str, typer.Option(help="Measure on y (luma, as the paper) or rgb.")] = "y",
    crop: Annotated[int | None, typer.Option(help="Pixels to cut a side [default: the scale].", min=0)] = None,
    pairs: Annotated[Path | None, typer.Option(help="CSV file: SR file, HR file in each line.")] = None,
    in_order: Annotated[bool, typer.Option("--by-order", help="Pair the images by their order.")] = False,
    conventions: Annotated[
        bool, typer.Option("--conventions", help="PSNR and SSIM of the pairs by the conventions of other programs.")
    ] = False,
    json_: Json = False,
) -> None:
    """Compute PSNR, SSIM or other metrics of SR images.

    Compares each SR image with the HR image whose name its own contains (baby_x4_SwinIR.png and baby.png), by the
    paper's protocol.
    """
    from mtkd.evaluate import score_pairs
    from mtkd.metrics import Protocol, channel

    check_scale(scale)
    names, found = metric_names(metrics), _pairs(sr_dir, hr_dir, pairs, in_order)
    if conventions:
        _print_conventions(found, scale, json_)
        return
    protocol = Protocol(channel(channels), "scale" if crop is None else crop)
    result = score_pairs(found, scale, protocol, names)
    for note in (*result.notes, *_left_out(sr_dir, hr_dir)):
        print(note, file=sys.stderr)
    images = [{**score.row(), "hr": hr.name} for score, (_, hr) in zip(result.scores, found, strict=True)]
    if json_:
        print_json({"scale": scale, **result.row(), "per_image": images})
        return
    mean = {"image": f"mean of {result.images}", **result.metrics}
    cells = [[row["image"], *metric_cells(row, names)] for row in [*images, mean]]
    print_table(("image", *metric_titles(names)), cells)
    print(f"protocol: {result.protocol} (scale {scale})")


def _left_out(*folders: Path) -> list[str]:
    """Folders within the folders, which are not looked into."""
    inside = [path for folder in folders for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    return [f"left out: {path}: a folder; score it by itself" for path in sorted(inside)]


def _pairs(sr_dir: Path, hr_dir: Path, table: Path | None, in_order: bool) -> list[tuple[Path, Path]]:
    """The SR files with their HR files: as told, else by their names."""
    from mtkd.data import pairing
    from mtkd.images import find_images

    if table is not None and in_order:
        raise UserError("--pairs and --by-order: give one of them")
    if table is not None:
        return pairing.listed(table, sr_dir, hr_dir)
    sr, hr = find_images(sr_dir), find_images(hr_dir)
    return pairing.by_order(sr, hr) if in_order else pairing.pair(sr, hr)


def _print_conventions(pairs: list[tuple[Path, Path]], scale: int, json_: bool) -> None:
    from mtkd.evaluate import by_conventions

    rows = by_conventions(pairs, scale)
    if json_:
        print_json({"scale": scale, "images": len(pairs), "conventions": rows})
        return
    cells = [[row["measured"], f"{row['value']:.{row['digits']}f}", row["used by"]] for row in rows]
    print_table(("measured", f"mean of {len(pairs)}", "used by"), cells)
