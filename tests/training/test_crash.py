"""Trainings under attack: killed at any moment, out of disk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mtkd.experiments.plan import load_recipe
from mtkd.files import UNFINISHED
from mtkd.training.loop import train
from tests.benchmarks.crash import KINDS, harness
from tests.training.conftest import DISTILL, write_recipe

pytestmark = pytest.mark.sweep


@pytest.mark.parametrize(
    ("kind", "kills"), [("distill", 8), *(pytest.param(kind, 50, marks=pytest.mark.slow) for kind in KINDS)]
)
def test_a_training_killed_at_any_moment_ends_as_if_left_alone(kind: str, kills: int, tmp_path: Path) -> None:
    attack = harness(tmp_path, kind, seed=kills)
    attack.run(kills)
    assert attack.kills.total() == kills
    if kills >= 50:
        assert {phase for phase, _ in attack.kills} >= {"teacher cache", "checkpoint", "metrics", "end"}


def one_thread() -> dict[str, str]:
    """The environment of a process that computes what this one does, to the last bit."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def on_a_small_disk(recipe: Path, out: Path, limit: int) -> subprocess.CompletedProcess[str]:
    """``mtkd train`` as a process none of whose files may grow beyond ``limit`` bytes: to it the disk is full."""
    return subprocess.run(
        [sys.executable, "-m", "mtkd.cli", "train", str(recipe), "--out", str(out), "--resume"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=120,
        env=one_thread(),
    )


def assert_goes_on(recipe: Path, out: Path, reference: Path) -> None:
    """With room again the training comes to the end of one that always had it."""
    resolved = load_recipe(str(recipe))
    train(resolved, out, True, lambda _: None)
    train(resolved, reference, False, lambda _: None)
    assert (out / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()
    assert not list(out.rglob(f"*{UNFINISHED}"))


@pytest.mark.parametrize("full", ["metrics", "checkpoint"])
def test_a_full_disk_is_told_and_the_last_checkpoint_stays(full: str, small_images: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=60, checkpoint_every=5)
    out = tmp_path / "run"
    train(load_recipe(str(recipe)), tmp_path / "measure", False, lambda _: None)
    checkpoint = (tmp_path / "measure/checkpoints/latest.pt").stat().st_size
    metrics = (tmp_path / "measure/metrics.jsonl").stat().st_size
    if full == "checkpoint":
        limit, told = checkpoint // 2, "There is no checkpoint yet."
    else:  # the metrics outgrow what a checkpoint takes
        out.mkdir()
        padding = '{"iteration": 0, "L1": 0.5, "note": 0}\n' * (checkpoint // 30)
        (out / "metrics.jsonl").write_text(padding)
        limit, told = len(padding) + metrics // 2, f"The last good checkpoint is {out / 'checkpoints/latest.pt'}"
    ended = on_a_small_disk(recipe, out, limit)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(
        f"mtkd: {out}: cannot be written (File too large); free some space and continue with"
    )
    assert told in ended.stderr and ended.stderr.count("\n") == 1
    assert_goes_on(recipe, out, tmp_path / "reference")


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
@pytest.mark.parametrize(
    "room", [300_000, 900_000, *(pytest.param(n, marks=pytest.mark.slow) for n in range(400_000, 1_600_000, 100_000))]
)
def test_a_disk_that_fills_up_anywhere(room: int, small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    """A file system of a few hundred kilobytes: whatever file it is that does not fit, nothing is lost."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("may not mount a file system here")
    try:
        recipe = write_recipe(
            tmp_path / "recipe.yaml", small_images, iterations=8, checkpoint_every=2, validate_every=2, **DISTILL
        )
        out = disk / "run"
        command = [sys.executable, "-m", "mtkd.cli", "train", str(recipe), "--out", str(out), "--resume"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=one_thread())
        if ended.returncode == 0:
            return
        assert ended.returncode == 2 and ended.stderr.count("\n") == 1, ended.stderr
        assert "No space left on device" in ended.stderr
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert_goes_on(recipe, out, tmp_path / "reference")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
