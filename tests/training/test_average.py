"""The moving average of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd.training.average import average_weights
from mtkd.training.loop import train
from mtkd.training.stages import Stage
from mtkd.zoo.checkpoints import read_state
from tests.training.conftest import small_recipe


def test_later_weights_have_larger_shares() -> None:
    values, decay = np.random.default_rng(0).normal(size=12), 0.9
    average, network = nn.Linear(1, 1), nn.Linear(1, 1)
    for step, value in enumerate(values, 1):
        nn.init.constant_(network.weight, value)
        average_weights(average, network, decay, step)
        expected = np.average(values[:step], weights=decay ** np.arange(step)[::-1])
        assert average.weight.item() == pytest.approx(expected, abs=1e-6)


def test_what_was_before_the_first_update_has_no_share(small_images: Path, tmp_path: Path) -> None:
    def trained(name: str, **changes: Any) -> Path:
        content = small_recipe(small_images, iterations=3, save_dtype="float32", **changes)
        train(content, tmp_path / name, False, lambda event: None)
        return tmp_path / name

    each = trained("each", ema=None, snapshots=[1, 2])
    files = [*sorted(each.glob("snapshots/*.safetensors")), each / "model.safetensors"]
    weights: list[dict[str, Tensor]] = [read_state(file) for file in files]
    averaged = read_state(trained("averaged", ema=0.999999) / "model.safetensors")
    for name, value in averaged.items():
        torch.testing.assert_close(value, torch.stack([w[name] for w in weights]).mean(0), rtol=0, atol=1e-6)
    assert any(not torch.equal(weights[0][name], averaged[name]) for name in averaged)


def test_the_last_weights_are_validated_once(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card says what the last validation measured."""
    measured: list[list[float]] = []
    validate = Stage.validate
    monkeypatch.setattr(Stage, "validate", lambda *a: measured.append(validate(*a)) or measured[-1])
    recipe = small_recipe(small_images, iterations=4, validate_every=2)
    card = train(recipe, tmp_path / "run", False, lambda event: None)
    assert len(measured) == 2
    assert card["held_out"]["psnr"] == round(sum(measured[-1]) / len(measured[-1]), 4)
