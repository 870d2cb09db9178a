"""Multiply-adds against sums made by hand and numbers that papers print."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explore.comparison import costs
from mtkd.explore.comparison.costs import multiply_adds, parts
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.networks.swinir import SwinIR


def test_convolutions_by_hand():
    """3 -> 5 channels 3x3 with stride 1, then 1x1 to 3 s^2 channels: 9 * 3 * 5 + 5 * 12 at every LR pixel."""
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 12, 1), nn.PixelShuffle(2))
    assert multiply_adds(network, 2, 20, 30) == (9 * 3 * 5 + 5 * 12) * 10 * 15
    assert next(network.parameters()).device.type == "cpu"  # left as it was


@pytest.mark.parametrize(
    ("name", "scale", "published"),
    # Ahn et al. 2018 (CARN), Table 1: EDSR baseline; Zhang et al. 2020: RCAN. 1280 is no multiple of 3.
    [("edsr_baseline", 2, 316.3), ("edsr_baseline", 3, 160.2), ("edsr_baseline", 4, 114.2), ("rcan", 4, 917.6)],
)
def test_published(name, scale, published):
    assert multiply_adds(name, scale) / 1e9 == pytest.approx(published, rel=1e-3)


def test_attention_by_hand():
    """A window of T = 64 tokens and C channels: 4 T C^2 of projections, 2 T^2 C of attention, 2 r T C^2 of the MLP."""
    channels, ratio, tokens, windows = 32, 2, 64, 2
    one, two = (SwinIR(4, channels, (1,) * blocks, 2, mlp_ratio=float(ratio)) for blocks in (1, 2))
    layer = 4 * tokens * channels**2 + 2 * tokens**2 * channels + 2 * ratio * tokens * channels**2
    convolution = 9 * channels**2 * tokens
    assert multiply_adds(two, 4, 32, 64) - multiply_adds(one, 4, 32, 64) == windows * (layer + convolution)


def test_incomplete_windows_are_padded():
    """17 x 9 LR pixels are 3 x 2 windows of 8 x 8 for the attention."""
    assert multiply_adds("swinir_tiny", 4, 4 * 17, 4 * 9) == multiply_adds("swinir_tiny", 4, 4 * 24, 4 * 16)


def test_an_aggregator_costs_its_teachers():
    by_network = parts("aggregator_mini", 4)
    teachers = zoo.find("aggregator_mini", 4).header.teachers
    assert set(by_network) == {"aggregator_mini", *teachers}
    assert multiply_adds("aggregator_mini", 4) == sum(by_network.values())
    assert [by_network[name] for name in teachers] == [multiply_adds(name, 4) for name in teachers]


def test_networks_and_names_agree():
    together = zoo.load("aggregator_mini", 4)
    assert isinstance(together, MultiTeacher) and isinstance(together.aggregator, KnowledgeAggregator)
    assert multiply_adds(together, 4) == multiply_adds("aggregator_mini", 4)
    assert multiply_adds(together.aggregator, 4) == parts("aggregator_mini", 4)["aggregator_mini"]


def test_a_network_of_the_catalogue_alone():
    cost = costs.of_network("edsr_baseline", 4)
    assert (cost.multiply_adds, cost.parameters) == (multiply_adds("edsr_baseline", 4), 1_517_571)  # Table 1
    merging = costs.of_network("aggregator_mini", 4, ("one", "two"))
    assert merging.multiply_adds < parts("aggregator_mini", 4)["aggregator_mini"]  # of three teachers


def test_seconds_are_the_better_of_two_runs(monkeypatch):
    clock = iter([0.0, 9.0, 10.0, 13.0, 20.0, 22.0])  # a small run first, which does not count
    monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(costs, "TIMED_HEIGHT", 32)
    monkeypatch.setattr(costs, "TIMED_WIDTH", 48)
    assert costs.seconds.__wrapped__("aggregator_mini", 4, ("one", "two")) == 2.0


def test_bicubic_and_unknown_names():
    assert multiply_adds("bicubic", 4) == multiply_adds(zoo.load("bicubic", 4), 4) == 0
    with pytest.raises(UserError, match="did you mean"):
        multiply_adds("edsr_mimi", 4)
