"""The card of a finished run: model, data, recipe and measured quality."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from mtkd.evaluate import versions
from mtkd.metrics import PAPER
from mtkd.plugins import NETWORKS
from mtkd.training.dataset import Dataset
from mtkd.training.guards import falls
from mtkd.training.stages import Stage
from mtkd.zoo import costs
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
    """The content of ``card.json``.

    Args:
        network: the trained network.
        values: PSNR of every held-out image with these weights, dB.
        weights: the file of the weights, perhaps rounded; the card holds the hash of its content.
        places: "device" and "versions" of every place of training. With several, they are listed; ``device`` names all
            devices, and ``versions`` are those of the last place.
        rows: of ``metrics.jsonl``.
    """
    recipe = stage.recipe
    online = bool(recipe.teachers) and recipe.teacher_outputs == "online"
    plugins = [plugin.record() for plugin in recipe.plugins()]
    saved = copy.deepcopy(network)
    load_state(saved, read_state(weights), str(weights))
    return {
        "format": CARD_FORMAT,
        "name": recipe.name,
        "network": recipe.network,
        "role": NETWORKS[recipe.network].role,
        "scale": recipe.scale,
        **costs.record(network, recipe.scale),
        "weights": weights_hash(saved),
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
            **({"cut": cut} if (cut := stage.patches.pairs.cut | stage.held_out.cut) else {}),
        },
        "held_out": {
            "images": len(values),
            "psnr": round(sum(values) / len(values), 4),
            "protocol": str(PAPER),
        },
        "falls": falls(rows),
        "teachers": {name: weights_hash(net) for name, net in stage.frozen.items()},
        **({"init": stage.init} if stage.init else {}),
        **({"init_from": stage.about_init} if stage.about_init else {}),
        "deviations": recipe.deviations(),
        "versions": versions(),
        **({"plugins": plugins} if plugins else {}),
        "device": ", ".join(dict.fromkeys(place["device"] for place in places)),
        **({"places": list(places)} if len(places) > 1 else {}),
        "recipe": recipe.model_dump(mode="json"),
    }
