"""Attributions of photos: the part of the image that is used gives those of the whole, or says that it does not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd import zoo
from mtkd.data.examples import EXAMPLES
from mtkd.explain import neighbourhood
from mtkd.explain.answer import answer
from mtkd.explain.neighbourhood import context_of, near
from mtkd.explain.options import read_options
from mtkd.explain.question import Detail, Question, Window
from mtkd.images import to_tensor, write_image
from mtkd.networks.aggregator import KnowledgeAggregator
from mtkd.networks.edsr import EDSR
from mtkd.networks.swinir import SwinIR

HEIGHT, WIDTH = 85, 90
"""Of an LR image: no multiples of a window."""
CORNERS = [(88, 91), (0, 0), (2 * HEIGHT - 9, 2 * WIDTH - 9), (3, 92), (100, 2 * WIDTH - 11), (80, 0)]
"""Tops and lefts of a window of 8 in the SR image, x2: in the middle, in corners, at edges."""


def lr() -> np.ndarray:
    return np.ascontiguousarray(EXAMPLES[0].read()[40 : 40 + HEIGHT, 60 : 60 + WIDTH])


def asked(network: nn.Module, images: tuple[Tensor, ...], place: tuple[int, int], unit: int = 1) -> Question:
    window = Window(*place, 8)
    names = tuple(str(number) for number in range(len(images)))
    return Question("one", 2, "", window, Detail(network, window), names, images, unit)


def difference(question: Question, **options) -> float:
    """Between the attributions from the part and from the whole, relative to the largest."""
    part, whole = (answer(question, whole=all_of_it, **options) for all_of_it in (False, True))
    assert part.part.exact and not part.part.whole and whole.part.whole
    pairs = zip(part.attributions, whole.attributions, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs) / max(float(a.abs().max()) for a in whole.attributions)


@pytest.mark.parametrize("place", [(88, 91), (0, 0), (2 * HEIGHT - 9, 3)])
def test_edsr_mini_as_from_the_whole_image(place) -> None:
    network = zoo.load("edsr_mini", 2)
    assert difference(asked(network, (to_tensor(lr()),), place), steps=3) < 1e-6


@pytest.mark.parametrize("place", CORNERS)
def test_windows_of_attention_stay_where_they_are(place) -> None:
    torch.manual_seed(0)
    network = SwinIR(2, channels=8, depths=(2,), heads=2).double().eval()
    image = to_tensor(lr()).double()
    assert difference(asked(network, (image,), place), steps=2) < 1e-10


def test_a_part_that_is_too_small_is_seen() -> None:
    """What the tests here compare does differ where a network understates its reach."""
    torch.manual_seed(0)
    network = SwinIR(2, channels=8, depths=(2,), heads=2).double().eval()
    network.reach = 2
    assert difference(asked(network, (to_tensor(lr()).double(),), CORNERS[0]), steps=2) > 1e-7


@pytest.mark.parametrize("place", [*CORNERS[:1], *(pytest.param(one, marks=pytest.mark.sweep) for one in CORNERS[1:])])
def test_an_aggregators_windows_see_the_opposite_edge(place) -> None:
    torch.manual_seed(0)
    network = KnowledgeAggregator(2, ("a", "b"), channels=6, blocks=1, heads=2).double().eval()
    images = tuple(torch.rand(1, 3, 2 * HEIGHT, 2 * WIDTH, dtype=torch.float64) for _ in "ab")
    assert difference(asked(network, images, place, 2), steps=2) < 1e-10


@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_a_wider_blur_takes_a_larger_part(sigma) -> None:
    network = EDSR(2, channels=4, blocks=1).double()
    question = asked(network, (to_tensor(lr()).double(),), (88, 91))
    assert difference(question, steps=2, sigma=sigma) < 1e-10
    assert context_of(read_options("lam", {"sigma": sigma})) == np.ceil(3.33 * sigma)


class Unknown(nn.Module):
    """A network that does not say how far it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = EDSR(2, channels=4, blocks=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.inner(image)


class Pooling(Unknown):
    """A network that says that it pools, and no more."""

    reach, pools = 3, True


@pytest.mark.parametrize("network", [Unknown(), Pooling()])
def test_what_looks_everywhere_is_whole_while_it_is_small(network, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(network, (to_tensor(lr()),), (150, 20))
    found = answer(question, steps=1)
    assert found.part.whole and found.part.exact
    monkeypatch.setattr(neighbourhood, "NEAR", 64)
    found = answer(question, steps=1)
    assert found.row()["part"] == {"rows": [[16, 80]], "columns": [[0, 64]], "exact": False}
    assert answer(question, steps=1, whole=True).part.whole
    assert found.attributions[0].shape == (3, HEIGHT, WIDTH) and not found.attributions[0][:, :16].any()


def test_channel_attention_is_held_for_a_part_of_a_large_image(monkeypatch: pytest.MonkeyPatch) -> None:
    network = zoo.load("rcan_tiny-mtkd", 4)
    question = replace(asked(network, (to_tensor(lr()),), (176, 182)), scale=4)
    whole = answer(question, steps=10)
    assert whole.part.whole and whole.part.exact
    monkeypatch.setattr(neighbourhood, "NEAR", 80)
    held = answer(question, steps=10)
    assert max(len(held.part.rows.sees), len(held.part.columns.sees)) < 64 and not held.part.exact
    assert held.after == pytest.approx(whole.after, rel=0.01)
    exact, found = (one.attributions[0].sum(0) for one in (whole, held))
    assert 0 < float((exact - found).abs().sum() / exact.abs().sum()) < 0.06
    assert abs(held.completeness_error) < 0.02 * held.change  # of the path that was walked


def test_numbers_are_those_of_the_whole_image() -> None:
    network = KnowledgeAggregator(2, ("a", "b"), channels=6, blocks=1, heads=2).double().eval()
    images = tuple(torch.rand(1, 3, 2 * HEIGHT, 2 * WIDTH, dtype=torch.float64) for _ in "ab")
    question = asked(network, images, CORNERS[0], 2)
    part, whole = (answer(question, whole=all_of_it, steps=2) for all_of_it in (False, True))
    assert (part.before, part.after) == pytest.approx((whole.before, whole.after), rel=1e-9)
    assert part.shapley == pytest.approx(whole.shapley, abs=1e-6)
    assert [one["di"] for one in part.row()["inputs"]] == pytest.approx([one["di"] for one in whole.row()["inputs"]])


def test_the_window_stays_the_same_place() -> None:
    """The result of the part, in its window, is that of the whole image."""
    network = EDSR(2, channels=4, blocks=1)
    question = asked(network, (to_tensor(lr()),), (88, 91))
    there, part = near(question, 4)
    own, whole = there.window, question.window
    cut, full = network(part.cut(question.images[0])), network(question.images[0])
    rows, columns = slice(own.top, own.top + 9), slice(own.left, own.left + 9)
    same = full[..., whole.top : whole.top + 9, whole.left : whole.left + 9]
    assert torch.allclose(cut[..., rows, columns], same, atol=1e-6)


def test_the_command_says_which_part(run, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "lr.png", lr())
    options = ("--model", "edsr_tiny-mtkd", "--scale", 4, "--at", "160,200", "--steps", 1)
    said = run("explain", tmp_path / "lr.png", *options)
    assert said.code == 0 and "of 90 x 85 pixels (all that the window depends on)" in said.out
    assert "computed from" not in run("explain", tmp_path / "lr.png", *options, "--whole").out
    rows = json.loads(run("explain", tmp_path / "lr.png", *options, "--json").out)["part"]["rows"]
    assert rows == [[16, 64]]
