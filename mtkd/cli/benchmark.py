"""``mtkd benchmark``: metrics of models on benchmark sets, and a comparison with the expected numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import (
    DataFolder,
    Device,
    Json,
    Metrics,
    Scale,
    check_scale,
    metric_cells,
    metric_names,
    metric_titles,
    print_json,
    print_table,
    progress_bar,
    tell_device,
    torch_device,
)
from mtkd.errors import UserError
from mtkd.home import found_data
from mtkd.numbers import signed


def benchmark(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models (see `mtkd models`) [default: all models of the scale]."),
    ] = None,
    scale: Scale = 4,
    data: DataFolder = None,
    sets: Annotated[
        str, typer.Option(help="Benchmark sets, separated by commas [default: Set5,Set14; with --check all].")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Compare PSNR with the model's card or the published numbers.")
    ] = False,
    device: Device = "auto",
    metrics: Metrics = "",
    json_: Json = False,
) -> None:
    """Measure models on benchmark sets, by the paper's protocol.

    A set is a folder of HR images, or is laid out as by SelfExSR, BasicSR or EDSR. With --check, the exit code is 1
    if a number differs from the expected one.
    """
    from mtkd import networks, verify, zoo
    from mtkd.data.benchmarks import NO_SETS
    from mtkd.data.sources import default_sets

    check_scale(scale)
    root = found_data(data)
    if root is None:
        raise UserError(NO_SETS)
    chosen = names or [*networks.baselines(), *(m.name for m in zoo.models(scale))]
    for name in chosen:  # report a misspelt name before minutes of work, not after
        if name not in networks.baselines():
            zoo.find(name, scale)
    set_names = [part.strip() for part in sets.split(",") if part.strip()]
    where, measured = torch_device(device), metric_names(metrics)
    if check:
        if not names:
            chosen = [name for name in chosen if verify.expected(name, scale)]
        _check(chosen, scale, root, set_names, where, json_)
        return
    rows = _measure(chosen, scale, root, set_names or default_sets(), where, measured)
    if json_:
        print_json(rows)
        return
    tell_device(where)
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
                rows.append({"model": name, "scale": scale, "set": set_name, **result.row(), "device": str(device)})
    return rows


def _check(names: Sequence[str], scale: int, root: Path, sets: Sequence[str], device: Any, json_: bool) -> None:
    from mtkd import verify

    with progress_bar("check", 1) as advance:
        verdicts = verify.check(names, scale, root, sets, device, lambda name, done, of: advance(done / of))
    notes = verify.explanations(verdicts)
    holds = all(verdict.holds for verdict in verdicts)
    if json_:
        print_json({"holds": holds, "rows": [verdict.row() for verdict in verdicts], "notes": notes})
    else:
        tell_device(device)
        print_table(
            ("model", "set", "measured", "expected", "difference", "allowed", ""),
            [
                [row.model, row.set_name, f"{row.measured:.4f}", f"{row.expected:g}", signed(row.difference, "+.4f"),
                 f"{row.allowed:g}", "ok" if row.holds else "DIFFERS"]
                for row in verdicts
            ],
        )  # fmt: skip
        print("\n".join(notes))
    if not holds:
        raise SystemExit(1)
