"""What people have on their disks, by the command as a process: checkpoints, results and pairs of other programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from mtkd.images import chw, read_image
from mtkd.networks.edsr import EDSR
from mtkd.resize import imresize
from tests.training.conftest import write_images, write_recipe

pytestmark = pytest.mark.sweep


def mtkd(folder: Path, *arguments: object, code: int = 0) -> str:
    """The command in a folder with a home of its own; what it says, errors included."""
    done = subprocess.run(
        [sys.executable, "-m", "mtkd.cli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"MTKD_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_checkpoint_is_imported_and_used(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = EDSR(4, channels=10, blocks=3).eval()
    ema = {f"module.{key}": value for key, value in module.state_dict().items()}
    torch.save({"epoch": 7, "net_g": {"params": {}, "params_ema": ema}}, tmp_path / "net.ckpt")
    said = mtkd(tmp_path, "models", "import", "net.ckpt", "--name", "mine")
    assert "EDSR, 10 channels, 3 blocks" in said and "'net_g.params_ema' in the file, without the prefix" in said
    Image.new("RGB", (12, 10), (90, 120, 150)).save(tmp_path / "a.png")
    mtkd(tmp_path, "upscale", "a.png", "-o", "b.png", "--model", "mine")
    with torch.inference_mode():
        expected = module(chw(read_image(tmp_path / "a.png"))[None].float() / 255)
    made = torch.from_numpy(read_image(tmp_path / "b.png").copy()).permute(2, 0, 1)
    assert ((expected[0] * 255).clamp(0, 255) - made).abs().max() <= 0.51


def test_what_is_not_ours_is_named(tmp_path: Path) -> None:
    keys = ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_body.weight")
    torch.save({"params": {key: torch.zeros(2, 2) for key in keys}}, tmp_path / "esrgan.pth")
    said = mtkd(tmp_path, "models", "import", "esrgan.pth", code=2)
    assert said.count("\n") == 1 and "looks like RRDB (ESRGAN, Real-ESRGAN)" in said


def test_results_of_other_programs_are_scored(tmp_path: Path) -> None:
    for number, name in enumerate(("baby", "bird")):
        for folder, file in (("sr", f"Set5_{name}_SwinIR-x4.webp"), ("hr", f"{name}.png")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (30, 30), (100 + number,) * 3).save(tmp_path / folder / file, lossless=True)
    lines = mtkd(tmp_path, "score", "sr", "hr", "--channels", "rgb", "--crop", 0).splitlines()
    assert lines[-2].split() == ["mean", "of", "2", "inf", "1.0000"] and "RGB, crop = 0" in lines[-1]


def test_a_training_on_pairs_goes_on_for_longer_and_begins_another(tmp_path: Path) -> None:
    images = write_images(tmp_path / "hr")
    (tmp_path / "lr").mkdir()
    for path in images.iterdir():
        small = imresize(chw(read_image(path)), 0.5).permute(1, 2, 0).numpy()
        Image.fromarray(small).save(tmp_path / "lr" / f"small-{path.stem}.bmp")
    recipe = write_recipe(tmp_path / "r.yaml", images, data={"train": str(images), "holdout": 2, "lr": "lr"})
    said = mtkd(tmp_path, "train", recipe, "--out", "run")
    assert "2 of 6 image pairs are cut" in said
    mtkd(tmp_path, "train", recipe, "--out", "run", "--resume", "--set", "iterations=6")
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["iterations"] == 6 and len(card["data"]["cut"]) == 2
    options = ("--set", "scale=4", "--set", "init=run/model.safetensors", "--set", "data.lr=null")
    mtkd(tmp_path, "train", recipe, "--out", "x4", *options)
    card = json.loads((tmp_path / "x4" / "card.json").read_text())
    assert card["init_from"]["scale"] == 2 and card["init_from"]["file"] == "model.safetensors"
