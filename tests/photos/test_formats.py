"""Every format that people have is read; what is none is said by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd.errors import UserError
from mtkd.images import find_images, image_size, read_image, read_picture
from mtkd.images.formats import SUFFIXES
from tests.conftest import Run
from tests.photos.pictures import noise, rgb_profile, save, smooth
from tests.photos.test_depth import png16
from tests.photos.test_jobs import bicubic

LOSSLESS = {".png": {}, ".bmp": {}, ".tif": {}, ".ppm": {}, ".webp": {"lossless": True}, ".jp2": {}, ".j2k": {}}
LOSSY = {
    ".jpg": {"quality": 98},
    ".avif": {"quality": 98},
    ".gif": {},
    ".jpeg": {"quality": 98},
    ".jfif": {"format": "JPEG"},
}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless(suffix: str, tmp_path: Path) -> None:
    pixels = noise(20, 24)
    path = save(tmp_path / f"x{suffix}", pixels, **LOSSLESS[suffix])
    np.testing.assert_array_equal(read_image(path), pixels)
    assert image_size(path) == (24, 20) and find_images(tmp_path) == [path]


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy(suffix: str, tmp_path: Path) -> None:
    pixels = smooth(40, 48).astype(np.uint8)
    path = save(tmp_path / f"x{suffix}", pixels, **LOSSY[suffix])
    assert np.abs(read_image(path).astype(int) - pixels).mean() < 6
    assert image_size(path) == (48, 40) and find_images(tmp_path) == [path]


@pytest.mark.parametrize("number", range(5))
def test_heic(number: int, run: Run, tmp_path: Path) -> None:
    """As telephones write it: with a profile, metadata, transparency, turned, of odd sizes."""
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    exif = Image.Exif()
    exif[271], exif[306] = "Apple", "2024:01:02 03:04:05"
    size = [(64, 48), (65, 49), (48, 64), (127, 33), (66, 66)][number]
    pixels = smooth(size[1], size[0], 4 if number == 3 else 3).astype(np.uint8)
    icc = {"icc_profile": rgb_profile("Display P3")} if number == 1 else {}
    path = save(tmp_path / "x.heic", pixels, quality=95, exif=exif.tobytes(), **icc)
    picture = read_picture(path)
    assert picture.size == size == image_size(path) and (picture.alpha is not None) == (number == 3)
    assert picture.tagged == (number == 1) and picture.metadata.exif[271] == "Apple"
    if number not in (1, 3):
        assert np.abs(picture.colour.astype(int) - pixels[..., :3]).mean() < 6
    assert bicubic(run, path, "-o", tmp_path / "y.jpg")[0] == 0


def test_heic_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtkd.images.formats._heif", lambda: False)
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(40))
    with pytest.raises(UserError, match=r"a HEIC photo; install what reads it \(pip install 'mtkd\[photos\]'\)"):
        read_picture(tmp_path / "x.heic")


@pytest.mark.parametrize("suffix", [".cr2", ".nef", ".arw", ".dng", ".rw2"])
def test_raw_files_of_cameras(suffix: str, tmp_path: Path) -> None:
    """Many are TIFF files that hold a small copy: that is not the photo."""
    save(tmp_path / "x.tif", noise()).rename(tmp_path / f"x{suffix}")
    with pytest.raises(UserError, match="a camera's raw file; develop it first"):
        read_picture(tmp_path / f"x{suffix}")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "PNG"), ("b.png", "JPEG"), ("c.tif", "WEBP"), ("d.webp", "BMP"), ("e.gif", "TIFF")]
)
def test_a_name_that_is_wrong(name: str, kind: str, tmp_path: Path) -> None:
    """What a file is, is in it."""
    pixels = smooth().astype(np.uint8)
    save(tmp_path / name, pixels, format=kind)
    assert np.abs(read_image(tmp_path / name).astype(int) - pixels).mean() < 6


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".png"])
def test_size_from_the_head(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"x{suffix}", noise(5, 9), exif=exif)
    assert image_size(path) == read_picture(path).size


def test_sizes_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(png16(noise(5, 9, 3, np.uint16), 2))
    assert image_size(tmp_path / "deep.png") == (9, 5)
    for name, content in (("text.png", b"hello"), ("empty.png", b""), ("cut.jpg", b"\xff\xd8\xff")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="not an image in a supported format"):
            image_size(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read"):
        image_size(tmp_path / "none.png")


def test_all_suffixes_are_listed(run: Run, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        (tmp_path / f"x{suffix}").touch()
    assert len(find_images(tmp_path)) == len(SUFFIXES)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_the_device_is_printed(device: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtkd.training.devices.devices", lambda: ["cpu"])
    code, _, err = bicubic(run, save(tmp_path / "x.png", noise()), "-o", tmp_path / "y.png", "--device", device)
    assert code == 0 and err == "device: cpu\n"


def test_progress_with_time_left(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtkd.cli.console.EVERY", 0)
    for name in "abcd":
        save(tmp_path / "in" / f"{name}.png", noise())
    _, _, err = bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--device", "cpu")
    assert "upscale: 2.0 of 4, about 0.0 minutes left" in err
