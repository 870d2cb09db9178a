"""DCKD: its loss against hand-made values, its history against a loop, and that a training can be resumed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import pywt
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods import create
from mtkd.methods.dckd import blurred, distances


class Level(nn.Module):
    """Every pixel is the one parameter plus the mean of the LR image: all but LL is zero."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, lr_image: torch.Tensor) -> torch.Tensor:
        return (self.level + lr_image.mean((1, 2, 3), keepdim=True)).expand(-1, 3, 8, 8)


def batch(size: int = 2) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.rand(size, 3, 8, 8), torch.zeros(size, 3, 8, 8), {"T": torch.full((size, 3, 8, 8), 0.2)}, seed=3)


def test_distances_are_those_of_pywavelets():
    a, b = torch.rand(2, 3, 12, 16), torch.rand(2, 3, 12, 16)
    for sample in range(2):
        low, (h2, v2, d2), (h1, v1, d1) = pywt.wavedec2((a - b)[sample].numpy(), "haar", level=2)
        fine = np.abs([h1, v1, d1]).mean()
        coarse = np.abs([h2, v2, d2, low]).mean()
        assert distances(a, b, 2)[:, sample].tolist() == pytest.approx([fine, coarse], rel=1e-5)


def test_blur_is_that_of_scipy():
    image = torch.rand(1, 3, 20, 24, dtype=torch.float64)
    expected = [gaussian_filter(channel, 1.0, mode="mirror", truncate=2) for channel in image[0].numpy()]
    np.testing.assert_allclose(blurred(image, 1.0)[0].numpy(), expected, atol=1e-12)


def test_the_loss_by_hand():
    """Student and history are equal at first: the negatives differ by the noise's mean alone, or not at all.

    A constant c has LL = 4 c at level 2, one of four bands of equal size there, so that a distance is |c|.
    """
    data, student = batch(), Level(0.5)
    method = create("dckd", {"contrast": 1, "noise": 0.3, "levels": 2}, ("T",))
    drawn = np.random.default_rng(3).standard_normal((2, 3, 8, 8), dtype=np.float32)
    means = data.lr_image.mean((1, 2, 3))
    noise = 0.3 * torch.from_numpy(drawn).mean((1, 2, 3))
    blur = blurred(data.lr_image, 1.0).mean((1, 2, 3)) - means
    near = (0.5 + means - 0.2).abs()
    ratio = near / (noise.abs() + blur.abs() + 1e-6)
    terms = {name: value.item() for name, value in method.loss(student, data).items()}
    expected = {"L_gt": (0.5 + means).abs().mean(), "L_kd": near.mean(), "L_dcl": ratio.mean()}
    assert terms == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-3)


def test_it_pulls_to_the_teacher_and_away_from_the_negatives():
    """Where the negatives lie below the student and the teacher above, both pull it upwards."""
    student = Level(0.0)
    method = create("dckd", {"alpha": 0, "weight": 0, "contrast": 1}, ("T",))
    data = batch()
    data.outputs["T"] = torch.full((2, 3, 8, 8), 2.0)
    method.set_extra_state({"level": torch.tensor(-1.0)})
    sum(method.loss(student, data).values()).backward()
    assert student.level.grad < 0


def test_the_history_is_a_moving_average():
    method, student = create("dckd", {"momentum": 0.9}, ("T",)), Level(1.0)
    expected = 1.0
    for step in range(5):
        with torch.no_grad():
            student.level.fill_(1.0 + step)
        expected = 0.9 * expected + 0.1 * (1.0 + step)
        method.loss(student, batch())
    assert method.get_extra_state()["level"].item() == pytest.approx(expected)


def test_a_resumed_training_goes_on_with_the_history():
    student, method = Level(0.3), create("dckd", {"momentum": 0.5}, ("T",))
    method.loss(student, batch())
    with torch.no_grad():
        student.level.fill_(0.7)
    again = create("dckd", {"momentum": 0.5}, ("T",))
    again.load_state_dict(copy.deepcopy(method.state_dict()))
    data = batch()
    assert again.loss(student, data)["L_dcl"].item() == method.loss(student, data)["L_dcl"].item()


def test_parts_of_a_batch_make_the_whole():
    data, student = batch(4), Level(0.4)
    whole = create("dckd", {}, ("T",)).loss(student, data)
    parts = []
    for own in (slice(0, 2), slice(2, 4)):
        part = Batch(data.lr_image[own], data.hr_image[own], {"T": data.outputs["T"][own]}, 3, own.start, 4)
        parts.append(create("dckd", {}, ("T",)).loss(student, part)["L_dcl"].item())
    assert np.mean(parts) == pytest.approx(whole["L_dcl"].item(), rel=1e-5)


@pytest.mark.parametrize("options", [{"levels": 0}, {"momentum": 1.0}, {"noise": -1}, {"blur": 0}])
def test_options_out_of_range(options):
    with pytest.raises(UserError, match="method dckd"):
        create("dckd", options, ("T",))


def test_patches_too_small():
    with pytest.raises(UserError, match="too small for 4 wavelet levels"):
        create("dckd", {"levels": 4}, ("T",), side=8)
