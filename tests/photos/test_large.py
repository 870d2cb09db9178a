"""Large pictures: parts of them are in memory, the result is the same."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd import zoo
from mtkd.images import Picture, read_image, read_picture, write_picture
from mtkd.images.writing import Writing
from mtkd.infer import upscale
from mtkd.photos import Enlarging, canvas, enlarged
from tests.conftest import Run
from tests.photos.pictures import cmyk_profile, noise, rgb_profile, save, smooth
from tests.photos.test_jobs import bicubic

CPU = torch.device("cpu")


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image lies on disk."""
    monkeypatch.setattr(canvas, "HELD", 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_on_disk_as_in_memory(
    channels: int, depth: type, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = noise(40, 33, channels, depth)
    clear = channels in (2, 4)
    picture = Picture(samples[..., : channels - clear], samples[..., -1] if clear else None)
    network = zoo.load("bicubic", 3)
    found = []
    for held in (canvas.HELD, 0):
        monkeypatch.setattr(canvas, "HELD", held)
        result = enlarged(network, picture, 3, Enlarging(tile=16), CPU, folder=tmp_path)
        write_picture(tmp_path / f"{held}{suffix}", result)
        found.append((tmp_path / f"{held}{suffix}").read_bytes())
    assert found[0] == found[1]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [suffix, suffix]  # nothing is left over


@pytest.mark.sweep
@pytest.mark.parametrize("model", ["aggregator_mini", "swinir_mini", "edsr_mini", "rcan_mini", "bicubic"])
def test_every_network_gives_what_it_gives_in_memory(model: str, small_memory: None, tmp_path: Path) -> None:
    pixels = np.asarray(smooth(17, 21)).astype(np.uint8)
    network = zoo.load(model, 2)
    result = enlarged(network, Picture(pixels), 2, Enlarging(tile=8), CPU, folder=tmp_path)
    whole = upscale(network, torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255, 2, 8)
    expected = (whole[0] * 255).round().clamp(0, 255).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.asarray(result.colour), expected)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_every_format_takes_what_lies_on_disk(suffix: str, small_memory: None, tmp_path: Path) -> None:
    picture = Picture(smooth().astype(np.uint8), np.full((24, 32), 200, np.uint8))
    write_picture(
        tmp_path / f"x{suffix}", enlarged(zoo.load("bicubic", 2), picture, 2, Enlarging(), CPU, folder=tmp_path)
    )
    with Image.open(tmp_path / f"x{suffix}") as image:
        assert image.size == (64, 48) and image.mode == ("RGB" if suffix == ".jpg" else "RGBA")


@pytest.mark.parametrize("icc", [rgb_profile("Display P3"), rgb_profile("Adobe RGB"), cmyk_profile(0.9)])
def test_profiles_of_what_lies_on_disk(icc: bytes, small_memory: None, tmp_path: Path) -> None:
    samples = smooth(channels=4).astype(np.uint8)
    image = (
        Image.frombytes("CMYK", (32, 24), samples.tobytes())
        if icc[16:20] == b"CMYK"
        else Image.fromarray(samples[..., :3])
    )
    picture = read_picture(save(tmp_path / "x.tif", image, icc_profile=icc))
    result = enlarged(zoo.load("bicubic", 2), picture, 2, Enlarging(), CPU, folder=tmp_path)
    write_picture(tmp_path / "y.tif", result, Writing(keep_profile=True))
    with Image.open(tmp_path / "y.tif") as written:
        assert written.mode == image.mode and written.info["icc_profile"] == icc


def test_no_room_on_the_disk(small_memory: None, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas.shutil, "disk_usage", lambda path: Mock(free=100))
    code, out, err = bicubic(run, save(tmp_path / "x.png", noise(200, 200)), "-o", tmp_path / "y.png")
    assert code == 2 and not out and "needs 0 MiB of disk while it is made, and 0 MiB are free" in err


@pytest.mark.sweep
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_an_estimate_where_memory_is_short(
    suffix: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JPEG, WebP and AVIF are written from memory; PNG and TIFF are not."""
    source = save(tmp_path / "x.png", noise(400, 500))
    monkeypatch.setattr("mtkd.memory.free_memory", lambda: 5 << 20)
    code, _, err = bicubic(run, source, "-o", tmp_path / f"y{suffix}")
    assert code == 2 and "1000 x 800 pixels need about 9 MiB of memory, and 5 MiB are free; write PNG or TIFF" in err
    for name in ("y.png", "y.tif"):
        assert bicubic(run, source, "-o", tmp_path / name)[0] == 0


def test_a_picture_too_large_for_the_memory(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "x.png", noise(400, 500))
    monkeypatch.setattr("mtkd.memory.free_memory", lambda: 1 << 20)
    code, _, err = bicubic(run, source, "-o", tmp_path / "y.png")
    assert (
        code == 2 and "x.png: 500 x 400 pixels need about 2 MiB of memory, and 1 MiB are free; cut it into parts" in err
    )


@pytest.mark.slow
def test_what_is_written_is_read(run: Run, tmp_path: Path) -> None:
    """A result of 200 million pixels, above every limit of Pillow, upscaled again as far as it is read."""
    save(tmp_path / "x.png", np.tile(noise(100, 100), (50, 50, 1)))
    assert bicubic(run, tmp_path / "x.png", "-o", tmp_path / "y.png")[0] == 0
    assert bicubic(run, tmp_path / "y.png", "-o", tmp_path / "z.png")[0] == 0
    assert read_image(tmp_path / "z.png").shape == (20000, 20000, 3)
