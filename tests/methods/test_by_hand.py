"""The losses of AT and FAKD on maps small enough for pencil and paper, and the feature points of Table 1."""

from __future__ import annotations

import math

import pytest
import torch

from mtkd import networks
from mtkd.data.patches import Batch
from mtkd.methods import create
from mtkd.methods.at import attention_map
from mtkd.methods.fakd import affinity
from mtkd.networks.edsr import EDSR


class Fixed(EDSR):
    """Answers with given maps; the images are zero."""

    def __init__(self, maps):
        super().__init__(2, 2, 1)
        self.maps, self.feature_points = maps, (1, 2)

    def forward(self, lr_image, with_features=False):
        image = torch.zeros(1, 3, 4, 4)
        return (image, self.maps) if with_features else image


S = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 0.0]]]])  # (1, 2, 2, 2)
T = torch.tensor([[[[3.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [4.0, 0.0]]]])


def loss(name: str, **options) -> dict[str, float]:
    data = Batch(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 4, 4))
    student, teacher = Fixed((S,)), Fixed((T,))
    terms = create(name, options, ("T",), student, {"T": teacher}).loss(student, data)
    return {key: value.item() for key, value in terms.items()}


@pytest.mark.parametrize(("options", "expected"), [({}, (1.0, 0.5)), ({"alpha": 0.25, "weight": 3}, (0.25, 1.5))])
def test_kd(options, expected):
    """The student's image is 0, the ground truth 1, the teacher's 0.5 everywhere."""
    data = Batch(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 4, 4), {"T": torch.full((1, 3, 4, 4), 0.5)})
    terms = create("kd", options, ("T",)).loss(Fixed((S,)), data)
    assert {key: value.item() for key, value in terms.items()} == dict(zip(("L_gt", "L_kd"), expected, strict=True))


def test_kd_without_ground_truth_does_not_read_it():
    gradients = []
    for level in (0.0, 1.0):
        image = torch.full((1, 3, 4, 4), 0.75, requires_grad=True)
        data = Batch(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 4, 4), level), {"T": torch.full((1, 3, 4, 4), 0.5)})
        sum(create("kd", {"alpha": 0}, ("T",)).loss(lambda lr_image, image=image: image, data).values()).backward()
        gradients.append(image.grad)
    assert torch.equal(*gradients) and gradients[0].sum().item() == pytest.approx(1)


def test_attention_map():
    assert attention_map(S)[0].tolist() == pytest.approx([5 / math.sqrt(41), 0, 0, 4 / math.sqrt(41)])


def test_at():
    a, b = 5 / math.sqrt(41), 4 / math.sqrt(41)  # student: 5, 0, 0, 4; teacher: 9, 0, 16, 0 over sqrt(337)
    c, d = 9 / math.sqrt(337), 16 / math.sqrt(337)
    expected = 3 * (abs(a - c) + d + b) / 4
    assert loss("at", beta=3.0) == pytest.approx({"L_gt": 1.0, "L_at": expected})


def test_affinity():
    """Vectors (1, 2), (0, 0), (0, 0), (2, 0): the cosine of the first and the last is 1 / sqrt(5)."""
    r = 1 / math.sqrt(5)
    expected = [[1, 0, 0, r], [0, 0, 0, 0], [0, 0, 0, 0], [r, 0, 0, 1]]
    torch.testing.assert_close(affinity(S)[0], torch.tensor(expected), atol=1e-6, rtol=0)


def test_fakd():
    """The teacher's vectors (3, 0), (0, 0), (0, 4), (0, 0) have the affinity diag(1, 0, 1, 0)."""
    distance = (2 / math.sqrt(5) + 1 + 1) / 16
    expected = {"L_gt": 0.5, "L_kd": 0.0, "L_fa": 2 * distance}
    assert loss("fakd", weight=2.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("rcan", (3, 7)),
        ("rcan_lightweight", (3, 7)),
        ("edsr", (10, 21)),
        ("edsr_baseline", (5, 10)),
        ("swinir", (2, 4)),
        ("swinir_lightweight", (1, 3)),
    ],
)
def test_feature_points_of_table_1(name, points):
    with torch.device("meta"):
        assert networks.build(name, 4).feature_points == points


@pytest.mark.parametrize("name", ["edsr_mini", "rcan_mini", "swinir_mini", "edsr_tiny", "rcan_tiny", "swinir_tiny"])
def test_features_are_those_of_the_blocks(name):
    """Against hooks on the blocks; the last map, through the tail, is the image."""
    network = networks.build(name, 4).eval()
    body = network.layers if name.startswith("swinir") else network.body
    seen = {}
    for number, block in enumerate(body, start=1):
        block.register_forward_hook(lambda module, inputs, output, number=number: seen.update({number: output}))
    lr = torch.rand(1, 3, 11, 13)
    with torch.no_grad():
        image, maps = network(lr, with_features=True)
        assert torch.equal(image, network(lr))
    assert len(maps) == 3
    for number, made in zip(network.feature_points, maps, strict=False):
        assert torch.equal(made, seen[number][..., :11, :13])
