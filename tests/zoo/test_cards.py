"""The bundled zoo: complete, loadable, and as good as its cards say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mtkd
from mtkd.experiments.maintain.publish import measure
from mtkd.experiments.matrix import REPORTING

VARIANTS = ("scratch", "kd", "mtkd", "v1", "v2", "v3", "v4", "v5", "v6", "v7")
BUNDLED = [model for model in mtkd.zoo.models() if model.bundled]


def test_the_mini_zoo_is_whole():
    """Every model that the README's table and the explorer's default panes need, and the variants of Table 5."""
    roles = {model.name: model.role for model in BUNDLED if model.scale == 4}
    assert [name for name, role in roles.items() if role == "teacher"] == ["edsr_mini", "rcan_mini", "swinir_mini"]
    aggregators = {f"aggregator_mini{variant}" for variant in ("", "-v1", "-v2", "-v3", "-v4")}
    assert {name for name, role in roles.items() if role == "aggregator"} == aggregators
    students = {name for name, role in roles.items() if role == "student"}
    assert students >= {f"edsr_tiny-{variant}" for variant in ("scratch", "kd", "mtkd")}
    assert students >= {f"rcan_tiny-{variant}" for variant in VARIANTS}


STEPS = [150, 280, 500, 900, 1700, 3000, 5500]
"""Before the 10,000 of the end: eight, evenly on a logarithmic scale."""
KEPT = [kept for model in BUNDLED for kept in model.snapshots().values()]


def test_the_way_of_three_students_is_bundled():
    """Scratch, kd and mtkd get better all the way to their end."""
    for method in ("scratch", "kd", "mtkd"):
        model = mtkd.zoo.find(f"rcan_tiny-{method}", 4)
        kept = model.snapshots()
        assert list(kept) == STEPS and model.card["iterations"] == 10_000
        way = [*(snapshot.card["held_out"]["psnr"] for snapshot in kept.values()), model.card["held_out"]["psnr"]]
        assert way == sorted(way)
        assert all(snapshot.card["seed"] == model.card["seed"] for snapshot in kept.values())
    assert len(KEPT) == 3 * len(STEPS)


@pytest.mark.parametrize("model", BUNDLED, ids=lambda m: f"{m.name}_x{m.scale}")
def test_card_tells_how_it_was_made(model):
    card = model.card
    assert card["name"] == model.name and card["scale"] == model.scale
    for key in ("recipe", "data", "seed", "iterations", "seconds", "held_out", "deviations", "versions"):
        assert card[key] is not None
    assert {row["set"] for row in card["benchmarks"]} == {"Set5", "Set14"}


@pytest.mark.parametrize(
    ("network", "variant"),
    [("edsr_tiny", "kd"), ("edsr_tiny", "mtkd"), *(("rcan_tiny", v) for v in VARIANTS if v != "scratch")],
)
def test_students_differ_in_method_alone(network, variant):
    """The comparison that the zoo shows is fair: same network, seed, data, iterations, schedule."""
    scratch, student = (mtkd.zoo.find(f"{network}-{v}", 4).card["recipe"] for v in ("scratch", variant))
    differing = {key for key in scratch if scratch[key] != student.get(key)}
    assert differing - set(REPORTING) <= {"name", "stage", "method", "teachers"}


def test_whoever_learned_knows_its_teachers_by_weights():
    """Every card names the hashes of the very networks that are bundled."""
    from mtkd.zoo.checkpoints import weights_hash

    learners = [model for model in BUNDLED if model.card["teachers"]]
    assert len(learners) > 5
    taught = {(name, model.scale) for model in learners for name in model.card["teachers"]}
    hashes = {(name, scale): weights_hash(mtkd.load(name, scale)) for name, scale in taught}
    for model in learners:
        expected = {name: hashes[name, model.scale] for name in model.card["teachers"]}
        assert model.card["teachers"] == expected, model.name


def _mark(model):
    """Of the sweep: what the explorer opens with, at x4; an aggregator takes a minute, with all its teachers."""
    quick = model.scale == 4 and (model.role != "aggregator" or model.name == "aggregator_mini")
    return pytest.mark.sweep if quick else pytest.mark.slow


@pytest.mark.parametrize(
    "model",
    [
        *(model if model.name == "edsr_tiny-mtkd" else pytest.param(model, marks=_mark(model)) for model in BUNDLED),
        *(pytest.param(kept, marks=pytest.mark.slow) for kept in KEPT),
    ],
    ids=lambda m: f"{m.name}_x{m.scale}",
)
def test_benchmarks_reproduce_the_card(model):
    data = os.environ.get("MTKD_DATA")
    if not data:
        pytest.skip("needs MTKD_DATA with benchmarks/Set5 and Set14")
    for measured, stored in zip(measure(model.name, model.scale, Path(data)), model.card["benchmarks"], strict=True):
        assert measured["set"] == stored["set"] and measured["protocol"] == stored["protocol"]
        assert measured["psnr"] == pytest.approx(stored["psnr"], abs=0.01)
        assert measured["ssim"] == pytest.approx(stored["ssim"], abs=0.0005)
