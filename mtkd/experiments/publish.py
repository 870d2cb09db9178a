"""From finished runs to a zoo: weights, and cards with measured benchmark numbers.

``python -m mtkd.experiments.publish RUNS ZOO [MODEL...]`` copies the weights of finished and measured runs of
``mtkd matrix`` to ``ZOO/NAME_xS.safetensors`` and writes their cards, with the numbers of Set5 and Set14, beside them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mtkd import zoo
from mtkd.data.benchmarks import benchmark
from mtkd.errors import UserError, unknown_name
from mtkd.evaluate import Score, evaluate, summarise
from mtkd.experiments.runner import read_scores
from mtkd.images import atomic_write
from mtkd.zoo.checkpoints import Header, read_header

SETS = ("Set5", "Set14")


def publish(runs: Path, folder: Path, names: Sequence[str] = ()) -> list[str]:
    """Copy weights of finished runs, all or those of the models ``names``, into ``folder``, and write their cards.

    Of several seeds of a model the first is taken.

    Raises:
        UserError: no finished run, none of one of the names, or one that was not measured.
    """
    finished: dict[tuple[str, int], tuple[int, Path, Header]] = {}
    for run in sorted(path.parent for path in runs.glob("*/finished.json")):
        header, seed = read_header(run / "model.safetensors"), json.loads((run / "card.json").read_text())["seed"]
        known = finished.get((header.name, header.scale))
        if known is not None and seed == known[0]:
            raise UserError(f"{run}: the same model and seed as {known[1].name}; move the one that is not meant away")
        if known is None or seed < known[0]:
            finished[header.name, header.scale] = (seed, run, header)
    if not finished:
        raise UserError(f"{runs}: no finished runs")
    found = {name for name, _ in finished}
    for name in names:
        if name not in found:
            raise unknown_name(f"finished run in {runs}", name, found)
    chosen = [entry for (name, _), entry in sorted(finished.items()) if not names or name in names]
    for _, run, header in chosen:
        card: dict[str, Any] = json.loads((run / "card.json").read_text())
        card["benchmarks"] = _benchmarks(run)
        target = folder / f"{header.name}_x{header.scale}"
        with atomic_write(target.with_name(target.name + ".safetensors")) as temporary:
            temporary.write_bytes((run / "model.safetensors").read_bytes())
        with atomic_write(target.with_name(target.name + ".json")) as temporary:
            temporary.write_text(json.dumps(card, indent=1) + "\n")
    return [header.name for _, _, header in chosen]


def _benchmarks(run: Path) -> list[dict[str, Any]]:
    scores = read_scores(run)
    if missing := [name for name in SETS if name not in scores]:
        raise UserError(f"{run}: not measured on {missing[0]}; set MTKD_DATA and run `mtkd matrix` again")
    rows = []
    for name in SETS:
        images = [Score(image["image"], image["psnr"], image["ssim"]) for image in scores[name]["images"]]
        rows.append(_row(name, summarise(images).row()))
    return rows


def _row(set_name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"set": set_name, **row, "psnr": round(row["psnr"], 4), "ssim": round(row["ssim"], 5)}


def measure(name: str, scale: int, data: Path) -> list[dict[str, Any]]:
    """Set5 and Set14 of one model in float32 on the CPU: {set, psnr, ssim, images, protocol}."""
    network = zoo.load(name, scale, torch.device("cpu"))
    return [_row(name, evaluate(network, benchmark(data, name, scale), scale).row()) for name in SETS]


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
        runs, folder, *names = sys.argv[1:]
    except ValueError:
        raise SystemExit("usage: python -m mtkd.experiments.publish RUNS ZOO [MODEL...]") from None
    try:
        publish(Path(runs), Path(folder), names)
    except UserError as error:
        raise SystemExit(f"publish: {error}") from None
    print(table())


if __name__ == "__main__":
    main()
