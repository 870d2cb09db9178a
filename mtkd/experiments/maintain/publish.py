"""From finished runs to a zoo: weights, and cards with measured benchmark numbers.

``python -m mtkd.experiments.maintain.publish RUNS ZOO [MODEL...]`` copies the weights of finished and measured runs of
``mtkd matrix`` to ``ZOO/NAME_xS.safetensors`` and writes their cards, with the numbers of the default benchmark sets,
and their titles beside them; with ``--snapshots``, also what was kept of them on their way, to ``ZOO/snapshots``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mtkd import zoo
from mtkd.data.benchmarks import benchmark
from mtkd.data.sources import default_sets
from mtkd.errors import UserError, unknown_name
from mtkd.evaluate import Score, evaluate, summarise
from mtkd.experiments import titles
from mtkd.experiments.maintain import older_runs
from mtkd.experiments.plan import load_plan
from mtkd.experiments.runner import HELD_OUT, images_of, read_scores
from mtkd.files import write_bytes, write_json
from mtkd.home import data_folder
from mtkd.metrics import DEFAULT
from mtkd.training.recipe import Data
from mtkd.verify import OWN
from mtkd.zoo import Model
from mtkd.zoo.headers import Header, read_header
from mtkd.zoo.model import read_card


def publish(runs: Path, folder: Path, names: Sequence[str] = (), snapshots_on: Path | None = None) -> list[str]:
    """Copy weights of finished runs, all or those of the models ``names``, into ``folder``, and write their cards.

    Of several seeds of a model the first is taken. With ``snapshots_on``, a folder of benchmark sets, the networks
    that were kept on their way are measured there and published too.

    Raises:
        UserError: no finished run, none of one of the names, or one that was not measured.
    """
    finished: dict[tuple[str, int], tuple[int, Path, Header]] = {}
    for run in sorted(path.parent for path in runs.glob("*/finished.json")):
        header, seed = read_header(run / "model.safetensors"), json.loads((run / "card.json").read_text())["seed"]
        known = finished.get((header.name, header.scale))
        if known is not None and seed == known[0]:
            raise UserError(f"{run}: the same model and seed as {known[1].name}; move one of them away")
        if known is None or seed < known[0]:
            finished[header.name, header.scale] = (seed, run, header)
    if not finished:
        raise UserError(f"{runs}: no finished runs")
    trained = {name for name, _ in finished}
    for name in names:
        if name not in trained:
            raise unknown_name(f"finished run in {runs}", name, trained)
    chosen = [entry for (name, _), entry in sorted(finished.items()) if not names or name in names]
    for _, run, header in chosen:
        card: dict[str, Any] = json.loads((run / "card.json").read_text())
        card["benchmarks"] = _benchmarks(run)
        target = f"{header.name}_x{header.scale}"
        write_bytes(folder / f"{target}.safetensors", (run / "model.safetensors").read_bytes())
        write_json(folder / f"{target}.json", card)
        if snapshots_on is not None:
            _snapshots(run, header, card, folder, snapshots_on)
    here = {read_header(path).name for path in folder.glob("*.safetensors")}
    titles.write(load_plan("mini"), folder, here)
    return [header.name for _, _, header in chosen]


def _snapshots(run: Path, header: Header, card: dict[str, Any], folder: Path, data: Path) -> None:
    """Publish what was kept of a run on its way; what its recipe is, the card of its end says."""
    images = images_of(HELD_OUT, header.scale, None, Data.model_validate(card["recipe"]["data"]))
    for step, kept in Model(header, run / "model.safetensors", False).snapshots().items():
        write_bytes(folder / "snapshots" / kept.path.name, kept.path.read_bytes())
        result = evaluate(zoo.load(kept.name, header.scale, sources=(folder,)), images, header.scale)
        content: dict[str, Any] = {
            key: card[key] for key in ("network", "role", "scale", "parameters", "method", "seed", "data")
        }
        content |= {
            "name": kept.name,
            "iterations": step,
            "ends_as": header.name,
            "held_out": {
                "images": result.images,
                "psnr": round(result.metrics["psnr"], 4),
                "protocol": result.protocol,
            },
            "benchmarks": measure(kept.name, header.scale, data, (folder,)),
        }
        write_json(folder / "snapshots" / f"{kept.path.stem}.json", content)


def _benchmarks(run: Path) -> list[dict[str, Any]]:
    scores = read_scores(run)
    if missing := [name for name in default_sets() if name not in scores]:
        raise UserError(f"{run}: not measured on {missing[0]}; set MTKD_DATA and run `mtkd matrix` again")
    rows = []
    for name in default_sets():
        images = [Score(image["image"], {name: image[name] for name in DEFAULT}) for image in scores[name]["images"]]
        provenance = {key: scores[name][key] for key in ("weights", "images_hash", "versions") if key in scores[name]}
        rows.append(_row(name, summarise(images, provenance=provenance).row()))
    return rows


def _row(set_name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"set": set_name, **row, "psnr": round(row["psnr"], 4), "ssim": round(row["ssim"], 5)}


def measure(name: str, scale: int, data: Path, sources: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """One model on the default benchmark sets, in float32 on the CPU.

    Returns:
        A row a set: {set, psnr, ssim, images, protocol} and their provenance.
    """
    network = zoo.load(name, scale, torch.device("cpu"), sources)
    return [_row(name, evaluate(network, benchmark(data, name, scale), scale).row()) for name in default_sets()]


def measure_again(folder: Path, data: Path) -> None:
    """Measure all models of a zoo and write their cards' numbers anew, with their provenance.

    Raises:
        UserError: a number that differs from the card's by more than :data:`~mtkd.verify.OWN`.
    """
    for path in sorted(folder.rglob("*.safetensors")):
        header, card = read_header(path), read_card(path.with_suffix(".json"))
        rows = measure(header.name, header.scale, data, (folder,))
        for row, before in zip(rows, card["benchmarks"], strict=True):
            if row["set"] != before["set"] or abs(row["psnr"] - before["psnr"]) > OWN:
                raise UserError(f"{path}: {row['psnr']} dB on {row['set']}, its card says {before['psnr']}")
        write_json(path.with_suffix(".json"), card | {"benchmarks": rows})
        print(path.stem, *(f"{row['set']} {row['psnr']:.4f}" for row in rows), flush=True)


def table(scale: int = 4) -> str:
    """The zoo's cards as a markdown table."""
    columns = [f"x{scale}", "role", "parameters", "steps", "held out", *default_sets()]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for model in zoo.models(scale):
        if not model.bundled:
            continue
        card, summary = model.card, model.summary()
        numbers = {row["set"]: f"{row['psnr']:.3f} / {row['ssim']:.4f}" for row in card.get("benchmarks", [])}
        lines.append(
            f"| {model.name} | {model.role} | {summary['parameters']:,} | {card['iterations']:,} "
            f"| {card['held_out']['psnr']:.3f} | {' | '.join(numbers.get(name, '') for name in default_sets())} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Publish, or measure a zoo again; then print the table."""
    parser = argparse.ArgumentParser(prog="python -m mtkd.experiments.maintain.publish")
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("zoo", type=Path, nargs="?")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--snapshots", action="store_true", help="also of the models on their way (needs MTKD_DATA)")
    parser.add_argument("--again", type=Path, metavar="ZOO", help="measure the models of a zoo anew (needs MTKD_DATA)")
    chosen = parser.parse_args()
    if (chosen.again is None) == (chosen.zoo is None):
        parser.error("give RUNS and ZOO, or --again ZOO")
    try:
        if chosen.again is not None:
            measure_again(chosen.again, data_folder())
        else:
            older_runs.update_all(chosen.runs)
            publish(chosen.runs, chosen.zoo, chosen.models, data_folder() if chosen.snapshots else None)
    except UserError as error:
        raise SystemExit(f"publish: {error}") from None
    print(table())


if __name__ == "__main__":
    main()
