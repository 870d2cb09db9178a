"""``mtkd data``: list, fetch and check the public image sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import STOPPED, ByteCount, Json, cell, check_scale, print_json, print_table, progress_bar
from mtkd.cli.help import Command, Group
from mtkd.cli.models import Mirror, Silence
from mtkd.errors import UserError
from mtkd.home import data_folder

data_app = typer.Typer(cls=Group, rich_markup_mode=None, epilog="mtkd data fetch set5 set14")

Folder = Annotated[Path | None, typer.Option("--data", help="Data folder [default: MTKD_DATA, else MTKD_HOME/data].")]


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context, folder: Folder = None, json_: Json = False) -> None:
    """List, fetch and check image sets."""
    if context.invoked_subcommand is None:
        list_(folder, json_)


@data_app.command("list", cls=Command, epilog="mtkd data list")
def list_(folder: Folder = None, json_: Json = False) -> None:
    """List image sets.

    Shows which files are present, how they are laid out, and for which scales there are LR files.
    """
    from mtkd.data.sources import sources

    root = data_folder(folder)
    rows = [_row(name, root) for name in sources()]
    if json_:
        print_json({"folder": str(root), "sets": rows})
        return
    print(root)
    cells = [
        [row["name"], row["state"], row["layout"] or "", " ".join(f"x{s}" for s in row["official"]),
         " ".join(f"x{s}" for s in row["derived"]), row["folder"]]
        for row in rows
    ]  # fmt: skip
    print_table(("set", "public files", "layout", "LR files", "LR derived", "folder"), cells)


@data_app.command(cls=Command, epilog="mtkd data fetch set5 set14\nmtkd data fetch div2k --only 'DIV2K_train_HR*'")
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="SET", help="Names from `mtkd data` (set5, div2k, ...), or all.")
    ],
    folder: Folder = None,
    only: Annotated[
        str, typer.Option(help="Fetch only files whose paths match: '*train*', '*SRF_4*', 'DIV2K_train_HR*'.")
    ] = "*",
    keep: Annotated[bool, typer.Option("--keep", help="Keep archives (DIV2K) after they are unpacked.")] = False,
    workers: Annotated[int, typer.Option(help="Number of parallel downloads.", min=1, max=32)] = 4,
    mirror: Mirror = None,
    silence: Silence = 30.0,
    json_: Json = False,
) -> None:
    """Fetch public image sets.

    Each file is checked. Files that are present are kept, and a stopped download continues. Archives that you put
    into the folder yourself (DATA/DIV2K/DIV2K_train_HR.zip) are checked and unpacked in the same way.
    """
    from mtkd.data.sources import missing, source, sources

    root = data_folder(folder)
    public = [name for name, entry in sources().items() if entry.files]
    chosen = [source(name) for name in (public if list(names) == ["all"] else dict.fromkeys(names))]
    rows = []
    for entry in chosen:
        remotes = missing(entry.remotes(root, only, mirror), keep)
        if remotes:
            _fetch(entry.name, remotes, keep, workers, silence)
        rows.append({**_row(entry.name, root), "fetched": len(remotes)})
        if not json_:
            done = f"{len(remotes)} files fetched" if remotes else "nothing to fetch"
            print(f"{entry.name}: {done}; {rows[-1]['state']}")
            print(f"  {root / entry.folder}")
    if json_:
        print_json(rows)


def _fetch(name: str, remotes: list[Any], keep: bool, workers: int, silence: float) -> None:
    from mtkd.data import sources
    from mtkd.downloads import Patience

    def unpacking(archive: str) -> None:
        if sys.stderr.isatty():
            print(f"unpacking {archive}", file=sys.stderr)

    try:
        with progress_bar(name, sum(remote.size or 0 for remote in remotes), of_bytes=True) as advance:
            sources.fetch(remotes, ByteCount(advance), unpacking, keep, workers, Patience(silence=silence))
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


@data_app.command(cls=Command, epilog="mtkd data check div2k --scale 4")
def check(
    name: Annotated[str, typer.Argument(metavar="SET", help="div2k, or a benchmark set (Set5).")],
    scale: Annotated[
        list[int] | None, typer.Option(metavar="SCALE", help="2, 3 or 4; repeatable [default: all scales present].")
    ] = None,
    images: Annotated[int, typer.Option(help="Number of images, spread over the set; 0: all.", min=0)] = 20,
    folder: Folder = None,
    json_: Json = False,
) -> None:
    """Check how the LR files of a set were made.

    Downscales the HR files with both border rules (clamp and mirror) and compares the results with the LR files, bit
    for bit.
    """
    from mtkd.data.div2k import check_border

    root = data_folder(folder)
    for value in scale or ():
        check_scale(value)
    of_scale = {s: pairs for s in (2, 3, 4) if s in (scale or (2, 3, 4)) and (pairs := _official(name, s, root))}
    if not of_scale:
        raise UserError(f"{root}: no LR files with HR files for {name}; run `mtkd data fetch {name.lower()}`")
    rows = []
    for s, pairs in of_scale.items():
        count = min(images or len(pairs), len(pairs))
        sample = [pairs[i * len(pairs) // count] for i in range(count)]
        with progress_bar(f"{name} x{s}", count) as advance:
            rows.append({"set": name, "scale": s, **check_border(sample, s, advance).row()})
    if json_:
        print_json(rows)
        return
    header = (
        "set",
        "scale",
        "images",
        "clamp exact",
        "mirror exact",
        "clamp: samples off, at most by",
        "mirror",
        "rule",
    )
    cells = [
        [name, f"x{row['scale']}", cell(row["images"]), *(cell(row["exact"][rule]) for rule in ("clamp", "mirror")),
         *(f"{row['differing_samples'][rule]:,}, {row['greatest_difference'][rule]}" for rule in ("clamp", "mirror")),
         row["rule"]]
        for row in rows
    ]  # fmt: skip
    print_table(header, cells)


def _official(name: str, scale: int, root: Path) -> list[Any]:
    """The images of a set whose LR files are its own, not derived from the HR files."""
    from mtkd.data import div2k
    from mtkd.data.benchmarks import benchmark
    from mtkd.data.sources import benchmark_sets

    if name.lower() == "div2k":
        hr = div2k.hr_folder(root, "DIV2K_train_HR")
        return div2k.pairs(hr, scale) if hr and div2k.official_lr(hr, scale) else []
    titles = {entry.name: entry.title for entry in benchmark_sets()}
    try:
        return [image for image in benchmark(root, titles.get(name.lower(), name), scale) if not image.derived]
    except UserError:
        if scale == 4:
            raise
        return []


def _row(name: str, root: Path) -> dict[str, Any]:
    """The state of a set: files present, folder, layout and scales."""
    from mtkd.data import benchmarks, div2k
    from mtkd.data.sources import presence, source

    present = presence(source(name), root)
    official, derived, layout, folder = list[int](), list[int](), None, present.folder
    if name == "div2k":
        hr = div2k.hr_folder(root, "DIV2K_train_HR")
        if hr:
            folder, layout = hr.parent, "DIV2K"
            official = [s for s in (2, 3, 4) if div2k.official_lr(hr, s)]
    elif present.source.kind == "benchmark":
        set_folder = benchmarks.set_folder(root, present.source.title)
        if set_folder:
            folder, layout = set_folder, benchmarks.layout(set_folder)
            for scale in (2, 3, 4):
                images = benchmarks.pairs(set_folder, scale)
                if images:
                    (derived if images[0].derived else official).append(scale)
    state = "complete" if present.complete else f"{present.files} of {present.of}" if present.files else "none"
    if not present.of:
        state = "cannot be fetched: no files listed"
    return {
        **present.row(),
        "folder": str(folder),
        "state": state,
        "layout": layout,
        "official": official,
        "derived": derived,
    }
