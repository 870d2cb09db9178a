"""MiPKD: its terms against hand-made values, the identity at S = T, who gets a gradient, and what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd import networks
from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.methods import create
from mtkd.methods.mipkd import relative


class Flat(nn.Module):
    """One feature of a constant value; its tail repeats it as the image, times ``gain``."""

    feature_channels, feature_count = 1, 1

    def __init__(self, level: float, gain: float = 1.0) -> None:
        super().__init__()
        self.level, self.gain = nn.Parameter(torch.tensor(level)), gain

    def tail(self, features: Tensor, lr_image: Tensor) -> Tensor:
        return self.gain * features.expand(-1, 3, -1, -1)

    def forward(self, lr_image: Tensor, with_features: bool = False):
        features = self.level.expand(len(lr_image), 1, *lr_image.shape[-2:])
        image = self.tail(features, lr_image)
        return (image, (features,)) if with_features else image


def batch(size: int = 4, side: int = 6, scale: int = 1) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.rand(size, 3, side, side), torch.zeros(size, 3, scale * side, scale * side), {}, seed=5)


def made(student: nn.Module, teacher: nn.Module, **options: float):
    return create("mipkd", options, ("T",), student, {"T": teacher})


def test_the_terms_by_hand():
    """Student 0.5, teacher 2: where the mask keeps the student, D(M) is 1.5 off; relative to 2. Tails: x1 and x3."""
    student, teacher, data = Flat(0.5), Flat(2.0, gain=3.0), batch()
    terms = made(student, teacher, feature=1, auto=1, block=1).loss(student, data)
    rng = np.random.default_rng(5)
    kept = rng.random((4, 1, 6, 6), dtype=np.float32) < 0.5
    through_teacher = rng.random(4) < 0.5
    mixed = np.where(kept, 0.5, 2.0)
    gains = np.where(through_teacher, 3.0, 1.0)[:, None, None, None]
    expected = {
        "L_gt": 0.5,
        "L_kd": 6.0 - 0.5,
        "L_feat": 1.5 * kept.mean() / 2,
        "L_ae": 0.0,
        "L_block": np.abs(gains * mixed - 6.0).mean(),
    }
    assert 0 < through_teacher.sum() < 4
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_nothing_is_lost_where_the_student_is_its_teacher(share):
    teacher = networks.build("rcan_tiny", 2)
    student, data = copy.deepcopy(teacher), batch(side=12, scale=2)
    terms = made(student, teacher, share=share).loss(student, data)
    assert all(terms[name].item() == pytest.approx(0, abs=1e-6) for name in ("L_kd", "L_feat", "L_ae", "L_block"))


@pytest.mark.parametrize(("student", "teacher"), [("edsr_tiny", "edsr_mini"), ("swinir_tiny", "swinir_mini")])
@pytest.mark.parametrize("size", [1, 4])
def test_all_but_the_teacher_learns(student, teacher, size):
    """Also with one sample, which leaves one of the tails without any."""
    student, teacher = networks.build(student, 2), networks.build(teacher, 2).requires_grad_(False)
    method, data = made(student, teacher), batch(size, 16, 2)
    torch.stack(list(method.loss(student, data).values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (*student.parameters(), *method.parameters()))
    assert not any(name.startswith("_frozen") for name in method.state_dict())


def test_two_processes_draw_what_one_draws():
    student, teacher, whole = Flat(0.5), Flat(2.0, gain=3.0), batch()
    method = made(student, teacher, feature=1, auto=1, block=1)
    halves = [slice(0, 2), slice(2, 4)]
    parts = [Batch(whole.lr_image[h], whole.hr_image[h], seed=5, first=h.start, whole=4) for h in halves]
    together, apart = method.loss(student, whole), [method.loss(student, part) for part in parts]
    for name, term in together.items():
        assert torch.stack([part[name] for part in apart]).mean().item() == pytest.approx(term.item(), rel=1e-5)


def test_features_of_all_sizes_weigh_the_same():
    ours, theirs = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    expected = np.abs((ours - theirs).numpy()).mean() / theirs.numpy().mean()
    assert [relative(k * ours, k * theirs).item() for k in (1, 255)] == pytest.approx([expected] * 2, rel=1e-5)
    assert relative(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).item() == 0


def test_what_is_refused():
    with pytest.raises(UserError, match=r"share must be in \[0, 1\]"):
        made(Flat(1.0), Flat(1.0), share=1.5)
    with pytest.raises(UserError, match="declares none"):
        made(nn.Conv2d(3, 3, 1), Flat(1.0))
    tailless = Flat(1.0)
    tailless.__class__ = type("NoTail", (nn.Module,), {"feature_count": 1, "feature_channels": 1})
    with pytest.raises(UserError, match="student has no tail"):
        made(tailless, Flat(1.0))
