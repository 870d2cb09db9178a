"""A run that is made longer, and one that begins with given weights of another scale or of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.experiments.matrix import what_decides
from mtkd.training.checkpoint import read_recipe
from mtkd.training.initial import begin_with, hash_of, initial
from mtkd.training.loop import train
from mtkd.training.recipe import Recipe
from mtkd.zoo.checkpoints import read_state, weights_hash
from tests.conftest import Run
from tests.training.conftest import small_recipe, write_model, write_recipe

STEP = {"kind": "step", "every": 3, "gamma": 0.5}
COSINE = {"kind": "cosine", "final": 0.1}


def silent(_: object) -> None:
    """No report."""


def rates(run: Path) -> list[float]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["lr"] for row in rows if "lr" in row]


def made(images: Path, run: Path, iterations: int, then: Any = None, **changes: Any) -> dict[str, Any]:
    recipe = small_recipe(images, iterations=iterations, checkpoint_every=2, **changes)
    return train(recipe, run, True, silent, then=then)


def same_weights(one: Path, other: Path) -> bool:
    a, b = read_state(one / "model.safetensors"), read_state(other / "model.safetensors")
    return all(torch.equal(a[key], b[key]) for key in a)


MORE = [pytest.param(lengths, marks=pytest.mark.sweep) for lengths in ((4, 8), (2, 7), (5, 6), (3, 5, 9))]


@pytest.mark.parametrize("lengths", [(2, 5), *MORE])
def test_a_step_schedule_goes_on_as_if_it_had_been_meant(
    lengths: tuple[int, ...], small_images: Path, tmp_path: Path
) -> None:
    """Bit for bit the run that was as long from the start."""
    for iterations in lengths:
        card = made(small_images, tmp_path / "longer", iterations, schedule=STEP)
    made(small_images, tmp_path / "whole", lengths[-1], schedule=STEP)
    assert same_weights(tmp_path / "longer", tmp_path / "whole")
    assert rates(tmp_path / "longer") == rates(tmp_path / "whole")
    assert card["iterations"] == lengths[-1] and [p["after"] for p in card["recipe"]["longer"]] == [*lengths[:-1]]
    assert f"made longer after {lengths[-2]} iterations: its step schedule goes on" in card["deviations"]
    assert json.loads((tmp_path / "longer" / "finished.json").read_text()) == {"iterations": lengths[-1]}


def test_after_a_cosine_the_rate_is_constant_or_a_new_cosine(small_images: Path, tmp_path: Path) -> None:
    made(small_images, tmp_path / "run", 4, schedule=COSINE)
    constant = made(small_images, tmp_path / "run", 6, schedule=COSINE)
    card = made(small_images, tmp_path / "run", 9, "cosine", schedule=COSINE)
    first = [0.1 + 0.45 * (1 + math.cos(math.pi * i / 4)) for i in range(4)]
    again = [0.1 + 0.45 * (1 + math.cos(math.pi * i / 3)) for i in range(3)]
    assert rates(tmp_path / "run") == pytest.approx([1e-3 * factor for factor in (*first, 0.1, 0.1, *again)])
    assert "made longer after 4 iterations: at the constant learning rate of its end" in constant["deviations"]
    assert "made longer after 6 iterations: with a new cosine from the full learning rate" in card["deviations"]
    same = made(small_images, tmp_path / "run", 9, "cosine", schedule=COSINE)  # the same command again
    assert same == card == made(small_images, tmp_path / "run", 4, schedule=COSINE)  # as it began: it is finished


def test_what_cannot_be_made_longer(small_images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made(small_images, run, 4)
    with pytest.raises(UserError, match=r"of 4 iterations, which can only be made longer, not 3"):
        made(small_images, run, 3)
    with pytest.raises(UserError, match=r"another recipe \(seed differ\)"):
        made(small_images, run, 6, seed=7)
    with pytest.raises(UserError, match="give more iterations than 4"):
        made(small_images, run, 4, "constant")
    with pytest.raises(UserError, match="contains none"):
        made(small_images, tmp_path / "none", 4, "constant")
    (run / "checkpoints" / "latest.pt").unlink()
    with pytest.raises(UserError, match="a finished run is made longer from its checkpoint"):
        made(small_images, run, 6)
    assert made(small_images, run, 4)["iterations"] == 4 and read_recipe(run).iterations == 4


def test_identities_stay(small_images: Path) -> None:
    usual = small_recipe(small_images)
    assert "longer" not in usual.dump() and "longer" not in what_decides(usual)
    with pytest.raises(
        UserError, match="iterations 4: the run was made longer after 4 iterations; it can only be made longer again"
    ):
        small_recipe(small_images, longer=[{"after": 4, "rate": "constant"}])
    assert all(usual.rate(i) == usual.schedule.factor(i, usual.iterations) for i in range(4))
    assert isinstance(usual, Recipe)


def test_as_a_command(run: Run, refused: Callable[..., str], small_images: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "r.yaml", small_images, schedule=COSINE), tmp_path / "run"
    assert run("train", recipe, "--out", out).code == 0
    done = run("train", recipe, "--out", out, "--resume", "--set", "iterations=5", "--then", "cosine")
    assert done.code == 0 and json.loads((out / "card.json").read_text())["iterations"] == 5
    assert "give constant or cosine" in refused("train", recipe, "--out", out, "--then", "linear")


# Given weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["edsr_tiny", "rcan_tiny", "swinir_tiny", "edsr_mini", "rcan_tiny12"])
@pytest.mark.parametrize("form", ["name", "file"])
def test_x4_begins_with_all_of_x2_but_the_upsampler(
    network: str, form: str, small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path / "zoo"))
    path = write_model(tmp_path / "zoo", "begin", network, 1, scale=2)
    init = "begin" if form == "name" else str(tmp_path / "net x2.pth")
    if form == "file":
        torch.save({"net_g": {f"module.{k}": v for k, v in read_state(path).items()}}, init)
    recipe = small_recipe(small_images, network=network, scale=4, init=init)
    begun = networks.build(network, 4)
    before = {key: value.clone() for key, value in begun.state_dict().items()}
    chosen = initial(recipe)
    about = begin_with(begun, chosen, recipe)
    given, fresh = read_state(path), about["fresh"]
    assert fresh and all(key.startswith("upsample") for key in fresh)
    for key, value in begun.state_dict().items():
        assert torch.equal(value, before[key] if key in fresh else given[key]), key
    assert about["scale"] == 2 and hash_of(chosen) == weights_hash(zoo.load("begin", 2))
    assert ("file" in about) == (form == "file")


def test_the_card_says_what_a_training_began_with(small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    card = train(small_recipe(small_images, scale=4, init="ada", iterations=1), tmp_path / "run", False, silent)
    assert card["init"] == {"ada": weights_hash(zoo.load("ada", 2))}
    assert card["init_from"] == {"scale": 2, "fresh": ["upsample.0.weight", "upsample.0.bias"]}


def test_a_file_of_the_same_scale(small_images: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = networks.build("edsr_tiny", 2)
    torch.save({"params_ema": network.state_dict()}, tmp_path / "a.pth")
    recipe = small_recipe(small_images, init=str(tmp_path / "a.pth"), iterations=1)
    card = train(recipe, tmp_path / "run", False, silent)
    assert card["init"] == {str(tmp_path / "a.pth"): weights_hash(network)}
    assert set(card["init_from"]) == {"file", "sha256"}
    for name, message in (("rcan_tiny", "network of .* is rcan_tiny"), ("edsr_mini", "is edsr_mini; name a model")):
        torch.save(networks.build(name, 2).state_dict(), tmp_path / "b.pth")
        with pytest.raises(UserError, match=message):
            train(small_recipe(small_images, init=str(tmp_path / "b.pth")), tmp_path / "other", False, silent)
    with pytest.raises(UserError, match="none.pth: no such file"):
        train(small_recipe(small_images, init=str(tmp_path / "none.pth")), tmp_path / "other", False, silent)
