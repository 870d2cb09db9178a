"""Variants side by side: rows that can be looked at, differences, costs, steps of training."""

from __future__ import annotations

import pytest

from mtkd import zoo
from mtkd.data.examples import example
from mtkd.explore import compare
from mtkd.explore.evidence.ablations import (
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


def test_the_reference_is_the_first_pane_and_the_ground_truth_the_last(comparison):
    names = ["rcan_tiny-mtkd", "rcan_tiny-scratch"]
    shown = panes(comparison, names, "rcan_tiny-scratch", {"rcan_tiny-mtkd": "a"}, lambda name, image: name)
    assert [pane["name"] for pane in shown] == ["rcan_tiny-scratch", "rcan_tiny-mtkd", "ground truth"]
    assert shown[1]["caption"] == "a"
    first, *others = panes(comparison, names, "ground truth", {}, lambda name, image: name)
    assert first["name"] == "ground truth" and [pane["name"] for pane in others] == names


def test_training_cost_by_hand():
    """Scratch: three times the forward pass (forward, gradients to weights and features), but for the first layer."""
    forward = 2 * 8 * sum(p.numel() for n, p in zoo.find("edsr_tiny-scratch", 4).build().named_parameters()
                          if "weight" in n) * 32 * 32  # fmt: skip
    steps = zoo.find("edsr_tiny-scratch", 4).card["iterations"]
    cost = training_cost("edsr_tiny-scratch", 4)
    assert 2.5 * forward < cost / steps <= 3.2 * forward
    assert training_cost("edsr_tiny-mtkd", 4) / cost == pytest.approx(1, abs=0.05)


def test_gain_against_cost_has_a_line_a_variant(variants):
    figure = gain_against_cost(variants, 4, "Set14")
    expected = [v for v in variants if v.row.over is not None]
    points = figure.data[-1]
    assert list(points.x) == [v.row.over.mean for v in expected] and len(expected) > 3
    assert list(points.marker.symbol) == ["circle" if v.row.over.seeds > 1 else "circle-open" for v in expected]
    assert list(figure.layout.yaxis.ticktext) == [v.title for v in expected]
    unit = training_cost("rcan_tiny-scratch", 4)
    costs = [f"{training_cost(v.name, 4) / unit:.2f} ×" for v in expected]
    assert [note.text for note in figure.layout.annotations] == ["training cost", *costs]
    assert "No gain" in gain_against_cost([], 4, "Set14").layout.annotations[0].text


def test_steps():
    ways = kept(4)
    assert ways["rcan_tiny-mtkd"][-1] == 10_000 and len(ways["rcan_tiny-mtkd"]) == 8
    steps = ways["rcan_tiny-mtkd"]
    assert at_step("m", steps, 10_000) == "m" and at_step("m", steps, 10) is None
    assert at_step("m", steps, steps[3]) == f"m@{steps[3]}" == at_step("m", steps, steps[4] - 1)


def test_training_panes_get_better(comparison):
    def psnr(step):
        shown = training_panes(comparison, ["rcan_tiny-mtkd"], step, lambda name, image: name)
        assert [pane["name"] for pane in shown] == ["ground truth", "rcan_tiny-mtkd"]
        assert shown[1]["title"] == zoo.find("rcan_tiny-mtkd", 4).title
        return float(shown[1]["caption"].split(" dB")[0])

    assert psnr(150) + 1 < psnr(10_000)
    assert psnr(10_000) == pytest.approx(comparison["rcan_tiny-mtkd"].psnr, abs=0.006)
    curve = training_curve(["rcan_tiny-mtkd"], 4, 500).data[0]
    assert curve.x[-1] == 10_000 and curve.y[-1] == zoo.find("rcan_tiny-mtkd", 4).card["held_out"]["psnr"]
