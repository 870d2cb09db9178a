"""For projects of one's own: several trainings with several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from mtkd import zoo
from mtkd.data.benchmarks import BenchmarkImage, DerivedImage
from mtkd.data.examples import Example
from mtkd.evaluate import evaluate
from mtkd.experiments.statistics import Scores
from mtkd.training.loop import train
from mtkd.training.recipe import Recipe


def as_set(examples: Sequence[Example], scale: int = 4) -> list[BenchmarkImage]:
    """Bundled pictures as a benchmark set; their LR images are derived."""
    return [DerivedImage(one.name, one.path, one.path, scale) for one in examples]


def score(network: nn.Module, examples: Sequence[Example], scale: int = 4) -> Scores:
    """PSNR-Y in dB of a network on bundled pictures: {image: {"psnr": value}}."""
    found = evaluate(network, as_set(examples, scale), scale, metrics=("psnr",))
    return {one.image: dict(one.metrics) for one in found.scores}


def over_seeds(
    recipes: Mapping[str, Callable[[int], Recipe]], seeds: Sequence[int], examples: Sequence[Example]
) -> dict[str, dict[int, Scores]]:
    """Train every recipe once a seed, one after another, and score each student on pictures that it was not trained on.

    Args:
        recipes: by title, a function that gives the recipe of a seed.

    Returns:
        {title: {seed: {image: {"psnr": value}}}}, as :func:`mtkd.experiments.statistics.pair` takes two of them.

    Raises:
        UserError: as :func:`mtkd.training.loop.train`.
    """
    found: dict[str, dict[int, Scores]] = {title: {} for title in recipes}
    with TemporaryDirectory() as folder:
        for seed in seeds:
            for number, (title, recipe) in enumerate(recipes.items()):
                run, made = Path(folder) / f"{number}-{seed}", recipe(seed)
                train(made, run, False, lambda row: None, cache=Path(folder) / "cache")
                found[title][seed] = score(zoo.load(made.name, made.scale, sources=[run]), examples, made.scale)
    return found
