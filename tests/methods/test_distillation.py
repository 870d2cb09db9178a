"""What holds for every distillation method: zero at equality, gradient to the student alone, teachers untouched."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mtkd import networks
from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods import create
from mtkd.methods.dukd import augment, invert
from mtkd.plugins import METHODS
from mtkd.zoo.checkpoints import weights_hash

FAMILIES = ("edsr", "rcan", "swinir")
DISTILLING = tuple(name for name in METHODS if name not in ("scratch", "aggregate"))
FEATURES = ("at", "fakd", "crosskd", "mipkd")
TRUTH = ("L_gt", "L_cross_gt", "alpha L_stu", "L_zoom_out")
"""Terms that compare with the ground truth (zoom-out does in part)."""


def batch(scale: int = 4, lr_patch: int = 16, size: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    lr_image = torch.rand(size, 3, lr_patch, lr_patch, generator=generator)
    hr_image = torch.rand(size, 3, scale * lr_patch, scale * lr_patch, generator=generator)
    return Batch(lr_image, hr_image, {"T": torch.rand(hr_image.shape, generator=generator)}, seed=5)


def frozen(name: str, seed: int = 9) -> torch.nn.Module:
    torch.manual_seed(seed)
    return networks.build(name, 4).eval().requires_grad_(False)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", DISTILLING)
def test_trains_the_student_alone(name, family):
    student, teacher = networks.build(f"{family}_tiny", 4), frozen(f"{family}_mini")
    before = weights_hash(teacher)
    method = create(name, {}, ("T",), student, {"T": teacher})
    optimizer = torch.optim.Adam([*student.parameters(), *method.parameters()], 1e-3)
    moved = dict.fromkeys(dict(method.named_parameters()), 0.0)
    for seed in range(4):  # what is drawn leaves a part out of some steps
        terms = method.loss(student, replace(batch(), seed=seed))
        assert all(value.dim() == 0 and torch.isfinite(value) for value in terms.values())
        torch.stack(list(terms.values())).sum().backward()
        assert all(p.grad is None for p in teacher.parameters())
        missing = [n for n, p in student.named_parameters() if p.grad is None]
        assert missing == []
        assert all(p.grad is not None for p in method.parameters())
        moved = {name: moved[name] + p.grad.abs().sum().item() for name, p in method.named_parameters()}
        optimizer.step()
        optimizer.zero_grad()
    assert all(moved.values())
    assert weights_hash(teacher) == before
    assert not any(p is q for p in method.parameters() for q in teacher.parameters())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", DISTILLING)
def test_distillation_is_zero_where_student_equals_teacher(name, family):
    student = networks.build(f"{family}_tiny", 4)
    teacher = copy.deepcopy(student).eval().requires_grad_(False)
    data = batch()
    with torch.no_grad():
        data.outputs["T"] = teacher(data.lr_image)
    options = {"p": 0.0, "zoom_out": False} if name == "dukd" else {}
    terms = create(name, options, ("T",), student, {"T": teacher}).loss(student, data)
    distilling = {key: value.item() for key, value in terms.items() if key not in TRUTH}
    assert distilling and all(value == pytest.approx(0, abs=1e-7) for value in distilling.values())


class Pointwise(torch.nn.Module):
    """Equivariant under flips and transposition, and under inversion: 1 - x goes to 1 - y."""

    def forward(self, image):
        return F.interpolate(image, scale_factor=4, mode="nearest")


def test_dukd_is_zero_for_an_equivariant_network_at_any_p():
    method = create("dukd", {"p": 0.7, "zoom_out": False}, ("T",), Pointwise(), {"T": Pointwise()})
    for seed in range(5):
        data = batch()
        data.seed = seed
        assert method.loss(Pointwise(), data)["L_zoom_in"].item() == pytest.approx(0, abs=1e-6)


def test_dukd_draws_the_same_for_a_sample_whatever_process_has_it():
    student, teacher = networks.build("edsr_tiny", 4), frozen("edsr_mini")
    method = create("dukd", {"p": 0.5}, ("T",), student, {"T": teacher})
    data = batch()
    data.seed = 7
    half = len(data.lr_image) // 2
    assert half
    parts = [
        Batch(data.lr_image[own], data.hr_image[own], {}, 7, own.start, len(data.lr_image))
        for own in (slice(0, half), slice(half, 2 * half))
    ]
    whole = method.loss(student, data)
    terms = [method.loss(student, part) for part in parts]
    for name, value in whole.items():
        assert (terms[0][name] + terms[1][name]).item() / 2 == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize("chosen", range(16))
def test_augmentations_are_undone(chosen):
    image = torch.rand(3, 6, 6)
    torch.testing.assert_close(invert(augment(image, chosen), chosen), image)
    if chosen:
        assert not torch.equal(augment(image, chosen), image)


def test_order_of_undoing_matters():
    """Flip then transpose is no involution: undoing in the same order would be wrong."""
    image = torch.rand(3, 6, 6)
    both = 0b1010  # flip H, then transpose
    assert not torch.equal(augment(augment(image, both), both), image)


@pytest.mark.parametrize("name", ["at", "fakd"])
def test_features_carry_a_gradient(name):
    """The distillation term alone moves every block of the body."""
    student, teacher = networks.build("edsr_tiny", 4), frozen("edsr_mini")
    method = create(name, {}, ("T",), student, {"T": teacher})
    term = method.loss(student, batch())["L_at" if name == "at" else "L_fa"]
    term.backward()
    for block in student.body:
        assert block.conv1.weight.grad.abs().sum() > 0
    assert student.upsample[0].weight.grad is None  # it sees features only


def test_crosskd_gradient_passes_the_frozen_tail():
    student, teacher = networks.build("edsr_tiny", 4), frozen("edsr_mini")
    method = create("crosskd", {}, ("T",), student, {"T": teacher})
    terms = method.loss(student, batch())
    (terms["L_cross_gt"] + terms["L_cross_kd"]).backward()
    assert method.project.weight.shape == (48, 24, 1, 1) and method.project.weight.grad.abs().sum() > 0
    assert student.conv_first.weight.grad.abs().sum() > 0
    assert student.upsample[0].weight.grad is None and teacher.upsample[0].weight.grad is None


@pytest.mark.parametrize("name", ["at", "fakd", "crosskd"])
def test_features_of_another_architecture(name):
    student, teacher = networks.build("edsr_tiny", 4), frozen("swinir_mini")
    method = create(name, {}, ("T",), student, {"T": teacher})
    assert sum(method.loss(student, batch(lr_patch=12)).values()).isfinite()


@pytest.mark.parametrize("name", FEATURES)
def test_a_teacher_without_features_is_refused_before_training(name):
    from mtkd.networks.bicubic import Bicubic

    with pytest.raises(UserError, match=r"the teacher \(Bicubic\) declares none"):
        create(name, {}, ("T",), networks.build("edsr_tiny", 4), {"T": Bicubic(4)})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", METHODS)
def test_only_methods_that_map_features_hold_parameters(name, family):
    """The optimiser trains them and checkpoints keep them."""
    outputs = () if name == "scratch" else ("T",)
    method = create(name, {}, outputs, networks.build(f"{family}_tiny", 4), {"T": frozen(f"{family}_mini")})
    assert bool(list(method.parameters())) == (name in {"crosskd", "mipkd"})


@pytest.mark.parametrize("name", [n for n in DISTILLING if n != "mtkd"])
def test_number_of_teachers(name):
    with pytest.raises(UserError, match="2"):
        create(name, {}, ("T", "U"), networks.build("edsr_tiny", 4), {"T": frozen("edsr_mini")})
