"""Local attribution maps: the known answers of SPEC section 6, and oracles from scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, NoiseTunnel
from scipy.ndimage import gaussian_filter
from scipy.stats import gaussian_kde
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.explain import LocalAttributionMap
from mtkd.explain.blur import BlurPath, StraightPath
from mtkd.explain.lam import RULES
from mtkd.explain.maps import attribution_maps, density, diffusion_index, shares
from mtkd.explain.question import Detail, Window

RANDOM = torch.Generator().manual_seed(0)


def image(*size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(1, 3, *size, generator=RANDOM, dtype=dtype)


class Two(nn.Module):
    """Two 3 x 3 convolutions, smooth between them, and a pixel shuffle: x4."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 48, 3, padding=1), nn.PixelShuffle(4)
        ).to(dtype)

    def forward(self, lr: Tensor) -> Tensor:
        out: Tensor = self.body(lr)
        return out


class Mix(nn.Module):
    """An aggregator that is a weighted sum of its teachers' images."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, images: tuple[Tensor, ...]) -> Tensor:
        return sum(w * i for w, i in zip(self.weights, images, strict=True))


# --- the objective


def test_detail_by_hand() -> None:
    """A step of 3 down and 4 across at one pixel: 5 there, and what its neighbours see of it."""
    sr = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    sr[0, 0, 2, 2], sr[0, 0, 3, 2], sr[0, 0, 2, 3] = 10, 13, 14
    assert float(Detail(nn.Identity(), Window(2, 2, 1))(sr)) == 5
    rows, columns = np.diff(sr[0, 0].numpy(), axis=0)[:, :-1], np.diff(sr[0, 0].numpy(), axis=1)[:-1]
    assert float(Detail(nn.Identity(), Window(0, 0, 5))(sr)) == pytest.approx(np.hypot(rows, columns).sum())


def test_detail_of_a_flat_window_has_gradient_zero() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    Detail(nn.Identity(), Window(1, 1, 4))(flat).sum().backward()
    assert flat.grad is not None and not flat.grad.any()


@pytest.mark.parametrize("window", [(-1, 0, 4), (0, -1, 4), (4, 0, 4), (0, 6, 4), (0, 0, 0), (0, 0, 9)])
def test_a_window_outside_is_refused(window: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match="leaves the SR image of 8 rows x 10 columns"):
        Detail(nn.Identity(), Window(*window))(torch.zeros(1, 3, 8, 10))
    assert Detail(nn.Identity(), Window(3, 5, 4))(torch.zeros(1, 3, 8, 10)).shape == (1,)


def test_a_window_around_a_pixel() -> None:
    assert Window.around(100, 80) == Window(92, 72, 16) and Window.around(3, 3, 3) == Window(2, 2, 3)


# --- the path


def test_the_path_is_scipys_blur() -> None:
    one = image(20, 24)
    point, _ = BlurPath(1.2, 4)(one, 0.25)
    for channel in range(3):
        blurred = gaussian_filter(one[0, channel].numpy(), 0.9, mode="mirror", radius=4)
        assert np.allclose(point[0, channel].numpy(), blurred, atol=1e-12)
    assert torch.equal(BlurPath()(one, 1.0)[0], one) and torch.equal(BlurPath().start(one), BlurPath()(one, 0.0)[0])


@pytest.mark.parametrize("a", [0.0, 0.3, 0.7, 0.9])
def test_its_derivative_is_exact(a: float) -> None:
    one, path, h = image(12, 12), BlurPath(), 1e-6
    ahead, behind = path(one, a + h)[0], path(one, a - h)[0]
    assert torch.allclose(path(one, a)[1], (ahead - behind) / (2 * h), atol=1e-7)


def test_hr_images_are_blurred_as_wide_in_the_picture() -> None:
    assert BlurPath.for_hr(4) == BlurPath(4.8, math.ceil(3.33 * 4.8))


def test_an_image_smaller_than_the_kernel_has_its_border_repeated() -> None:
    one = image(3, 9)
    blurred = gaussian_filter(one[0, 0].numpy(), 1.2, mode="nearest", radius=4)
    assert np.allclose(BlurPath().start(one)[0, 0].numpy(), blurred, atol=1e-12)


# --- attribution


def test_support_is_the_receptive_field() -> None:
    """SPEC: window (88, 80, 16) of x4, two 3 x 3 convolutions: rows 20 to 28, columns 18 to 26."""
    found = LocalAttributionMap(Detail(Two(), Window(88, 80, 16))).attribute(image(40, 40))
    rows, columns = np.nonzero(found[0].abs().sum(0).numpy())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 28, 18, 26)


@pytest.mark.parametrize("rule", ["midpoint", "gauss-legendre"])
def test_completeness_on_a_smooth_network(rule: str) -> None:
    """Smooth where no window pixel is flat: under 0.05 % at 50 steps in float64."""
    objective, one = Detail(Two(), Window(40, 36, 16)), image(24, 24)
    found, delta = LocalAttributionMap(objective).attribute(one, rule=rule, return_convergence_delta=True)
    change = float((objective(one) - objective(BlurPath().start(one))).detach())
    assert float(found.sum()) - change == pytest.approx(float(delta), abs=1e-9)
    assert abs(float(delta) / change) < 5e-4


def test_completeness_on_a_relu_network_in_float32() -> None:
    network = Two(torch.float32)
    network.body[1] = nn.ReLU()
    objective, one = Detail(network, Window(40, 36, 16)), image(24, 24, dtype=torch.float32)
    _, delta = LocalAttributionMap(objective).attribute(one, return_convergence_delta=True)
    assert abs(float(delta) / float((objective(one) - objective(BlurPath().start(one))).detach())) < 0.01


def test_weights_of_both_rules_add_up_to_one() -> None:
    """F linear along the path: the integral is exact with any number of steps."""

    class Sum(nn.Module):
        def forward(self, one: Tensor) -> Tensor:
            return one.flatten(1).sum(1)

    one = image(12, 12)
    for rule, steps in (("midpoint", 200), ("gauss-legendre", 20)):
        found = LocalAttributionMap(Sum()).attribute(one, n_steps=steps, rule=rule)
        assert torch.allclose(found, one - BlurPath().start(one), atol=1e-4)


def test_along_a_straight_line_it_is_integrated_gradients() -> None:
    """With captum's own method as the oracle."""
    objective, one = Detail(Two(), Window(20, 20, 8)), image(16, 16)
    mine = LocalAttributionMap(objective).attribute(one, path=StraightPath(), n_steps=30)
    theirs = IntegratedGradients(objective).attribute(
        one, baselines=BlurPath().start(one), n_steps=30, method="riemann_middle"
    )
    assert torch.allclose(mine, theirs, atol=1e-9)


