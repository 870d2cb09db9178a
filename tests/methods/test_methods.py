"""What the methods compute, against values made by hand and by PyWavelets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods import create
from mtkd.networks.aggregator import KnowledgeAggregator
from mtkd.networks.edsr import EDSR


class Fixed(nn.Module):
    """A student that gives one image, which is its parameter, whatever it is shown."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = nn.Parameter(image.clone())
        self.seen: Any = None

    def forward(self, shown: Any) -> Tensor:
        self.seen = shown
        return self.image


def images(seed: int, height: int = 8, width: int = 12) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def batch(**outputs: Tensor) -> Batch:
    return Batch(images(0, 4, 6), images(1), outputs)


def wavelet_distance(a: Tensor, b: Tensor, levels: int, wavelet: str) -> float:
    """Eq. 3 from the transforms of both images: the mean over the 3K + 1 bands of the mean |difference|."""
    first, second = (pywt.wavedec2(x.double().numpy(), wavelet, mode="symmetric", level=levels) for x in (a, b))
    distances = [np.abs(first[0] - second[0]).mean()]
    for details_a, details_b in zip(first[1:], second[1:], strict=True):
        distances += [np.abs(x - y).mean() for x, y in zip(details_a, details_b, strict=True)]
    assert len(distances) == 3 * levels + 1
    return float(np.mean(distances))


def test_scratch_is_the_mean_absolute_error() -> None:
    student = Fixed(images(2))
    given = batch()
    terms = create("scratch", {}).loss(student, given)
    assert list(terms) == ["L1"]
    assert terms["L1"].item() == pytest.approx(np.abs(images(2).numpy() - images(1).numpy()).mean(), rel=1e-6)
    assert student.seen is given.lr_image


def test_aggregate_is_the_mean_absolute_error_of_the_teachers_in_order() -> None:
    aggregator = Fixed(images(2))
    a, b = images(3), images(4)
    method = create("aggregate", {}, ("ada", "bob"))
    assert method.outputs == ("ada", "bob")
    terms = method.loss(aggregator, batch(bob=b, ada=a))  # the order of the batch does not matter
    assert aggregator.seen[0] is a and aggregator.seen[1] is b and len(aggregator.seen) == 2
    assert list(terms) == ["L_KA"]
    assert terms["L_KA"].item() == pytest.approx(np.abs(images(2).numpy() - images(1).numpy()).mean(), rel=1e-6)


def test_mtkd_by_hand() -> None:
    """A 2 x 2 image: Haar's LL, LH, HL, HH are half of the sums and differences of the four pixels."""
    difference = torch.tensor([[0.4, 0.2], [0.1, -0.1]]).expand(1, 3, 2, 2)
    hr_image = torch.full((1, 3, 2, 2), 0.5)
    student = Fixed(hr_image + difference)
    given = Batch(torch.zeros(1, 3, 1, 1), hr_image, {"mt": hr_image})
    method = create("mtkd", {}, ("mt",))
    terms = method.loss(student, given)
    assert list(terms) == ["alpha L_stu", "L_dis"]
    assert terms["alpha L_stu"].item() == pytest.approx(0.1 * (0.4 + 0.2 + 0.1 + 0.1) / 4, rel=1e-5)
    # LL 0.3, rows 0.3, columns 0.2, diagonal 0
    assert terms["L_dis"].item() == pytest.approx((0.3 + 0.3 + 0.2 + 0) / 4, rel=1e-5)
    bands = {"LL1": 0.3 / 4, "LH1": 0.3 / 4, "HL1": 0.2 / 4, "HH1": 0}
    assert terms.parts == {"L_dis": pytest.approx(bands, rel=1e-5, abs=1e-7)}
    assert not any(part.requires_grad for part in terms.parts["L_dis"].values())


