"""The card of a finished run: what was trained, on what, how, and how good it has become."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from mtkd.evaluate import versions
from mtkd.metrics import PAPER
from mtkd.networks import parameter_count
from mtkd.plugins import NETWORKS
from mtkd.training.dataset import Dataset
from mtkd.training.guards import falls
from mtkd.training.stages import Stage
from mtkd.zoo.checkpoints import load_state, read_state, weights_hash
from mtkd.zoo.model import CARD_FORMAT


def make_card(
    stage: Stage,
    network: nn.Module,
    values: Sequence[float],
    weights: Path,
    seconds: float,
    places: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``card.json`` says.

    Args:
        network: as it was trained.
        values: PSNR of every held-out image with these weights, dB.
        weights: the file that they were written to, perhaps rounded: ``weights`` is the hash of what it holds.
        places: "device" and "versions" of everywhere that it was trained, told where there are several; the card's
            ``device`` then names the devices of all of them, its ``versions`` are those of the last.
        rows: of ``metrics.jsonl``.
    """
    recipe = stage.recipe
    online = bool(recipe.teachers) and recipe.teacher_outputs == "online"
    plugins = [plugin.record() for plugin in recipe.plugins()]
    kept = copy.deepcopy(network)
    load_state(kept, read_state(weights), str(weights))
    return {
        "format": CARD_FORMAT,
        "name": recipe.name,
        "network": recipe.network,
        "role": NETWORKS[recipe.network].role,
        "scale": recipe.scale,
        "parameters": parameter_count(network),
        "weights": weights_hash(kept),
        "method": recipe.method.name,
        "iterations": recipe.iterations,
        "teacher_passes": recipe.iterations * (stage.method.teacher_passes + online * len(stage.method.outputs)),
        "seed": recipe.seed,
        "seconds": round(seconds),
        "data": {
            "train": recipe.data.train,
            "images": len(stage.patches.pairs),
            "hash": stage.data_hash,
            **Dataset(recipe.data, recipe.scale).record(),
        },
        "held_out": {
            "images": len(values),
            "psnr": round(sum(values) / len(values), 4),
            "protocol": str(PAPER),
        },
        "falls": falls(rows),
        "teachers": {name: weights_hash(net) for name, net in stage.frozen.items()},
        "deviations": recipe.deviations(),
        "versions": versions(),
        **({"plugins": plugins} if plugins else {}),
        "device": ", ".join(dict.fromkeys(place["device"] for place in places)),
        **({"places": list(places)} if len(places) > 1 else {}),
        "recipe": recipe.model_dump(mode="json"),
    }