def test_official_takes_differences_at_the_right_end() -> None:
    objective, one, path = Detail(Two(), Window(20, 20, 8)), image(16, 16), BlurPath()
    expected = torch.zeros_like(one)
    for k in range(1, 6):
        point = path(one, k / 5)[0].requires_grad_()
        (gradient,) = torch.autograd.grad(objective(point).sum(), point)
        expected += gradient * (point.detach() - path(one, (k - 1) / 5)[0])
    found = LocalAttributionMap(objective).attribute(one, n_steps=5, compat="official")
    assert torch.allclose(found, expected, atol=1e-12)


def test_of_a_linear_function_every_rule_adds_up_or_is_refused() -> None:
    class Weighted(nn.Module):
        def forward(self, one: Tensor) -> Tensor:
            return (one * torch.arange(144.0).view(12, 12)).flatten(1).sum(1)

    one, added = image(12, 12), []
    difference = float(Weighted()(one) - Weighted()(BlurPath().start(one)))
    for rule, compat in itertools.product(RULES, (None, "official")):
        try:
            found = LocalAttributionMap(Weighted()).attribute(one, StraightPath(), 7, rule, compat)
        except UserError:
            continue
        added.append((rule, compat))
        assert float(found.sum()) == pytest.approx(difference)
    assert added == [("midpoint", None), ("midpoint", "official"), ("gauss-legendre", None)]


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_the_batch_of_steps_changes_nothing(batch: int) -> None:
    lam, one = LocalAttributionMap(Detail(Two(), Window(20, 20, 8))), image(16, 16)
    assert torch.allclose(lam.attribute(one, n_steps=10, batch=batch), lam.attribute(one, n_steps=10), atol=1e-12)


