"""Small images, networks with random weights and small recipes: trainings that take a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mtkd import networks
from mtkd.data.examples import EXAMPLES
from mtkd.images import write_image
from mtkd.training.recipe import Recipe, parse
from mtkd.zoo.checkpoints import save_weights
from mtkd.zoo.headers import Header

SCALE = 2
SIZES = ((56, 64), (60, 48), (53, 67), (48, 48), (49, 58), (64, 50))
"""(height, width) of the training images: no two alike, some no multiples of the scale."""


def write_images(folder: Path) -> Path:
    """Six small crops of the bundled examples, ``a.png`` to ``f.png``."""
    for number, (name, (height, width)) in enumerate(zip("abcdef", SIZES, strict=True)):
        top, left = 90 + 20 * number, 70 + 20 * number
        image = EXAMPLES[number % len(EXAMPLES)].read()[top : top + height, left : left + width]
        write_image(folder / f"{name}.png", image)
    return folder


def write_model(
    zoo: Path, name: str, network: str, seed: int, scale: int = SCALE, teachers: tuple[str, ...] = ()
) -> Path:
    """A network with random weights that are not those of a fresh one, under ``name`` in a zoo folder; its file."""
    torch.manual_seed(seed)
    options = {"teachers": teachers} if teachers else {}
    module = networks.build(network, scale, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    path = zoo / f"{name}_x{scale}.safetensors"
    save_weights(path, module, Header(name, network, scale, teachers))
    return path


def recipe_content(images: Path, **changes: Any) -> dict[str, Any]:
    """A small recipe as a mapping; ``changes`` replace its keys."""
    content = {
        "name": "small",
        "stage": "pretrain",
        "network": "edsr_tiny",
        "scale": SCALE,
        "data": {"train": str(images), "holdout": 2},
        "method": {"name": "scratch"},
        "lr_patch": 8,
        "batch": 2,
        "iterations": 4,
        "optimizer": {"lr": 1e-3},
        "log_every": 1,
        "validate_every": 1000,
        **changes,
    }
    return content


AGGREGATE: Mapping[str, Any] = {
    "stage": "aggregate",
    "network": "aggregator_mini",
    "method": {"name": "aggregate"},
    "teachers": ["ada", "bob"],
}
DISTILL: Mapping[str, Any] = {"stage": "distill", "method": {"name": "mtkd"}, "teachers": ["merged"]}


def small_recipe(images: Path, **changes: Any) -> Recipe:
    """The small recipe, checked."""
    return parse(recipe_content(images, **changes), "test")


def write_recipe(path: Path, images: Path, **changes: Any) -> Path:
    """The small recipe as a file."""
    path.write_text(yaml.safe_dump(recipe_content(images, **changes)))
    return path


@pytest.fixture(scope="session")
def small_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def small_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Teachers ``ada`` and ``bob`` of equal architecture and unequal weights, and ``merged``, their aggregator."""
    folder = tmp_path_factory.mktemp("zoo")
    write_model(folder, "ada", "edsr_tiny", 1)
    write_model(folder, "bob", "edsr_tiny", 2)
    write_model(folder, "merged", "aggregator_mini", 3, teachers=("bob", "ada"))
    return folder


@pytest.fixture
def in_zoo(small_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``small_zoo`` as the MTKD_ZOO of this process and its children."""
    monkeypatch.setenv("MTKD_ZOO", str(small_zoo))
    return small_zoo
