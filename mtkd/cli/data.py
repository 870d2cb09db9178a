"""``mtkd data``: the public image sets; which are there, fetching them, what their LR files were made with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import ByteCount, Json, cell, check_scale, print_json, print_table, progress_bar
from mtkd.cli.models import Mirror, Silence
from mtkd.errors import UserError
from mtkd.home import data_folder

data_app = typer.Typer(rich_markup_mode=None)

Folder = Annotated[
    Path | None, typer.Option("--data", help="The data folder [default: MTKD_DATA, else MTKD_HOME/data].")
]


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context, folder: Folder = None, json_: Json = False) -> None:
    """Tell which image sets are there, how they lie, and at which scales; or fetch and check them."""
    if context.invoked_subcommand is None:
        list_(folder, json_)


@data_app.command("list")
def list_(folder: Folder = None, json_: Json = False) -> None:
    """Tell which image sets are there, how they lie, and at which scales."""
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


@data_app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Sets as `mtkd data` names them (set5, div2k), or all.")
    ],
    folder: Folder = None,
    only: Annotated[
        str, typer.Option(help="Only files whose paths match: '*train*', '*SRF_4*', 'DIV2K_train_HR*'.")
    ] = "*",
    keep: Annotated[bool, typer.Option("--keep", help="Keep archives (DIV2K) after they are unpacked.")] = False,
    workers: Annotated[int, typer.Option(help="Files fetched at once.", min=1, max=32)] = 4,
    mirror: Mirror = None,
    silence: Silence = 30.0,
    json_: Json = False,
) -> None:
    """Fetch public image sets: side by side, each file checked; what was stopped goes on, what is there is left alone.

    Archives that you bring yourself (DIV2K_train_HR.zip in DATA/DIV2K) are checked and unpacked like fetched ones.
    """
    from mtkd.data.sources import missing, source, sources

    root = data_folder(folder)
    public = [name for name, one in sources().items() if one.files]
    chosen = [source(name) for name in (public if list(names) == ["all"] else dict.fromkeys(names))]
    rows = []
    for one in chosen:
        left = missing(one.remotes(root, only, mirror), keep)
        if left:
            _fetch(one.name, left, keep, workers, silence)
        rows.append({**_row(one.name, root), "fetched": len(left)})
        if not json_:
            print(f"{one.name}: {f'{len(left)} files fetched' if left else 'nothing to fetch'}; {rows[-1]['state']}")
            print(f"  {root / one.folder}")
    if json_:
        print_json(rows)


def _fetch(name: str, left: list[Any], keep: bool, workers: int, silence: float) -> None:
    from mtkd.data import sources
    from mtkd.downloads import Patience

    def unpacking(archive: str) -> None:
        if sys.stderr.isatty():
            print(f"unpacking {archive}", file=sys.stderr)

    try:
        with progress_bar(name, sum(remote.size or 0 for remote in left), of_bytes=True) as advance:
            sources.fetch(left, ByteCount(advance), unpacking, keep, workers, Patience(silence=silence))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from there", file=sys.stderr)
        raise SystemExit(130) from None


@data_app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="div2k, or a benchmark set (Set5).")],
    scale: Annotated[
        list[int] | None, typer.Option(help="2, 3 or 4; repeatable [default: all that are there].")
    ] = None,
    images: Annotated[int, typer.Option(help="How many images, spread over the set; 0: all.", min=0)] = 20,
    folder: Folder = None,
    json_: Json = False,
) -> None:
    """Tell by which border rule (clamp or mirror) a set's LR files were made from its HR files, bit for bit."""
    from mtkd.data.div2k import check_border

    root = data_folder(folder)
    for one in scale or ():
        check_scale(one)
    of_scale = {s: pairs for s in (2, 3, 4) if s in (scale or (2, 3, 4)) and (pairs := _official(name, s, root))}
    if not of_scale:
        raise UserError(f"{root}: {name} has no LR files with HR files there; mtkd data fetch {name.lower()}")
    rows = []
    for s, pairs in of_scale.items():
        count = min(images or len(pairs), len(pairs))
        some = [pairs[i * len(pairs) // count] for i in range(count)]
        with progress_bar(f"{name} x{s}", count) as advance:
            rows.append({"set": name, "scale": s, **check_border(some, s, advance).row()})
    if json_:
        print_json(rows)
        return
    header = ("set", "scale", "images", "clamp exact", "mirror exact", "clamp: samples off, by up to", "mirror", "rule")
    cells = [
        [name, f"x{row['scale']}", cell(row["images"]), *(cell(row["exact"][rule]) for rule in ("clamp", "mirror")),
         *(f"{row['differing_samples'][rule]:,}, {row['greatest_difference'][rule]}" for rule in ("clamp", "mirror")),
         row["rule"]]
        for row in rows
    ]  # fmt: skip
    print_table(header, cells)


def _official(name: str, scale: int, root: Path) -> list[Any]:
    """The HR files of a set that have LR files."""
    from mtkd.data import div2k
    from mtkd.data.benchmarks import benchmark
    from mtkd.data.sources import benchmark_sets

    if name.lower() == "div2k":
        hr = div2k.hr_folder(root, "DIV2K_train_HR")
        return div2k.pairs(hr, scale) if hr and div2k.official_lr(hr, scale) else []
    titles = {one.name: one.title for one in benchmark_sets()}
    try:
        return [image for image in benchmark(root, titles.get(name.lower(), name), scale) if not image.derived]
    except UserError:
        if scale == 4:
            raise
        return []


def _row(name: str, root: Path) -> dict[str, Any]:
    """How much of a set is there, and how it lies."""
    from mtkd.data import benchmarks, div2k
    from mtkd.data.sources import presence, source

    found = presence(source(name), root)
    official, derived, layout, folder = list[int](), list[int](), None, found.folder
    if name == "div2k":
        hr = div2k.hr_folder(root, "DIV2K_train_HR")
        if hr:
            folder, layout = hr.parent, "DIV2K"
            official = [s for s in (2, 3, 4) if div2k.official_lr(hr, s)]
    elif found.source.kind == "benchmark":
        there = benchmarks.set_folder(root, found.source.title)
        if there:
            folder, layout = there, benchmarks.layout(there)
            for scale in (2, 3, 4):
                images = benchmarks.pairs(there, scale)
                if images:
                    (derived if images[0].derived else official).append(scale)
    state = "complete" if found.complete else f"{found.files} of {found.of}" if found.files else "none"
    if not found.of:
        state = "cannot be fetched: no files listed"
    return {
        **found.row(),
        "folder": str(folder),
        "state": state,
        "layout": layout,
        "official": official,
        "derived": derived,
    }