def test_a_batch_of_images_is_each_of_them() -> None:
    lam, two = LocalAttributionMap(Detail(Two(), Window(20, 20, 8))), torch.cat([image(16, 16), image(16, 16)])
    both = lam.attribute(two, n_steps=7)
    assert torch.allclose(both, torch.cat([lam.attribute(one[None], n_steps=7) for one in two]), atol=1e-12)


def test_it_works_in_captums_noise_tunnel() -> None:
    lam, one = LocalAttributionMap(Detail(Two(), Window(20, 20, 8))), image(16, 16)
    still = NoiseTunnel(lam).attribute(one, nt_type="smoothgrad", nt_samples=2, stdevs=0.0, n_steps=5)
    assert torch.allclose(still, lam.attribute(one, n_steps=5), atol=1e-12)


def test_progress_can_stop_it() -> None:
    seen = []

    def progress(done: int, of: int) -> None:
        seen.append((done, of))
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalAttributionMap(Detail(Two(), Window(20, 20, 8))).attribute(image(16, 16), batch=4, progress=progress)
    assert seen == [(4, 50), (8, 50)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "trapezoid"}, "unknown rule"),
        ({"n_steps": 0}, "0 steps"),
        ({"compat": "offical"}, "unknown compat 'offical'; known: official"),
        (
            {"compat": "official", "rule": "gauss-legendre"},
            "the published code's own rule: leave --rule gauss-legendre out",
        ),
    ],
)
def test_what_cannot_be_integrated(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LocalAttributionMap(Detail(Two(), Window(20, 20, 8))).attribute(image(16, 16), **options)


# --- several inputs


def test_a_copied_teacher_has_all() -> None:
    images = tuple(image(24, 24) for _ in range(3))
    found = LocalAttributionMap(Detail(Mix(0, 1, 0), Window(4, 4, 8))).attribute(images, path=BlurPath.for_hr(2))
    assert shares(found) == [0, 1, 0]
    assert [diffusion_index(a.sum(1).abs()) is None for a in found] == [True, False, True]


def test_a_mix_of_equal_images_is_shared_by_its_weights() -> None:
    one = image(24, 24)
    found = LocalAttributionMap(Detail(Mix(0.5, 0.3, 0.2), Window(4, 4, 8))).attribute((one, one, one))
    assert shares(found) == pytest.approx([0.5, 0.3, 0.2])


# --- what maps say


def test_the_diffusion_index() -> None:
    assert diffusion_index(torch.ones(6, 8)) == pytest.approx(100)
    half = torch.zeros(6, 8)
    half[:3] = 2.5
    assert diffusion_index(half) == pytest.approx(50)
    one = torch.zeros(6, 8)
    one[2, 3] = 7
    assert diffusion_index(one) == pytest.approx(100 / 48)
    assert diffusion_index(torch.zeros(6, 8)) is None


def test_the_gini_coefficient_by_its_definition() -> None:
    """Half of the mean absolute difference of all pairs over the mean."""
    values = torch.rand(40, generator=RANDOM, dtype=torch.float64)
    pairs = (values[:, None] - values[None]).abs().mean()
    assert diffusion_index(values) == pytest.approx(100 * (1 - float(pairs / (2 * values.mean()))))


def test_maps_are_scaled_together() -> None:
    first, second = torch.tensor([[[1.0]], [[-3.0]]]), torch.tensor([[[4.0]], [[4.0]]])
    assert [float(one) for one in attribution_maps([first, second])] == [0.25, 1.0]
    assert [float(one) for one in attribution_maps([0 * first])] == [0]
    assert shares([0 * first, 0 * second]) is None


def test_density_is_scipys() -> None:
    one = torch.rand(9, 14, generator=RANDOM, dtype=torch.float64).square()
    rows, columns = np.mgrid[:9, :14]
    places = np.stack([rows.ravel(), columns.ravel()])
    expected = gaussian_kde(places, weights=one.numpy().ravel())(places).reshape(9, 14)
    assert np.allclose(density(one), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("one", [torch.zeros(5, 5), torch.eye(5)[:1].T @ torch.ones(1, 5)])
def test_no_density_without_spread(one: Tensor) -> None:
    with pytest.raises(UserError, match="no spread"):
        density(one)
