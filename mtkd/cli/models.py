"""``mtkd models``: what is there, weights from elsewhere, the published ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import ByteCount, Json, Scale, cell, check_scale, print_json, print_table, progress_bar
from mtkd.errors import UserError

models_app = typer.Typer(rich_markup_mode=None)

Mirror = Annotated[
    str | None, typer.Option(help="Fetch from MIRROR/HOST/PATH (as wget -x lays files out) [default: MTKD_MIRROR].")
]
Silence = Annotated[float, typer.Option(help="Seconds of silence after which a connection is tried anew.", min=0.1)]


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, json_: Json = False) -> None:
    """List the trained models: those of MTKD_ZOO, your own, and the bundled ones; or add some."""
    if context.invoked_subcommand is not None:
        return
    from mtkd import zoo

    rows = [model.summary() for model in zoo.models()]
    if json_:
        print_json(rows)
        return
    header = ("name", "role", "scale", "parameters", "iterations", "bundled")
    print_table(header, [[cell(row[key]) for key in header] for row in rows])


@models_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Weights: .safetensors, .pth or .pt.")],
    name: Annotated[str | None, typer.Option(help="What to call the model [default: made of the file's name].")] = None,
    network: Annotated[str | None, typer.Option(help="Take it as this network [default: detected].")] = None,
    scale: Annotated[int | None, typer.Option(help="Take it as this scale, 2, 3 or 4 [default: detected].")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Set a model of your own of that name aside.")] = False,
    json_: Json = False,
) -> None:
    """Add weights from elsewhere to your own models: EDSR, RCAN or SwinIR in any public form.

    With the extra 'community' also what spandrel knows. Nothing in the file is executed.
    """
    from mtkd.zoo import imports

    if scale is not None:
        check_scale(scale)
    found = imports.inspect(file, network, scale)
    model = imports.add(found, name, replace)
    if json_:
        print_json(model.summary())
        return
    print(f"{model.name} x{model.scale}: {found.family} ({model.header.network}, {found.parameters:,} parameters)")
    print("\n".join([*found.notes, str(model.path)]))


@models_app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Published models; without names they are listed.")
    ] = None,
    scale: Scale = 4,
    all_: Annotated[bool, typer.Option("--all", help="All that can be fetched at that scale.")] = False,
    file: Annotated[
        Path | None, typer.Option(help="A file brought by hand (weights, or an archive that holds them); one NAME.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="The file's SHA-256, where you know better than what is known here.")
    ] = None,
    mirror: Mirror = None,
    silence: Silence = 30.0,
    json_: Json = False,
) -> None:
    """Fetch published weights, check them and keep them as models of yours: edsr, rcan, swinir, ... (--scale 4).

    What was fetched before is left alone; a download that was stopped goes on.
    """
    from mtkd.zoo import public, published

    check_scale(scale)
    chosen = list(dict.fromkeys(names or ()))
    if all_:
        chosen = [
            name for name in published.names() if published.entry(name).files[scale].url or public.there(name, scale)
        ]
    if not chosen:
        _list(json_)
        return
    for name in chosen:
        published.entry(name)
    if (file or sha256) and len(chosen) != 1:
        raise UserError("--file and --sha256 are for one NAME at a time")
    rows = []
    for name in chosen:
        found = _fetch(name, scale, file, sha256, mirror, silence)
        rows.append({**found.model.summary(), "new": found.new, "notes": list(found.notes)})
        if not json_:
            print(f"{name} x{scale}: {'checked and kept as' if found.new else 'is there already:'} {found.model.path}")
            print("\n".join(found.notes), end="\n" if found.notes else "")
    if json_:
        print_json(rows)
        return
    for name in published.names() if all_ else ():
        if name not in chosen:
            print(published.by_hand(name, scale))
    if any(row["new"] for row in rows):
        print(f"numbers as published? mtkd benchmark {' '.join(chosen)} --scale {scale} --check")


def _fetch(name: str, scale: int, file: Path | None, sha256: str | None, mirror: str | None, silence: float) -> Any:
    from mtkd.downloads import Patience
    from mtkd.zoo import public

    patience = Patience(silence=silence)
    try:
        with progress_bar(f"{name} x{scale}", 0, of_bytes=True) as advance:
            return public.fetch(name, scale, file, sha256, mirror, ByteCount(advance), patience)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from there", file=sys.stderr)
        raise SystemExit(130) from None


def _list(json_: bool) -> None:
    """Every published model, and where it comes from."""
    from mtkd.zoo import catalogue, published

    present = {(model.name, model.scale) for model in catalogue.models() if "public" in model.card}
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "scale": scale,
            "here": (name, scale) in present,
            "sha256": file.sha256,
            "sha256_known_from": file.says or None,
            "trained_on": one.trained_on,
            "licence": one.licence,
            "address": file.url,
            "page": one.page,
        }
        for name in published.names()
        for one in (published.entry(name),)
        for scale, file in one.files.items()
    ]
    if json_:
        print_json(rows)
        return
    cells = [
        [row["name"], f"x{row['scale']}", cell(row["here"]), row["trained_on"], row["sha256_known_from"] or "not known",
         row["address"] or f"by hand: {row['page']}"]
        for row in rows
    ]  # fmt: skip
    print_table(("name", "scale", "here", "trained on", "SHA-256", "from"), cells)
