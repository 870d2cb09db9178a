"""``mtkd models``: list models, import checkpoints, fetch published weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import STOPPED, ByteCount, Json, Scale, cell, check_scale, print_json, print_table, progress_bar
from mtkd.cli.help import Command, Group
from mtkd.errors import UserError

models_app = typer.Typer(
    cls=Group, rich_markup_mode=None, epilog="mtkd models\nmtkd models import rcan_x4.pth --name my_rcan"
)

Mirror = Annotated[
    str | None,
    typer.Option(help="Mirror to fetch from, with files at MIRROR/HOST/PATH (as by `wget -x`) [default: MTKD_MIRROR]."),
]
Silence = Annotated[float, typer.Option(help="Seconds without data before a connection is retried.", min=0.1)]


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, json_: Json = False) -> None:
    """List models; import or fetch more.

    Without a command, lists the models in MTKD_ZOO, the imported and fetched models, and the bundled models.
    """
    if context.invoked_subcommand is not None:
        return
    from mtkd import zoo

    rows = [{**model.summary(), "title": model.title} for model in zoo.models()]
    if json_:
        print_json(rows)
        return
    header = ("name", "title", "role", "scale", "parameters", "iterations", "bundled")
    print_table(header, [[cell(row[key]) for key in header] for row in rows])


@models_app.command("import", cls=Command, epilog="mtkd models import rcan_x4.pth --name my_rcan")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint: .safetensors, .pth, .pt or .ckpt.")],
    name: Annotated[str | None, typer.Option(help="Name of the model [default: from the file name].")] = None,
    network: Annotated[str | None, typer.Option(help="Network of the checkpoint [default: detected].")] = None,
    scale: Annotated[int | None, typer.Option(help="Scale of the checkpoint: 2, 3 or 4 [default: detected].")] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Where the weights are in the file [default: an average (EMA), else the first that fit]."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What weights do not tell: res_scale, value_range, mean, image_skip [default: the usual ones].",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an imported model of the same name; its file is kept.")
    ] = False,
    json_: Json = False,
) -> None:
    """Import a checkpoint of EDSR, RCAN, SwinIR, SPAN or Compact.

    Networks of any size in all public formats are recognised, at any depth of the file. With the extra 'community',
    architectures that spandrel supports can be imported too. No code in the file is executed.
    """
    from mtkd.config import assign
    from mtkd.zoo import imports

    if scale is not None:
        check_scale(scale)
    options: dict[str, Any] = {}
    for assignment in set_ or ():
        assign(options, assignment)
    checkpoint = imports.inspect(file, network, scale, key, options)
    model = imports.add(checkpoint, name, replace)
    if json_:
        print_json(model.summary())
        return
    about = f"{checkpoint.family} ({model.header.network}, {checkpoint.parameters:,} parameters)"
    print(f"{model.name} x{model.scale}: {about}")
    print("\n".join([*checkpoint.notes, str(model.path)]))


@models_app.command(cls=Command, epilog="mtkd models fetch\nmtkd models fetch edsr rcan swinir --scale 4")
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Published models [default: list them].")
    ] = None,
    scale: Scale = 4,
    all_: Annotated[bool, typer.Option("--all", help="Fetch every model that can be downloaded.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="Use this local file (weights, or an archive that contains them); for a single NAME."),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Expected SHA-256, in place of the recorded one; for a single NAME.")
    ] = None,
    mirror: Mirror = None,
    silence: Silence = 30.0,
    json_: Json = False,
) -> None:
    """Fetch published weights: edsr, rcan, swinir, ...

    Each file is checked and added to your models. Models that are present are not fetched again, and a stopped
    download continues.
    """
    from mtkd.zoo import public, published

    check_scale(scale)
    chosen = list(dict.fromkeys(names or ()))
    if all_:
        chosen = [
            name
            for name in published.names()
            if published.entry(name).files[scale].url or public.installed(name, scale)
        ]
    if not chosen:
        _list(json_)
        return
    for name in chosen:
        published.entry(name)
    if (file or sha256) and len(chosen) != 1:
        raise UserError(f"--file and --sha256: {len(chosen)} names; give a single NAME with them")
    rows = []
    for name in chosen:
        result = _fetch(name, scale, file, sha256, mirror, silence)
        rows.append({**result.model.summary(), "new": result.new, "notes": list(result.notes)})
        if not json_:
            print(f"{name} x{scale}: {'saved as' if result.new else 'already present:'} {result.model.path}")
            print("\n".join(result.notes), end="\n" if result.notes else "")
    if json_:
        print_json(rows)
        return
    for name in published.names() if all_ else ():
        if name not in chosen:
            print(published.by_hand(name, scale))
    if any(row["new"] for row in rows):
        print(f"to compare with the published numbers: mtkd benchmark {' '.join(chosen)} --scale {scale} --check")


def _fetch(name: str, scale: int, file: Path | None, sha256: str | None, mirror: str | None, silence: float) -> Any:
    from mtkd.downloads import Patience
    from mtkd.zoo import public

    patience = Patience(silence=silence)
    try:
        with progress_bar(f"{name} x{scale}", 0, of_bytes=True) as advance:
            return public.fetch(name, scale, file, sha256, mirror, ByteCount(advance), patience)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


def _list(json_: bool) -> None:
    """Print the published models and their sources."""
    from mtkd.zoo import catalogue, published

    present = {(model.name, model.scale) for model in catalogue.models() if "public" in model.card}
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "scale": scale,
            "here": (name, scale) in present,
            "sha256": file.sha256,
            "sha256_known_from": file.says or None,
            "trained_on": entry.trained_on,
            "licence": entry.licence,
            "address": file.url,
            "page": entry.page,
        }
        for name in published.names()
        for entry in (published.entry(name),)
        for scale, file in entry.files.items()
    ]
    if json_:
        print_json(rows)
        return
    cells = [
        [row["name"], f"x{row['scale']}", cell(row["here"]), row["trained_on"],
         row["sha256_known_from"] or "not recorded", row["address"] or f"by hand: {row['page']}"]
        for row in rows
    ]  # fmt: skip
    print_table(("name", "scale", "present", "trained on", "SHA-256", "source"), cells)
