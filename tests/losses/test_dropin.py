"""A loss in one file of a user's: seen in the wavelet view and as a variant of the ablations, by its declaration."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtkd import plugins
from mtkd.errors import UserError
from mtkd.experiments.plan import load_plan
from mtkd.explain.subbands import loss_by_band
from mtkd.explore.inside.losses import loss_of, losses
from mtkd.methods import create

LOSS = """import torch.nn.functional as F
from torch import nn
from mtkd.plugins import loss

@loss("my_loss", title="Smooth L1")
class MyLoss(nn.Module):
    def forward(self, student_image, target_image):
        return F.smooth_l1_loss(student_image, target_image)
"""


@pytest.fixture
def load(tmp_path: Path):
    """Loads a plugin of this text; nothing of it stays."""
    before = {plugin.name for plugin in plugins.loaded()}

    def write(text: str) -> Path:
        path = tmp_path / "loss.py"
        path.write_text(text, encoding="utf-8")
        plugins.load([path])
        return path

    yield write
    plugins.unload([plugin.name for plugin in plugins.loaded() if plugin.name not in before])


def test_a_declared_loss_is_a_variant_everywhere(load) -> None:
    load(LOSS)
    assert losses()["my_loss"].title == "Smooth L1"
    plan = load_plan("mini")
    assert "my_loss" in plan.tables["table5"].variants and plan.title("my_loss") == "Smooth L1"
    recipe = plan.recipe("rcan_tiny-my_loss", 4)
    assert recipe is not None
    assert recipe.method.options == {"alpha": 0.1, "loss": "my_loss"} and recipe.teachers == ("aggregator_mini",)


def test_its_parts_by_band_add_up_to_it(load) -> None:
    """Smooth L1 is no norm: the gradient along the way from one image to the other is taken."""
    load(LOSS)
    torch.manual_seed(0)
    first, second = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    value = float(torch.nn.functional.smooth_l1_loss(first, second))
    parts = loss_by_band(first, second, loss_of("my_loss"))
    assert sum(parts.values()) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("F.smooth_l1_loss(student_image, target_image)", "F.l1_loss(student_image.detach(), target_image)"),
            "gradient",
        ),
        (("F.smooth_l1_loss(student_image, target_image)", "(student_image - target_image).abs()"), "scalar"),
    ],
)
def test_a_loss_that_cannot_train_is_refused_with_its_line(load, change, message) -> None:
    load(LOSS.replace(*change))
    with pytest.raises(UserError, match=r"loss\.py, line 5") as refused:
        create("mtkd", {"loss": "my_loss"}, ("aggregator_mini",)).check(32)
    assert message in str(refused.value)
