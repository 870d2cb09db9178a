"""A network in one file of a user's: trained, listed and run, by commands as a person gives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = """from torch import nn
from mtkd.plugins import network

class Small(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def forward(self, lr_image):
        return self.layers(lr_image)

@network("my_net", scales=(2, 4))
def my_net(scale):
    return Small(scale)
"""
RECIPE = """name: my_net-kd
stage: distill
network: my_net
scale: 4
data: {train: PHOTOS, holdout: 1}
method: {name: kd}
teachers: [edsr_mini]
lr_patch: 12
batch: 2
iterations: 4
log_every: 1
"""


@pytest.fixture
def mtkd(tmp_path: Path):
    """``mtkd`` as a process in an empty folder."""
    environment = {**os.environ, "MTKD_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "mtkd.cli", *map(str, arguments)]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)

    return run


def test_a_network_takes_part_everywhere(mtkd, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("PHOTOS", str(photos)), encoding="utf-8")
    runs = tmp_path / "home" / "runs"
    done = mtkd("--plugin", "net.py", "train", "recipe.yaml", "--out", runs / "my_net-kd_x4")
    assert done.returncode == 0, done.stderr
    listed = mtkd("--plugin", "net.py", "models", "--json")
    assert "my_net-kd" in {model["name"] for model in json.loads(listed.stdout)}, listed.stderr
    card = json.loads((runs / "my_net-kd_x4" / "card.json").read_text(encoding="utf-8"))
    assert [(plugin["file"], plugin["declares"]) for plugin in card["plugins"]] == [("net.py", ["network my_net"])]
    picture = next(photos.glob("*.png"))
    done = mtkd("--plugin", "net.py", "upscale", picture, "-o", "big.png", "--model", "my_net-kd", "--scale", 4)
    assert done.returncode == 0 and (tmp_path / "big.png").is_file(), done.stderr
    without = mtkd("upscale", picture, "-o", "big.png", "--model", "my_net-kd", "--scale", 4)
    assert without.returncode == 2
    assert "was trained with the plugin net.py; load it with mtkd --plugin net.py ..." in without.stderr, without.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("PixelShuffle(scale)", "PixelShuffle(2)"), "net.py, line 14: network 'my_net' at scale 4"),
        (('"my_net"', '"edsr"'), "net.py, line 14: the network 'edsr' is already built in"),
        (("from torch import nn", "from torch import nm"), "net.py, line 1: ImportError"),
    ],
)
def test_a_fault_is_one_line_that_names_the_place(mtkd, tmp_path: Path, photos: Path, change, message) -> None:
    (tmp_path / "net.py").write_text(NETWORK.replace(*change), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("PHOTOS", str(photos)), encoding="utf-8")
    done = mtkd("--plugin", "net.py", "train", "recipe.yaml", "--out", "run")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "run").exists()
