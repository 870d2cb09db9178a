"""Is a map right about the pixels that matter? Deletion areas of random windows of the bundled examples.

``python -m tests.benchmarks.deletion [--models A B] [--windows 100] [--seed 0]``: in how many windows the deletion area
of a map is larger than that of pixels by chance, and than that of the pixels nearest to the window's middle.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.explain.curves import Removal, nearness_maps, random_maps
from mtkd.explain.neighbourhood import context_of, near
from mtkd.explain.options import read_options
from mtkd.explain.question import Question, Window, ask
from mtkd.explore import compare
from mtkd.plugins import ATTRIBUTIONS

SCALE, SIDE = 4, 16
METHODS: dict[str, tuple[str, dict[str, int]]] = {
    "lam": ("lam", {}),
    "saliency": ("saliency", {}),
    "causal, patches of 8": ("causal", {"patch": 8, "around": 32}),
    "causal, patches of 2": ("causal", {"patch": 2, "around": 8}),
}
BASELINES = ("random", "nearest")


def main() -> None:
    """Print one table a model as markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["edsr_tiny-mtkd", "rcan_tiny-mtkd"])
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = [compare(example.read(), ["bicubic"], SCALE).lr_image for example in EXAMPLES]
    for model in arguments.models:
        rows = _measured(model, images, arguments.windows, arguments.seed)
        _print(model, rows, arguments.windows - len(rows))


def _measured(model: str, images: Sequence[np.ndarray], windows: int, seed: int) -> list[dict[str, float]]:
    """The deletion areas of every window in which the output moves at all."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(windows):
        lr_image = images[generator.integers(len(images))]
        top, left = (int(generator.integers(side * SCALE - SIDE)) for side in lr_image.shape[:2])
        try:
            rows.append(_areas(ask(model, lr_image, SCALE, Window(top, left, SIDE)), number))
        except UserError as error:
            print(f"{model}, window {number}: {error}", flush=True)
    return rows


def _areas(question: Question, seed: int) -> dict[str, float]:
    part, _ = near(question, context_of(read_options("causal", {"patch": 8})))  # the same pixels for all maps
    removal = Removal.of(part)
    maps: dict[str, list[Tensor]] = {"random": random_maps(part, seed), "nearest": nearness_maps(part)}
    for title, (name, options) in METHODS.items():
        returned = ATTRIBUTIONS[name].attribute(part, read_options(name, options), lambda *_: None)
        tensors = getattr(returned, "tensors", returned)
        maps[title] = [tensor.reshape(tensor.shape[-3:]).sum(0).abs() for tensor in tensors]
    return {name: removal.curves(one, seed).deletion_area for name, one in maps.items()}


def _print(model: str, rows: Sequence[dict[str, float]], left_out: int) -> None:
    print(f"\n{model}: {len(rows)} windows, {left_out} left out\n")
    print("| map | deletion area | beats random | beats nearest |\n|---|--:|--:|--:|")
    for name in (*METHODS, *BASELINES):
        areas = [row[name] for row in rows]
        beats = [
            "–" if name == other else f"{np.mean([row[name] > row[other] for row in rows]):.0%}" for other in BASELINES
        ]
        print(f"| {name} | {np.mean(areas):.3f} ± {np.std(areas, ddof=1):.3f} | {' | '.join(beats)} |", flush=True)


if __name__ == "__main__":
    main()
