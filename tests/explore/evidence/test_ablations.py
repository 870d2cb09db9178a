"""Variants side by side: rows that can be looked at, differences, costs, steps of training."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mtkd import zoo
from mtkd.data.examples import example
from mtkd.explore import compare
from mtkd.explore.evidence.ablations import (
    DIFFERENCE_RANGE,
    GAIN_HEIGHT,
    at_step,
    gain_against_cost,
    kept,
    panes,
    students,
    training_cost,
    training_curve,
    training_panes,
)
from mtkd.explore.evidence.results import load


@pytest.fixture(scope="module")
def comparison():
    return compare(example("coffee").read()[40:104, 60:148], ["rcan_tiny-scratch", "rcan_tiny-mtkd"], 4)


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    return students(load("mini", tmp_path_factory.mktemp("none")), "table5", 4, "Set14")


def test_rows_are_the_bundled_students(variants):
    names = {v.name: v for v in variants}
    assert {"rcan_tiny-scratch", "rcan_tiny-mtkd", "rcan_tiny-v7"} <= set(names)
    assert all(zoo.find(name, 4).role == "student" for name in names)
    card = {row["set"]: row for row in zoo.find("rcan_tiny-v5", 4).card["benchmarks"]}
    if names["rcan_tiny-v5"].row.seeds == 1:  # then the one run is the bundled one
        assert names["rcan_tiny-v5"].row.measured == pytest.approx(card["Set14"]["psnr"], abs=2e-4)


def test_difference_to_the_reference(comparison):
    saved = {}

    def save(name, image):
        saved[name] = image
        return name

    names = ["rcan_tiny-mtkd", "rcan_tiny-scratch"]
    shown = panes(comparison, names, "rcan_tiny-mtkd", {"rcan_tiny-scratch": "a"}, save)
    assert [pane["name"] for pane in shown] == names and shown[1]["caption"] == "a"
    assert (saved["rcan_tiny-mtkd difference"] == 247).all()  # white: none
    luma = np.array([65.481, 128.553, 24.966]) / 255
    brighter = (comparison[names[1]].image.astype(float) - comparison[names[0]].image) @ luma
    drawn = saved["rcan_tiny-scratch difference"].astype(int)
    strong = brighter > DIFFERENCE_RANGE / 3
    assert strong.any() and (drawn[strong][:, 0] > drawn[strong][:, 2]).all()  # red
    truth = panes(comparison, names, "ground truth", {}, save)
    assert "error" not in truth[0]["layers"] and "error" in truth[1]["layers"]


def test_training_cost_by_hand():
    """Scratch: three times the forward pass (forward, gradients to weights and features), but for the first layer."""
    forward = 2 * 8 * sum(p.numel() for n, p in zoo.find("edsr_tiny-scratch", 4).build().named_parameters()
                          if "weight" in n) * 32 * 32  # fmt: skip
    steps = zoo.find("edsr_tiny-scratch", 4).card["iterations"]
    cost = training_cost("edsr_tiny-scratch", 4)
    assert 2.5 * forward < cost / steps <= 3.2 * forward
    assert training_cost("edsr_tiny-mtkd", 4) / cost == pytest.approx(1, abs=0.05)


def test_gain_against_cost_has_a_point_a_variant(variants):
    figure = gain_against_cost(variants, 4, "Set14")
    points = {trace.name: trace for trace in figure.data}
    expected = [v for v in variants if v.row.over is not None]
    assert len(points) == len(expected) > 3
    for v in expected:
        assert points[v.title].y[0] == v.row.over.mean
        assert points[v.title].marker.symbol == ("circle" if v.row.over.seeds > 1 else "circle-open")


def test_the_labels_of_points_that_lie_together_do_not(variants):
    """At least a line's height apart on each side of the points."""
    figure = gain_against_cost(variants, 4, "Set14")
    low, high = figure.layout.yaxis.range
    per_pixel = (high - low) / (GAIN_HEIGHT - 80)
    labels = figure.layout.annotations
    assert {a.text for a in labels} == {v.row.label for v in variants if v.row.over is not None}
    for side in (-1, 1):
        heights = sorted(a.ay - a.y / per_pixel for a in labels if a.ax * side > 0)
        assert all(b - a > 14 for a, b in pairwise(heights)) and len(heights) >= 2


def test_steps():
    ways = kept(4)
    assert ways["rcan_tiny-mtkd"][-1] == 10_000 and len(ways["rcan_tiny-mtkd"]) == 8
    steps = ways["rcan_tiny-mtkd"]
    assert at_step("m", steps, 10_000) == "m" and at_step("m", steps, 10) is None
    assert at_step("m", steps, steps[3]) == f"m@{steps[3]}" == at_step("m", steps, steps[4] - 1)


def test_training_panes_get_better(comparison):
    def psnr(step):
        shown = training_panes(comparison, ["rcan_tiny-mtkd"], step, lambda name, image: name)
        assert [pane["name"] for pane in shown] == ["rcan_tiny-mtkd", "ground truth"]
        return float(shown[0]["caption"].split(" dB")[0])

    assert psnr(150) + 1 < psnr(10_000)
    assert psnr(10_000) == pytest.approx(comparison["rcan_tiny-mtkd"].psnr, abs=0.006)
    curve = training_curve(["rcan_tiny-mtkd"], 4, 500).data[0]
    assert curve.x[-1] == 10_000 and curve.y[-1] == zoo.find("rcan_tiny-mtkd", 4).card["held_out"]["psnr"]
