"""Two processes on one run, as on two GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.conftest import write_recipe
from tests.training.test_resume import _environment, rows


@pytest.mark.slow
def test_two_processes_share_a_batch_and_one_folder(small_images: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=6, batch=4), tmp_path / "run"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29719"]
    command = [*launch, "-m", "mtkd.cli", "train", str(recipe), "--out", str(out)]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert [row["iteration"] for row in rows(out) if "loss" in row] == list(range(1, 7))  # measured by one process
    assert json.loads((out / "finished.json").read_text()) == {"iterations": 6}
