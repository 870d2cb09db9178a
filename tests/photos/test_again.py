"""What `upscale` writes is read again by `upscale`, `score` and `train`, with depth, transparency and profile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from mtkd.images.formats import FORMATS, STILL
from tests.photos.pictures import rgb_profile, save, smooth
from tests.photos.test_depth import png16
from tests.training.conftest import write_recipe

pytestmark = pytest.mark.slow

P3 = rgb_profile("Display P3")
BITS = {"png": 16, "tiff": 16, "jpg": 8, "webp": 8, "avif": 8}
CLEAR = {"png", "tiff", "webp", "avif"}
GREY = {"png", "tiff", "jpg"}
"""Formats that hold a picture without colours as such."""


def mtkd(*arguments: object) -> str:
    command = [sys.executable, "-m", "mtkd.cli", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for number, name in enumerate(("boat", "cliff", "dune")):
        save(folder / f"{name}.png", np.roll(smooth(72, 80), 9 * number, axis=0).astype(np.uint8))
    save(folder / "wide.png", smooth(72, 80).astype(np.uint8), icc_profile=P3)
    save(folder / "logo.png", np.dstack([smooth(72, 80), 255 * (smooth(72, 80, 1) > 100)]).astype(np.uint8))
    deep = smooth(72, 80, 4, 65535).astype(np.uint16)
    (folder / "deep.png").write_bytes(png16(deep, 6))
    (folder / "scan.png").write_bytes(png16(deep[..., :1], 0))
    return folder


@pytest.fixture(scope="module", params=STILL)
def written(
    request: pytest.FixtureRequest, sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A format, and the folder of results in it."""
    form, folder = str(request.param), tmp_path_factory.mktemp(str(request.param))
    options = ("--model", "bicubic", "--scale", 2, "--format", form, "--keep-profile")
    assert len(mtkd("upscale", sources, "-o", folder, *options).splitlines()) == 7
    return form, folder


def seen(path: Path) -> tuple[str, int, bytes]:
    """Channels, bits and profile, as other programs read them."""
    with Image.open(path) as image:
        image.load()
        bands, profile = "".join(image.getbands()), image.info.get("icc_profile", b"")
        bits = 16 if image.mode.startswith("I;16") else 8
    if path.suffix == ".tif":
        samples = tifffile.imread(path)
        bits, count = 8 * samples.itemsize, 1 if samples.ndim == 2 else samples.shape[2]
        bands = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[count]
    if path.suffix == ".png":
        head = path.read_bytes()
        bits, bands = head[24], {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}[head[25]]
    return bands, bits, profile


def expected(name: str, form: str) -> tuple[str, int]:
    if name == "scan":
        return "L" if form in GREY else "RGB", BITS[form]
    clear = name in ("logo", "deep") and form in CLEAR
    return "RGBA" if clear else "RGB", BITS[form] if name == "deep" else 8


@pytest.mark.parametrize("name", ["boat", "wide", "logo", "deep", "scan"])
def test_by_other_programs(name: str, written: tuple[str, Path]) -> None:
    form, folder = written
    bands, bits, profile = seen(folder / f"{name}_x2{FORMATS[form].suffixes[0]}")
    assert (bands, bits) == expected(name, form)
    assert (profile == P3) == (name == "wide")


def test_what_is_written_is_read(written: tuple[str, Path], sources: Path, tmp_path: Path) -> None:
    """By `upscale`, with all that belongs to it, and by `score`."""
    form, folder = written
    options = ("--model", "bicubic", "--scale", 2, "--format", form, "--keep-profile")
    again = [Path(line) for line in mtkd("upscale", folder, "-o", tmp_path / "again", *options).splitlines()]
    assert len(again) == 7
    for path in again:
        assert seen(path) == seen(folder / path.name.replace("_x2_x2", "_x2"))
    hr = tmp_path / "hr"
    mtkd("upscale", sources, "-o", hr, "--model", "bicubic", "--scale", 2)
    scores: dict[str, Any] = json.loads(mtkd("score", folder, hr, "--scale", 2, "--json"))
    assert len(scores["per_image"]) == 7
    exact = form in ("png", "tiff")
    for row in scores["per_image"]:
        least = 30 if row["image"].startswith("wide") else np.inf if exact else 28  # the profile has 8 bits
        assert row["psnr"] is None or row["psnr"] >= least, row


def test_trained_on(written: tuple[str, Path], tmp_path: Path) -> None:
    _, folder = written
    recipe = write_recipe(tmp_path / "r.yaml", folder, data={"train": str(folder), "holdout": 2}, iterations=2)
    mtkd("train", recipe, "--out", tmp_path / "run")
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["iterations"] == 2


def test_animations(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(smooth(24, 32), 5 * i, axis=1).astype(np.uint8)) for i in range(3)]
    for suffix in ("gif", "webp", "png", "avif", "tif"):
        frames[0].save(tmp_path / f"{suffix}.{suffix}", save_all=True, append_images=frames[1:], duration=80)
    sources = [tmp_path / f"{suffix}.{suffix}" for suffix in ("gif", "webp", "png", "avif", "tif")]
    options = ("--model", "bicubic", "--scale", 2, "--frames", "all")
    once = mtkd("upscale", *sources, "-o", tmp_path / "once", *options).splitlines()
    twice = mtkd("upscale", *once, "-o", tmp_path / "twice", *options).splitlines()
    assert len(twice) == 5
    for line in twice:
        with Image.open(line) as image:
            assert image.n_frames == 3 and image.size == (128, 96)  # type: ignore[attr-defined]
