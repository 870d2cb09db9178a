"""From finished runs to a zoo: weights, and cards with measured benchmark numbers.

``python -m mtkd.experiments.publish RUNS ZOO`` copies ``RUNS/NAME_xS/model.safetensors`` to
``ZOO/NAME_xS.safetensors``, measures Set5 and Set14 (``MTKD_DATA``) and writes the cards beside them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from mtkd import zoo
from mtkd.data.benchmarks import benchmark
from mtkd.errors import UserError
from mtkd.evaluate import evaluate
from mtkd.images import atomic_write
from mtkd.zoo.checkpoints import read_header

SETS = ("Set5", "Set14")


def publish(runs: Path, folder: Path, data: Path) -> list[str]:
    """Copy every finished run's weights into ``folder``, measure them there and write their cards.

    Raises:
        UserError: no finished run, or no benchmark sets.
    """
    finished = sorted(path.parent for path in runs.glob("*/finished.json"))
    if not finished:
        raise UserError(f"{runs}: no finished runs")
    for run in finished:
        header = read_header(run / "model.safetensors")
        with atomic_write(folder / f"{header.name}_x{header.scale}.safetensors") as temporary:
            temporary.write_bytes((run / "model.safetensors").read_bytes())
    os.environ["MTKD_ZOO"] = str(folder)
    names = []
    for run in finished:
        header = read_header(run / "model.safetensors")
        card: dict[str, Any] = json.loads((run / "card.json").read_text())
        card["benchmarks"] = measure(header.name, header.scale, data)
        with atomic_write(folder / f"{header.name}_x{header.scale}.json") as temporary:
            temporary.write_text(json.dumps(card, indent=1) + "\n")
        names.append(header.name)
    return names


def measure(name: str, scale: int, data: Path) -> list[dict[str, Any]]:
    """Set5 and Set14 of one model in float32 on the CPU: {set, psnr, ssim, images, protocol}."""
    network = zoo.load(name, scale, torch.device("cpu"))
    rows = []
    for set_name in SETS:
        row = evaluate(network, benchmark(data, set_name, scale), scale).row()
        rows.append({"set": set_name, **row, "psnr": round(row["psnr"], 4), "ssim": round(row["ssim"], 5)})
    return rows


def table(scale: int = 4) -> str:
    """The zoo's cards as a markdown table, for the README."""
    lines = ["| model | role | parameters | steps | held out | Set5 | Set14 |", "|---|---|---|---|---|---|---|"]
    for model in zoo.models(scale):
        card, summary = model.card, model.summary()
        if not card:
            continue
        sets = {row["set"]: f"{row['psnr']:.3f} / {row['ssim']:.4f}" for row in card.get("benchmarks", [])}
        lines.append(
            f"| {model.name} | {model.role} | {summary['parameters']:,} | {card['iterations']:,} "
            f"| {card['held_out']['psnr']:.3f} | {sets.get('Set5', '')} | {sets.get('Set14', '')} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Publish, then print the table."""
    try:
        runs, folder = (Path(argument) for argument in sys.argv[1:])
    except ValueError:
        raise SystemExit("usage: python -m mtkd.experiments.publish RUNS ZOO") from None
    try:
        data = os.environ.get("MTKD_DATA")
        if not data:
            raise UserError("set MTKD_DATA to the folder that holds benchmarks/Set5 and Set14")
        publish(runs, folder, Path(data))
    except UserError as error:
        raise SystemExit(f"publish: {error}") from None
    print(table())


if __name__ == "__main__":
    main()