@pytest.mark.parametrize("options", [{}, {"levels": 2}, {"wavelet": "db2"}, {"alpha": 0.4, "levels": 3}])
def test_mtkd_against_pywavelets(options: dict[str, Any]) -> None:
    student, mt = images(2), images(3)
    terms = create("mtkd", options, ("mt",)).loss(Fixed(student), batch(mt=mt))
    alpha = options.get("alpha", 0.1)
    ground_truth = np.abs(student.numpy() - images(1).numpy()).mean()
    assert terms["alpha L_stu"].item() == pytest.approx(alpha * ground_truth, rel=1e-5)
    expected = wavelet_distance(student, mt, options.get("levels", 1), options.get("wavelet", "haar"))
    assert terms["L_dis"].item() == pytest.approx(expected, rel=1e-5)


def test_mtkd_summed_is_the_mean_times_the_number_of_bands() -> None:
    means, sums = (
        create("mtkd", {"levels": 2, "reduction": r}, ("mt",)).loss(Fixed(images(2)), batch(mt=images(3)))["L_dis"]
        for r in ("mean", "sum")
    )
    assert sums.item() == pytest.approx(7 * means.item(), rel=1e-6)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it() -> None:
    student = images(2)
    terms = create("mtkd", {}, ("mt",)).loss(Fixed(student), batch(mt=student.clone()))
    assert terms["L_dis"].item() == 0 and terms["alpha L_stu"].item() > 0


def _fresh(name: str) -> tuple[nn.Module, tuple[str, ...]]:
    torch.manual_seed(0)
    if name == "aggregate":
        return KnowledgeAggregator(2, ("ada", "bob"), upsampler="pixelshuffledirect"), ("ada", "bob")
    return EDSR(2, channels=4, blocks=1), (("mt",) if name == "mtkd" else ())


@pytest.mark.parametrize("name", ["scratch", "aggregate", "mtkd"])
def test_gradient_reaches_the_whole_student_and_nothing_else(name: str) -> None:
    student, outputs = _fresh(name)
    given = batch(**{output: images(5 + i) for i, output in enumerate(outputs)})
    before = {key: value.clone() for key, value in given.outputs.items()}
    terms = create(name, {}, outputs).loss(student, given)
    assert all(term.dim() == 0 and term.isfinite() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in student.parameters())
    for tensor in (given.lr_image, given.hr_image, *given.outputs.values()):
        assert not tensor.requires_grad and tensor.grad is None
    assert all(torch.equal(given.outputs[key], value) for key, value in before.items())


@pytest.mark.parametrize(
    ("name", "options", "outputs", "message"),
    [
        ("mtdk", {}, (), "unknown method 'mtdk'; did you mean 'mtkd'?"),
        ("mtkd", {"level": 2}, ("mt",), "unknown option of method mtkd 'level'; did you mean 'levels'?"),
        ("mtkd", {"outputs": ["x"]}, ("mt",), "unknown option of method mtkd 'outputs'"),
        ("mtkd", {"alpha": "big"}, ("mt",), "method.options.alpha: Input should be a valid number"),
        ("mtkd", {"levels": 1.5}, ("mt",), "method.options.levels: Input should be a valid integer"),
        ("mtkd", {"reduction": "max"}, ("mt",), "method.options.reduction: Input should be 'mean' or 'sum'"),
        ("mtkd", {"levels": 0}, ("mt",), "levels (K) must be 1 or more, not 0"),
        ("mtkd", {"wavelet": "harr"}, ("mt",), "unknown wavelet 'harr'; did you mean 'haar'?"),
        ("mtkd", {}, (), "method mtkd learns from other networks; name them under 'teachers'"),
        ("mtkd", {}, ("a", "b"), "method mtkd: learns from one image I_MT, got 2 networks"),
        ("scratch", {}, ("a",), "method scratch learns from no other network; leave out 'teachers'"),
        ("scratch", {"alpha": 1}, (), "unknown option of method scratch 'alpha'"),
        ("aggregate", {}, (), "method aggregate learns from other networks"),
    ],
)
def test_a_wrong_method_or_option_is_one_clear_line(
    name: str, options: dict[str, Any], outputs: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        create(name, options, outputs)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    """``1e-1`` without a point is text to YAML 1.1."""
    method = create("mtkd", {"alpha": "1e-1"}, ("mt",))
    terms = method.loss(Fixed(images(2)), batch(mt=images(3)))
    assert terms["alpha L_stu"].item() == pytest.approx(0.1 * (images(2) - images(1)).abs().mean().item())
