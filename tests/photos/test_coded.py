"""10-bit HEIC and AVIF, and colour spaces that a file names by numbers."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd.images import coded, image_size, read_picture
from tests.conftest import Run
from tests.photos.pictures import by_formula, save, smooth
from tests.photos.test_jobs import bicubic

pytestmark = pytest.mark.sweep


def heic(path: Path, samples: np.ndarray, **options: Any) -> Path:
    heif = pytest.importorskip("pillow_heif")
    mode = {1: "L;16", 3: "RGB;16", 4: "RGBA;16"}[samples.shape[2]]
    photo = heif.from_bytes(mode, samples.shape[1::-1], np.ascontiguousarray(samples).tobytes())
    photo.save(path, quality=100, chroma=444, **options)
    return path


@pytest.mark.parametrize("number", range(5))
def test_deep_heic(number: int, run: Run, tmp_path: Path) -> None:
    channels, size = [(3, (64, 48)), (4, (66, 50)), (1, (48, 64)), (3, (127, 33)), (4, (64, 64))][number]
    samples = smooth(size[1], size[0], channels, 65535).astype(np.uint16)
    picture = read_picture(heic(tmp_path / "x.heic", samples))
    assert (
        picture.bits == 16
        and picture.grey == (channels == 1)
        and picture.size == size == image_size(tmp_path / "x.heic")
    )
    assert np.abs(picture.colour.astype(int) - samples[..., : min(3, channels)]).mean() < 150  # lossy, as all HEIC is
    assert len(np.unique(picture.colour)) > 256 and not picture.notes
    if channels == 4:
        assert picture.alpha is not None and np.abs(picture.alpha.astype(int) - samples[..., 3]).mean() < 150
    assert bicubic(run, tmp_path / "x.heic", "-o", tmp_path / "y.png")[0] == 0
    assert (tmp_path / "y.png").read_bytes()[24] == 16


def test_white_and_black_of_ten_bits_are_white_and_black(tmp_path: Path) -> None:
    samples = np.zeros((64, 64, 3), np.uint16)
    samples[:, 32:] = 65535
    colour = read_picture(heic(tmp_path / "x.heic", samples)).colour
    assert colour[32, 8].tolist() == [0] * 3 and colour[32, 56].tolist() == [65535] * 3


def png_with_numbers(path: Path, pixels: np.ndarray, primaries: int, transfer: int) -> Path:
    data = save(path, pixels).read_bytes()
    content = b"cICP" + bytes((primaries, transfer, 0, 1))
    chunk = struct.pack(">I", 4) + content + struct.pack(">I", zlib.crc32(content))
    path.write_bytes(data[:33] + chunk + data[33:])
    return path


def avif_with_numbers(path: Path, pixels: np.ndarray, primaries: int, transfer: int) -> Path:
    data = save(path, pixels, quality=100, subsampling="4:4:4").read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])
    return path


def heic_with_numbers(path: Path, pixels: np.ndarray, primaries: int, transfer: int) -> Path:
    pytest.importorskip("pillow_heif").register_heif_opener()
    numbers = {"color_primaries": primaries, "transfer_characteristics": transfer}
    return save(path, pixels, quality=-1, chroma=444, matrix_coefficients=0, save_nclx_profile=True, **numbers)


MADE = {".png": png_with_numbers, ".avif": avif_with_numbers, ".heic": heic_with_numbers}


@pytest.mark.parametrize("suffix", MADE)
@pytest.mark.parametrize(("primaries", "name"), [(12, "Display P3"), (9, "Rec. 2020"), (1, ""), (2, "")])
def test_colours_by_numbers(suffix: str, primaries: int, name: str, tmp_path: Path) -> None:
    pixels = smooth(64, 64).astype(np.uint8)
    plain = read_picture(MADE[suffix](tmp_path / f"x{suffix}", pixels, 1, 13)).colour
    picture = read_picture(MADE[suffix](tmp_path / f"y{suffix}", pixels, primaries, 13))
    assert picture.tagged == bool(name) and not picture.notes
    if not name:
        assert (picture.colour == plain).all()
        return
    gamma = by_formula(plain * 257.0, name) * 255  # its tone curve is a power near that of sRGB
    assert np.abs(picture.colour - gamma).mean() < (2 if name == "Display P3" else 12)
    assert np.abs(picture.colour.astype(int) - plain).mean() > 2


@pytest.mark.parametrize("suffix", [".png", ".avif"])
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_said(suffix: str, transfer: int, name: str, tmp_path: Path) -> None:
    picture = read_picture(MADE[suffix](tmp_path / f"x{suffix}", smooth().astype(np.uint8), 9, transfer))
    assert len(picture.notes) == 1 and f"its brightness is HDR ({name})" in picture.notes[0]


def test_bits_that_are_not_read_are_said(run: Run, tmp_path: Path) -> None:
    data = bytearray(save(tmp_path / "x.avif", smooth().astype(np.uint8)).read_bytes())
    at = data.index(b"av1C") + 6
    for flags, bits in ((0x40, 10), (0x60, 12)):
        data[at] = data[at] & 0x9F | flags
        with Image.open(tmp_path / "x.avif") as image:
            assert f"it holds {bits} bits a channel, of which 8 are read" in coded.notes(image, bytes(data))[0]
    assert not read_picture(tmp_path / "x.avif").notes
    assert bicubic(run, tmp_path / "x.avif", "-o", tmp_path / "y.png")[0] == 0
