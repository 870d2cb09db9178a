"""The losses beyond the paper: v8 against pywt.swt2, v9 by hand, its schedule in a training, both in the plan."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.experiments.plan import load_plan
from mtkd.explore.inside.losses import losses
from mtkd.losses import StationaryWaveletLoss, WaveletLoss, WeightedWaveletLoss
from mtkd.methods import create

Pair = tuple[Tensor, Tensor]


def images(height: int, width: int, batch: int = 2) -> Pair:
    generator = torch.Generator().manual_seed(0)
    both = torch.rand(2, batch, 3, height, width, dtype=torch.float64, generator=generator)
    return both[0], both[1]


def stationary(student: Tensor, target: Tensor, wavelet: str, levels: int) -> dict[str, float]:
    """Mean |difference| by band of PyWavelets' stationary transforms of both images, padded to what it takes."""
    height, width = student.shape[-2:]
    unit = 2**levels
    margins = ((0, 0), (0, 0), (0, -height % unit), (0, -width % unit))
    one, other = (
        pywt.swt2(np.pad(x.numpy(), margins, mode="edge"), wavelet, levels, trim_approx=True) for x in (student, target)
    )
    terms = {f"LL{levels}": np.abs(one[0] - other[0]).mean()}
    for level, a, b in zip(range(levels, 0, -1), one[1:], other[1:], strict=True):
        for name, x, y in zip(("LH", "HL", "HH"), a, b, strict=True):
            terms[f"{name}{level}"] = np.abs(x - y).mean()
    return terms


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("size", [(16, 24), (17, 22)], ids=str)
@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "bior2.2"])
def test_stationary_against_pywavelets(wavelet: str, size: tuple[int, int], levels: int) -> None:
    student, target = images(*size)
    expected = stationary(student, target, wavelet, levels)
    loss = StationaryWaveletLoss(levels, wavelet)
    bands = loss.bands(student, target)
    assert list(bands) == list(expected) == list(WaveletLoss(levels, wavelet).bands(student, target))
    for name, value in bands.items():
        assert value.item() * (3 * levels + 1) == pytest.approx(expected[name], rel=1e-9), name
    assert loss(student, target).item() == pytest.approx(sum(expected.values()) / (3 * levels + 1), rel=1e-9)


def test_a_shift_changes_nothing_and_its_mean_is_the_decimated_loss() -> None:
    student, target = images(16, 16)
    shifts = [(a, b) for a in range(2) for b in range(2)]
    moved = [(student.roll(shift, (2, 3)), target.roll(shift, (2, 3))) for shift in shifts]
    values = [StationaryWaveletLoss()(*pair).item() for pair in moved]
    decimated = [WaveletLoss()(*pair).item() for pair in moved]
    assert values == pytest.approx([values[0]] * 4) and max(decimated) - min(decimated) > 1e-3 * values[0]
    assert values[0] == pytest.approx(sum(decimated) / 4)


@pytest.mark.parametrize(("wavelet", "levels", "size"), [("haar", 1, 6), ("haar", 2, 5), ("db2", 2, 8)])
def test_gradient_of_stationary(wavelet: str, levels: int, size: int) -> None:
    student, target = images(size, size, batch=1)
    loss = StationaryWaveletLoss(levels, wavelet)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), student.requires_grad_())
    for name, value in loss.bands(student, target).items():
        (gradient,) = torch.autograd.grad(value, student, retain_graph=True)
        assert gradient.abs().sum() > 0, name


def test_stationary_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UserError, match="8 x 3 is too small for 2 wavelet levels"):
        StationaryWaveletLoss(2)(*images(3, 8))
    with pytest.raises(UserError, match="unknown wavelet 'harr'; did you mean 'haar'"):
        StationaryWaveletLoss(1, "harr")
    with pytest.raises(UserError, match=r"levels \(K\) must be 1 or more, not 0"):
        StationaryWaveletLoss(0)
    with pytest.raises(UserError, match="different sizes"):
        StationaryWaveletLoss()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 10))


def test_weights_of_bands() -> None:
    """Of PyWavelets' bands: 0.5 LL2 + 3 of level 2 + 1.5 of level 1, over 0.5 + 3 * 3 + 3 * 1.5."""
    student, target = images(16, 24)
    low, level_2, level_1 = pywt.wavedec2((student - target).numpy(), "haar", mode="symmetric", level=2)
    sums = [np.abs(low).mean(), *(sum(np.abs(band).mean() for band in bands) for bands in (level_2, level_1))]
    expected = (0.5 * sums[0] + 3 * sums[1] + 1.5 * sums[2]) / 14
    assert WeightedWaveletLoss(0.5, 3, 1.5)(student, target).item() == pytest.approx(expected, rel=1e-9)


def test_equal_weights_are_the_loss_of_two_levels() -> None:
    student, target = images(20, 28)
    equal = WeightedWaveletLoss(1, 1, 1).bands(student, target)
    expected = WaveletLoss(2).bands(student, target)
    assert {k: v.item() for k, v in equal.items()} == pytest.approx({k: v.item() for k, v in expected.items()})
    assert WeightedWaveletLoss()(student, student).item() == 0


@pytest.mark.parametrize(("done", "factor"), [(0, 0.1), (0.25, 0.55), (0.5, 1), (0.9, 1)])
def test_the_weight_grows(done: float, factor: float) -> None:
    student, target = images(16, 16)
    loss = WeightedWaveletLoss()
    whole = loss(student, target).item()
    loss.advance(done)
    assert loss(student, target).item() == pytest.approx(factor * whole)
    always = WeightedWaveletLoss(ramp=0)
    always.advance(0)
    assert always(student, target).item() == pytest.approx(whole)


@pytest.mark.parametrize("options", [{"low": -1}, {"low": 0, "middle": 0, "high": 0}, {"ramp": 2}, {"start": -0.1}])
def test_weights_and_shares_that_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="weights of bands|are shares"):
        WeightedWaveletLoss(**options)


def test_the_method_passes_the_share_on() -> None:
    method = create("mtkd", {"loss": "weighted_wavelet"}, ("MT",))
    method.advance(0.25)
    assert method.distillation.factor == pytest.approx(0.55)
    create("mtkd", {}, ("MT",)).advance(0.25)  # of a loss without a schedule nothing is asked


def test_both_are_variants_that_people_see() -> None:
    plan = load_plan("mini")
    for variant, loss in (("v8", "stationary_wavelet"), ("v9", "weighted_wavelet")):
        assert variant in plan.tables["table5"].variants and losses()[variant].loss == loss
        found = plan.recipe(f"rcan_tiny-{variant}", 4)
        assert found is not None and found.method.options["loss"] == loss and found.teachers == ("aggregator_mini",)
