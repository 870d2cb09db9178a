"""Two processes on one run, as on two GPUs."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from mtkd.training.measured import flat
from mtkd.zoo.checkpoints import read_state
from tests.training.conftest import DISTILL, write_recipe
from tests.training.test_resume import _environment, assert_same_end, command, reached, rows

ELASTIC = _environment() | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Without it, restarted processes find the addresses of dead ones (pytorch/pytorch issue 135712)."""


def launch(recipe: Path, out: Path, *options: str, restarts: int = 0) -> list[str]:
    """``mtkd train`` in two processes, as torchrun starts them on a computer with two GPUs."""
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--max_restarts", str(restarts)]
    program, *rest = command(recipe, out, *options)
    return [program, *words, *rest]


def run(words: list[str]) -> None:
    done = subprocess.run(words, env=_environment(), capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["mtkd", pytest.param("crosskd", marks=pytest.mark.slow)])
def test_two_processes_train_as_one(method: str, small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    """Same global batch, same losses, same weights up to the order of summation; projections included."""
    how = {**DISTILL, "method": {"name": method}}
    if method == "crosskd":
        how |= {"network": "swinir_tiny", "teachers": ["ada"]}  # other channels: projections
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=6, batch=4, **how)
    run(command(recipe, tmp_path / "one"))
    run(launch(recipe, tmp_path / "two"))
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert [row["iteration"] for row in two if "loss" in row] == list(range(1, 7))  # measured by one process
    for alone, shared in zip(one, two, strict=True):
        assert flat(alone) == pytest.approx(flat(shared), rel=2e-4)
    states = [read_state(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=1e-3, atol=1e-4)
    checkpoints = [torch.load(tmp_path / name / "checkpoints/latest.pt") for name in ("one", "two")]
    assert bool(checkpoints[0]["method"]) == (method == "crosskd")
    for key, value in checkpoints[0]["method"].items():
        torch.testing.assert_close(checkpoints[1]["method"][key], value, rtol=1e-3, atol=1e-4)
    assert json.loads((tmp_path / "two" / "finished.json").read_text()) == {"iterations": 6}


def wait_until(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not holds():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_process_that_dies_is_restarted_and_nothing_changes(small_images: Path, tmp_path: Path) -> None:
    """The launcher starts all processes again when one dies; with --resume they end as if none ever had."""
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=60, batch=4, checkpoint_every=7)
    out = tmp_path / "killed"
    with subprocess.Popen(
        launch(recipe, out, "--resume", restarts=1), env=ELASTIC, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(process, reached(out, 20))
        workers = [p for p in psutil.Process(process.pid).children() if "train" in p.cmdline()]
        next(p for p in workers if p.environ()["RANK"] == "1").kill()
        _, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    assert not {p.pid for p in workers} & set(psutil.pids())
    run(launch(recipe, tmp_path / "reference"))
    assert_same_end(out, tmp_path / "reference")


@pytest.mark.slow
def test_stopped_processes_agree_where(small_images: Path, tmp_path: Path) -> None:
    """A signal reaches them at different iterations; none waits for ever, and the run goes on from a checkpoint."""
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=400, batch=4, checkpoint_every=1000)
    out = tmp_path / "stopped"
    with subprocess.Popen(launch(recipe, out), env=_environment(), stderr=subprocess.PIPE, text=True) as process:
        wait_until(process, lambda: len(rows(out)) >= 30)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    iteration = torch.load(out / "checkpoints" / "latest.pt", weights_only=True)["iteration"]
    assert 30 <= iteration < 400 and iteration % 10 == 0
    run(launch(recipe, out, "--resume"))
    assert [row["iteration"] for row in rows(out) if "loss" in row] == list(range(1, 401))


@pytest.mark.slow
def test_a_batch_that_does_not_divide_is_refused(small_images: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, batch=3)
    done = subprocess.run(
        launch(recipe, tmp_path / "run"), env=_environment(), capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode and "batch 3 cannot be divided among 2 processes" in done.stderr
