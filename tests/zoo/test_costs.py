"""Multiply-adds against sums made by hand and numbers that papers print."""

from __future__ import annotations

from threading import Event, Thread

import pytest
import torch
from torch import nn

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.networks.swinir import SwinIR
from mtkd.zoo import costs
from mtkd.zoo.costs import multiply_adds, parts


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


def test_bicubic_and_unknown_names():
    assert multiply_adds("bicubic", 4) == multiply_adds(zoo.load("bicubic", 4), 4) == 0
    with pytest.raises(UserError, match="did you mean"):
        multiply_adds("edsr_mimi", 4)


def test_cards_say_what_is_counted():
    """One bundled model of each network and scale; of the others of this kind the cards say the same."""
    written: dict[tuple[object, ...], set[int]] = {}
    examples = {}
    for model in zoo.models():
        for one in (model, *model.snapshots().values()) if model.bundled and model.path.is_file() else ():
            kind = (one.network, one.scale, one.header.teachers)
            written.setdefault(kind, set()).add(one.card["multiply_adds"])
            examples[kind] = one
    assert len(examples) > 10
    for kind, model in examples.items():
        assert written[kind] == {multiply_adds(model.build(), model.scale)}, kind


def test_what_another_thread_computes_meanwhile_is_left_alone():
    """Nor does it count: a gradient is taken while the cost of a network is being counted."""
    counting, done = Event(), Event()

    class Waiting(nn.Conv2d):
        def forward(self, image):
            counting.set()
            assert done.wait(20)
            return super().forward(image)

    found = []
    thread = Thread(target=lambda: found.append(multiply_adds(Waiting(3, 5, 3, padding=1), 1, 10, 20)))
    thread.start()
    try:
        assert counting.wait(20)
        image = torch.ones(1, 3, 8, 8, requires_grad=True)
        (gradient,) = torch.autograd.grad(nn.Conv2d(3, 4, 3)(image).sum(), image)
        assert gradient.shape == image.shape
    finally:
        done.set()
        thread.join()
    assert found == [10 * 20 * 5 * 3 * 9]
