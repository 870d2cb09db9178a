"""A metric in a file of one's own is a column of ``score``; one that fails is one line with its file and line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mtkd.images import write_image

MINE = """
from mtkd.plugins import metric


@metric("mine", unit="levels", better="lower", digits=2)
def mean_error(sr_image, hr_image):
    return {returned}
"""


def score(folder: Path, returned: str, *options: str) -> subprocess.CompletedProcess[str]:
    """``mtkd score`` of two images 8 levels apart, in an empty folder beside the plugin."""
    (folder / "mine.py").write_text(MINE.format(returned=returned), encoding="utf-8")
    for name, level in (("sr", 108), ("hr", 100)):
        (folder / name).mkdir()
        write_image(folder / name / "a.png", np.full((24, 24, 3), level, np.uint8))
    command = [sys.executable, "-c", "from mtkd.cli.main import main; main()", "score", "sr", "hr", "--scale", "2"]
    environment = os.environ | {"MTKD_PLUGINS": str(folder / "mine.py")}
    return subprocess.run([*command, *options], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_metric_of_ones_own_is_a_column_of_score(tmp_path: Path) -> None:
    done = score(tmp_path, "float((sr_image - hr_image).abs().mean())", "--metrics", "psnr,mine", "--json")
    content = json.loads(done.stdout)
    assert content["mine"] == pytest.approx(8 * 219.0 / 255)  # luma spans 219 of 255 levels
    assert content["per_image"][0].keys() >= {"image", "psnr", "mine"}


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("(sr_image - hr_image).mean()", "returned Tensor"),
        ("None", "returned NoneType"),
        ("float('nan')", "returned NaN"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_metric_without_a_number_is_one_line_with_its_place(tmp_path: Path, returned: str, problem: str) -> None:
    done = score(tmp_path, returned, "--metrics", "mine")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"metric mine, {tmp_path / 'mine.py'}, line " in line and problem in line
