"""Causal effect maps, and deletion and insertion curves, on networks whose answers are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.explain.answer import answer
from mtkd.explain.blur import BlurPath
from mtkd.explain.curves import Removal, nearness_maps, random_maps, ranking
from mtkd.explain.question import Detail, Question, Window
from mtkd.explore import compare
from mtkd.networks.edsr import EDSR


class Copies(nn.Module):
    """x1; every pixel of the image is black but one, which is that of the LR image."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.row, self.column = row, column

    def forward(self, image: Tensor) -> Tensor:
        out = torch.zeros_like(image)
        out[..., self.row, self.column] = image[..., self.row, self.column]
        return out


def asked(network: nn.Module, image: Tensor, window: Window, scale: int = 1, target: Tensor | None = None) -> Question:
    return Question("one", scale, "", window, Detail(network, window), ("LR",), (image,), target=target)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def test_one_copied_pixel_is_all_that_counts(image: Tensor) -> None:
    """By hand: F of one pixel of value v on black is v times 1 + 1 + sqrt 2 in each channel."""
    question = asked(Copies(9, 14), image, Window(6, 10, 8))
    found = answer(question, "causal", patch=1)
    effects = found.attributions[0].sum(0)
    blurred = BlurPath().start(image)
    expected = (2 + math.sqrt(2)) * float((image - blurred)[0, :, 9, 14].sum())
    assert float(effects[9, 14]) == pytest.approx(expected, rel=1e-4)
    effects[9, 14] = 0
    assert bool((effects == 0).all())
    assert found.row()["largest_detail"] == pytest.approx(max(expected, 0), abs=1e-5)


def test_the_mean_of_a_patch_and_its_even_division(image: Tensor) -> None:
    """The middle patch of 4 covers rows 8 to 11 and columns 12 to 15; its effect is spread over its pixels."""
    found = answer(asked(Copies(9, 14), image, Window(6, 10, 8)), "causal", patch=4, content="mean")
    effects = found.attributions[0].sum(0)
    lost = image[0, :, 9, 14] - image[0, :, 8:12, 12:16].mean((1, 2))
    assert float(effects[8:12, 12:16].sum()) == pytest.approx((2 + math.sqrt(2)) * float(lost.sum()), rel=1e-4)
    assert float(effects[8:12, 12:16].std()) < 1e-6 and float(effects.abs().sum()) == pytest.approx(
        float(effects[8:12, 12:16].abs().sum())
    )


def test_the_sign_in_decibels(image: Tensor) -> None:
    """Ground truth = the image: each patch helps. Ground truth = the blurred image: each patch hurts, by hand."""
    window = Window(6, 10, 8)
    place = (slice(6, 14), slice(10, 18))
    blurred = BlurPath().start(image)
    near = 0.5 * image + 0.5 * blurred  # neither is matched without an error
    helps = answer(asked(nn.Identity(), image, window, 1, (0.9 * image + 0.1 * blurred)[0][:, *place]), "causal",
                   patch=8, effect="psnr").attributions[0]  # fmt: skip
    hurts = answer(asked(nn.Identity(), image, window, 1, (0.1 * image + 0.9 * blurred)[0][:, *place]), "causal",
                   patch=8, effect="psnr").attributions[0]  # fmt: skip
    assert float(helps[:, *place].sum()) == pytest.approx(20 * math.log10(9), rel=1e-4)
    assert float(hurts[:, *place].sum()) == pytest.approx(-20 * math.log10(9), rel=1e-4)
    even = answer(asked(nn.Identity(), image, window, 1, near[0][:, *place]), "causal", effect="psnr").attributions[0]
    assert float(even[:, *place].sum()) == pytest.approx(0, abs=1e-4)


def test_only_the_field_of_view_is_computed_and_that_is_enough() -> None:
    torch.manual_seed(0)
    network = EDSR(2, channels=8, blocks=1).double().eval()
    image = torch.rand(1, 3, 70, 80, dtype=torch.float64)
    question = asked(network, image, Window(60, 70, 8), 2)
    for content in ("blur", "mean"):
        part, whole = (answer(question, "causal", whole=w, content=content, patch=6) for w in (False, True))
        assert part.part.exact and not part.part.whole
        assert float((part.attributions[0] - whole.attributions[0]).abs().max()) < 1e-12
        assert float(whole.attributions[0].abs().max()) > 1e-4


