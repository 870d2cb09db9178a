"""The bundled zoo: complete, loadable, and as good as its cards say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mtkd
from mtkd.experiments.publish import measure

BUNDLED = [model for model in mtkd.zoo.models() if model.bundled]


def test_the_mini_zoo_is_whole():
    roles = {model.name: model.role for model in BUNDLED if model.scale == 4}
    assert roles == {
        "edsr_mini": "teacher",
        "rcan_mini": "teacher",
        "swinir_mini": "teacher",
        "aggregator_mini": "aggregator",
        "edsr_tiny-scratch": "student",
        "edsr_tiny-mtkd": "student",
    }


@pytest.mark.parametrize("model", BUNDLED, ids=lambda m: f"{m.name}_x{m.scale}")
def test_card_tells_how_it_was_made(model):
    card = model.card
    assert card["name"] == model.name and card["scale"] == model.scale
    for key in ("recipe", "data", "seed", "iterations", "seconds", "held_out", "deviations", "versions"):
        assert card[key] is not None
    assert {row["set"] for row in card["benchmarks"]} == {"Set5", "Set14"}


def test_students_differ_in_method_alone():
    """The comparison that the zoo shows is fair: same network, seed, data, iterations, schedule."""
    scratch, student = (mtkd.zoo.find(f"edsr_tiny-{m}", 4).card["recipe"] for m in ("scratch", "mtkd"))
    differing = {key for key in scratch if scratch[key] != student[key]}
    assert differing == {"name", "stage", "method", "teachers"}


def test_aggregator_knows_its_teachers_by_weights():
    """The card names the hashes of the very teachers that are bundled."""
    from mtkd.zoo.checkpoints import weights_hash

    card = mtkd.zoo.find("aggregator_mini", 4).card
    for name, digest in card["teachers"].items():
        assert weights_hash(mtkd.load(name, 4)) == digest


@pytest.mark.parametrize("model", BUNDLED, ids=lambda m: f"{m.name}_x{m.scale}")
def test_benchmarks_reproduce_the_card(model):
    data = os.environ.get("MTKD_DATA")
    if not data:
        pytest.skip("needs MTKD_DATA with benchmarks/Set5 and Set14")
    for measured, stored in zip(measure(model.name, model.scale, Path(data)), model.card["benchmarks"], strict=True):
        assert measured["set"] == stored["set"] and measured["protocol"] == stored["protocol"]
        assert measured["psnr"] == pytest.approx(stored["psnr"], abs=0.01)
        assert measured["ssim"] == pytest.approx(stored["ssim"], abs=0.0005)
