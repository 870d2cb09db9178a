"""``mtkd benchmark``: PSNR and SSIM of models on benchmark sets, and whether they are the known ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import (
    Json,
    Metrics,
    Scale,
    check_scale,
    device_called,
    metric_cells,
    metric_names,
    metric_titles,
    print_json,
    print_table,
    progress_bar,
)
from mtkd.errors import UserError
from mtkd.home import found_data


def benchmark(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL...", help="Models; all of that scale if none.")
    ] = None,
    scale: Scale = 4,
    data: Annotated[
        Path | None, typer.Option(help="Folder of benchmark sets [default: MTKD_DATA, else what was fetched].")
    ] = None,
    sets: Annotated[
        str, typer.Option(help="Names of sets, separated by commas [default: Set5,Set14; --check: all that are there].")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the model's card, or with what its authors published.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    metrics: Metrics = "",
    json_: Json = False,
) -> None:
    """PSNR, SSIM or other metrics of models on benchmark sets, by the paper's protocol.

    The sets may lie as SelfExSR, BasicSR or EDSR lay them out, or as folders of HR images. With --check, exit code 1
    says that a number is not the known one.
    """
    from mtkd import networks, verify, zoo
    from mtkd.data.benchmarks import NO_SETS
    from mtkd.data.sources import default_sets

    check_scale(scale)
    root = found_data(data)
    if root is None:
        raise UserError(NO_SETS)
    chosen = names or [*networks.baselines(), *(m.name for m in zoo.models(scale))]
    for name in chosen:  # a misspelt name is told before minutes of work, not after
        if name not in networks.baselines():
            zoo.find(name, scale)
    wanted = [part.strip() for part in sets.split(",") if part.strip()]
    where, measured = device_called(device), metric_names(metrics)
    if check:
        if not names:
            chosen = [name for name in chosen if verify.expected(name, scale)]
        _check(chosen, scale, root, wanted, where, json_)
        return
    rows = _measure(chosen, scale, root, wanted or default_sets(), where, measured)
    if json_:
        print_json(rows)
        return
    print_table(
        ("model", "set", *metric_titles(measured), "images"),
        [[row["model"], row["set"], *metric_cells(row, measured), str(row["images"])] for row in rows],
    )
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        of = ", ".join(dict.fromkeys(row["set"] for row in rows if row["protocol"] == protocol))
        print(f"protocol: {protocol} (scale {scale}){f' on {of}' if 'derived' in protocol else ''}")


def _measure(
    names: Sequence[str], scale: int, root: Path, sets: Sequence[str], device: Any, metrics: Sequence[str]
) -> list[dict[str, Any]]:
    from mtkd import zoo
    from mtkd.data.benchmarks import benchmark as images_of
    from mtkd.evaluate import evaluate

    of_set = {name: images_of(root, name, scale) for name in sets}
    rows = []
    with progress_bar("benchmark", len(names) * sum(map(len, of_set.values()))) as advance:
        for name in names:
            network = zoo.load(name, scale, device)
            for set_name, images in of_set.items():
                result = evaluate(network, images, scale, device, lambda done, of: advance(), metrics)
                rows.append({"model": name, "scale": scale, "set": set_name, **result.row()})
    return rows


def _check(names: Sequence[str], scale: int, root: Path, sets: Sequence[str], device: Any, json_: bool) -> None:
    from mtkd import verify

    with progress_bar("check", 1) as advance:
        found = verify.check(names, scale, root, sets, device, lambda name, done, of: advance(done / of))
    told = verify.explanations(found)
    if json_:
        print_json({"holds": all(one.holds for one in found), "rows": [one.row() for one in found], "notes": told})
    else:
        print_table(
            ("model", "set", "measured", "known", "difference", "allowed", ""),
            [
                [one.model, one.set_name, f"{one.measured:.4f}", f"{one.expected:g}", f"{one.difference:+.4f}",
                 f"{one.allowed:g}", "as known" if one.holds else "DIFFERS"]
                for one in found
            ],
        )  # fmt: skip
        print("\n".join(told))
    if not all(one.holds for one in found):
        raise SystemExit(1)