def test_patches_far_from_the_window_are_left_alone(image: Tensor) -> None:
    class Everywhere(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x.mean((-2, -1), keepdim=True) * torch.linspace(0, 1, 24)

    found = answer(asked(Everywhere(), image, Window(2, 2, 4)), "causal", patch=2, around=3)
    used = found.attributions[0].abs().sum(0) > 0
    assert bool(used[:9, :9].any()) and not bool(used[11:].any()) and not bool(used[:, 11:].any())


def test_mistakes_are_one_line(image: Tensor) -> None:
    question = asked(nn.Identity(), image, Window(6, 10, 8))
    with pytest.raises(UserError, match="^patch 25: larger than the image of 24 x 24 LR pixels; give at most 24$"):
        answer(question, "causal", patch=25)
    with pytest.raises(UserError, match="effect psnr: it needs the ground truth"):
        answer(question, "causal", effect="psnr")
    assert answer(question, "causal", patch=24).details["patches"] >= 1


# --- curves


def test_curves_by_hand(image: Tensor) -> None:
    """A network that is the image itself: taking the k pixels of largest change leaves what is told."""
    window = Window(2, 3, 18)
    removal = Removal.of(asked(nn.Identity(), image, window))
    gone = (image - BlurPath().start(image))[0]
    inside = torch.zeros(24, 24, dtype=torch.bool)
    inside[2:21, 3:22] = True  # the window, and one pixel more
    squares = torch.where(inside, gone.square().sum(0), 0.0)
    curves = removal.curves([squares])
    sums = squares.flatten().sort(descending=True).values.cumsum(0).double()
    expected = [math.sqrt(float(sums[count - 1] / sums[-1])) for count in curves.pixels]
    assert curves.deletion == pytest.approx(expected, rel=1e-4)
    left = [math.sqrt(max(0.0, float(1 - sums[count - 1] / sums[-1]))) for count in curves.pixels]
    assert curves.insertion == pytest.approx([1 - one for one in left], abs=1e-3)
    assert (curves.pixels[0], curves.pixels[-1], len(curves.pixels)) == (1, 576, 15)


def test_chance_lies_between_the_best_and_the_worst_map(image: Tensor) -> None:
    question = asked(nn.Identity(), image, Window(8, 8, 6))
    removal = Removal.of(question)
    best = torch.zeros(24, 24)
    best[8:15, 8:15] = (image - BlurPath().start(image))[0].abs().sum(0)[8:15, 8:15]
    good, bad, near = (removal.curves(maps) for maps in ([best], [-best], nearness_maps(question)))
    chance = [removal.curves(random_maps(question, seed)) for seed in range(5)]
    for name in ("deletion_area", "insertion_area"):
        low, high = (f(getattr(one, name) for one in chance) for f in (min, max))
        assert getattr(bad, name) < low and high < getattr(near, name) < getattr(good, name)


def test_the_order_of_equals_is_by_seed() -> None:
    maps = [torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0, 2]])]
    one, same, other = (ranking(maps, seed).tolist() for seed in (1, 1, 2))
    assert one == same != other and one[:2] == other[:2] == [8, 0] and sorted(one) == list(range(9))


def test_no_curve_exists_in_one_line(image: Tensor) -> None:
    question = asked(nn.Identity(), image, Window(6, 10, 8))
    with pytest.raises(UserError, match="^the map has the same value everywhere"):
        Removal.of(question).curves([torch.ones(24, 24)])
    flat = answer(asked(nn.Identity(), torch.full((1, 3, 24, 24), 0.5), Window(6, 10, 8)), steps=2, curves=True)
    row = flat.row()
    assert row["curves"] is None and row["no_curves"].startswith("the window stays the same when")


def test_without_curves_an_answer_says_nothing_of_them(image: Tensor) -> None:
    question = asked(nn.Identity(), image, Window(6, 10, 8))
    without, with_curves = (answer(question, steps=2, curves=on).row() for on in (False, True))
    told = with_curves.pop("curves")
    assert with_curves == without
    assert told["deletion_area"] > told["random"]["deletion_area"] > 0


def test_a_ground_truth_of_another_size_is_refused() -> None:
    from mtkd.explain import explain

    lr, hr = np.zeros((20, 24, 3), np.uint8), np.zeros((40, 47, 3), np.uint8)
    with pytest.raises(UserError, match="the ground truth is 47 x 40: not 2 times the LR image of 24 x 20"):
        explain("bicubic", lr, 2, Window(8, 8, 8), method="causal", hr_image=hr)


def test_decibels_of_a_model(photos) -> None:
    """The ground truth of the window is that of the comparison; most patches of a photo help."""
    from mtkd.explain import explain
    from mtkd.images import read_image

    seen = compare(read_image(photos / "astronaut.png")[:96, :96], ["bicubic"], 4)
    found = explain("bicubic", seen.lr_image, 4, Window(40, 40, 16), method="causal", hr_image=seen.hr_image)
    assert found.details["largest_psnr"] > 0.1 > abs(found.details["smallest_psnr"])
