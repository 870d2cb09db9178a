"""Every method trains students of every architecture through the one loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from mtkd.methods import runs_teacher
from mtkd.plugins import METHODS
from mtkd.training import stop
from mtkd.training.checkpoint import RunFolder
from mtkd.training.loop import Loop, train
from mtkd.training.measured import terms
from mtkd.training.stages import prepare
from mtkd.training.status import StatusFile
from mtkd.training.stop import Interrupted
from mtkd.zoo.checkpoints import weights_hash
from tests.training.conftest import small_recipe
from tests.training.test_resume import Stop, assert_same_end, rows, silent

DISTILLING = [name for name in METHODS if name not in ("scratch", "aggregate")]


@pytest.mark.parametrize("network", ["edsr_tiny", "rcan_tiny", "swinir_tiny"])
@pytest.mark.parametrize("method", DISTILLING)
def test_trains(method: str, network: str, small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    changes = {"stage": "distill", "network": network, "method": {"name": method}, "teachers": ["ada"]}
    recipe = small_recipe(small_images, iterations=2, **changes)
    train(recipe, tmp_path / "run", False, silent)
    measured = [row for row in rows(tmp_path / "run") if "loss" in row]
    assert [row["iteration"] for row in measured] == [1, 2]
    assert all(row["loss"] == pytest.approx(sum(terms(row).values())) for row in measured)
    assert runs_teacher(method) == (list((tmp_path / "cache").rglob("*.npy")) == [])


def test_a_teacher_that_is_run_is_run_in_the_recipes_precision(
    small_images: Path, in_zoo: Path, tmp_path: Path
) -> None:
    """As fast as the student; its weights stay as they were."""
    changes = {"stage": "distill", "method": {"name": "at"}, "teachers": ["ada"], "precision": "bf16"}
    stage = prepare(small_recipe(small_images, **changes), torch.device("cpu"), tmp_path / "cache", lambda *_: None)
    teacher = stage.frozen["ada"]
    before, seen = weights_hash(teacher), []
    teacher.conv_first.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    run = RunFolder(tmp_path / "run", stage.recipe, False)
    run.begin()
    AcceleratorState._reset_state()
    Loop(run, stage, Accelerator(mixed_precision="bf16", cpu=True), silent, StatusFile(run.path)).run(stop.Stop())
    assert seen == [torch.bfloat16] * stage.recipe.iterations
    assert weights_hash(teacher) == before


def test_a_schedule_is_told_how_far_the_training_is(small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    """v9 weighs its bands by 0.1 in the first of four steps, 0.55 in the second, then by 1."""
    changes = {"stage": "distill", "teachers": ["ada"], "optimizer": {"lr": 1e-12}}
    growing, always = ({"name": "mtkd", "options": {"loss": "weighted_wavelet", "ramp": ramp}} for ramp in (0.5, 0))
    measured = []
    for name, method in (("growing", growing), ("always", always)):
        train(small_recipe(small_images, method=method, **changes), tmp_path / name, False, silent)
        measured.append([row["L_dis"] for row in rows(tmp_path / name) if "loss" in row])
    factors = [one / whole for one, whole in zip(*measured, strict=True)]
    assert factors == pytest.approx([0.1, 0.55, 1, 1], rel=1e-3)


def test_a_projection_is_kept_and_resumed(small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    """CrossKD between 32 and 24 channels: stopped half-way and resumed, the run ends as if it never stopped."""
    changes = {"stage": "distill", "network": "swinir_tiny", "method": {"name": "crosskd"}, "teachers": ["ada"]}
    recipe = small_recipe(small_images, **changes)
    train(recipe, tmp_path / "reference", False, silent)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "run", False, Stop(lambda event: event.get("iteration") == 2))
    train(recipe, tmp_path / "run", True, silent)
    assert_same_end(tmp_path / "run", tmp_path / "reference")
