"""Controls that the paper lacks, what a step costs the teacher, and FAKD's distance against its plain definition."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mtkd import networks
from mtkd.infer import SelfEnsemble
from mtkd.methods import create, runs_teacher
from mtkd.methods.fakd import affinity, affinity_distance
from mtkd.networks.bicubic import Bicubic
from tests.benchmarks.photo_memory import PEAK
from tests.methods.test_distillation import DISTILLING, batch, frozen


def maps(seed: int, channels: int, size: tuple[int, int, int] = (2, 5, 7), **options) -> torch.Tensor:
    count, height, width = size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, height, width, generator=generator, **options)


# --- FAKD


def test_affinity_distance_is_the_mean_difference_of_affinities() -> None:
    student, teacher = maps(1, 3), maps(2, 6)
    expected = F.l1_loss(affinity(student), affinity(teacher))
    assert affinity_distance(student, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


def test_affinity_distance_has_the_gradient_of_its_definition() -> None:
    """Against autograd through the whole matrices."""
    student, teacher = maps(1, 3), maps(2, 6).requires_grad_()
    gradients = []
    for distance in (affinity_distance, lambda s, t: F.l1_loss(affinity(s), affinity(t.detach()))):
        own = student.clone().requires_grad_()
        (3 * distance(own, teacher)).backward()
        gradients.append(own.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)
    assert teacher.grad is None


def test_affinity_distance_of_equal_maps_is_zero_with_zero_gradient() -> None:
    student = maps(1, 4).requires_grad_()
    distance = affinity_distance(student, student.detach().clone())
    distance.backward()
    assert distance.item() == 0 and student.grad.abs().max() == 0


MEMORY = """
import torch
from mtkd import networks
from mtkd.data.patches import Batch
from mtkd.methods import create
torch.set_num_threads(1)
student, teacher = networks.build("edsr_tiny", 4), networks.build("edsr_tiny", 4).requires_grad_(False)
lr = torch.rand(16, 3, 64, 64)
batch = Batch(lr, torch.rand(16, 3, 256, 256))
method = create("{method}", {{}}, {outputs}, student, {{"T": teacher}})
if "{method}" == "scratch":
    teacher(lr, with_features=True)
torch.stack(list(method.loss(student, batch).values())).sum().backward()
print(peak())
"""


@pytest.mark.sweep
@pytest.mark.parametrize("method", ["fakd", "at"])
def test_feature_methods_need_bounded_memory(method: str) -> None:
    """LR 64, batch 16: less than 2 GiB above the networks (the affinity matrices alone would take 6 GiB)."""
    peaks = []
    for name, outputs in (("scratch", ()), (method, ("T",))):
        code = PEAK + MEMORY.format(method=name, outputs=outputs)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 2 << 30


# --- targets in the aggregator's place


def test_the_mean_of_the_teachers_as_target() -> None:
    data = batch()
    data.outputs |= {"U": torch.rand_like(data.hr_image)}
    student = networks.build("edsr_tiny", 4)
    of_two = create("mtkd", {"mean": True}, ("T", "U"), student).loss(student, data)
    data.outputs["M"] = (data.outputs["T"] + data.outputs["U"]) / 2
    of_mean = create("mtkd", {}, ("M",), student).loss(student, data)
    for name, value in of_two.items():
        torch.testing.assert_close(value, of_mean[name])


def test_the_weight_of_the_distillation_loss() -> None:
    """Zhang et al.'s values: alpha 1, weight 0.4, K = 4, detail bands."""
    student, data = networks.build("edsr_tiny", 4), batch(lr_patch=16)
    options = {"alpha": 1, "levels": 4, "details_only": True}
    plain = create("mtkd", options, ("T",), student).loss(student, data)
    weighted = create("mtkd", {**options, "weight": 0.4}, ("T",), student).loss(student, data)
    torch.testing.assert_close(weighted["alpha L_stu"], F.l1_loss(student(data.lr_image), data.hr_image))
    torch.testing.assert_close(weighted["L_dis"], 0.4 * plain["L_dis"])


def test_self_ensemble_of_an_equivariant_network_is_the_network() -> None:
    image = torch.rand(2, 3, 9, 14)
    torch.testing.assert_close(SelfEnsemble(Bicubic(3))(image), Bicubic(3)(image), rtol=0, atol=1e-6)


def test_self_ensemble_averages_the_eight_orientations() -> None:
    """By hand for a network that adds a ramp from left to right: turned every way, ramps cancel to their mean."""

    class Ramp(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image + torch.linspace(0, 1, image.shape[-1])

    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(SelfEnsemble(Ramp())(image), image + 0.5)
    wide = SelfEnsemble(Ramp())(torch.zeros(1, 3, 4, 6))
    assert wide.shape == (1, 3, 4, 6) and wide.std() < 1e-6


# --- what a method asks of its teacher


@pytest.mark.parametrize(
    ("name", "options"), [*((n, {}) for n in DISTILLING), ("dukd", {"zoom_out": False}), ("dukd", {"tiles": 3})]
)
def test_teacher_passes_are_counted_rightly(name: str, options: dict) -> None:
    """Against a hook on the teacher."""
    student, teacher = networks.build("edsr_tiny", 4), frozen("edsr_mini")
    passes: list[int] = []
    teacher.register_forward_pre_hook(lambda *_: passes.append(1))
    method = create(name, options, ("T",), student, {"T": teacher})
    method.loss(student, batch())
    assert len(passes) == method.teacher_passes
    assert runs_teacher(name) == bool(passes)


@pytest.mark.parametrize("name", [name for name in DISTILLING if not runs_teacher(name)])
def test_methods_that_learn_from_outputs_need_no_teacher(name: str) -> None:
    """So that its outputs can be computed once: the terms are the same where there is no teacher."""
    student, teacher, data = networks.build("edsr_tiny", 4), frozen("edsr_mini"), batch()
    with_it = create(name, {}, ("T",), student, {"T": teacher}).loss(student, data)
    assert create(name, {}, ("T",)).loss(student, data) == with_it


@pytest.mark.parametrize("name", ["scratch", "aggregate", "kd", "mtkd"])
def test_outputs_of_these_can_be_cached(name: str) -> None:
    assert not runs_teacher(name)
