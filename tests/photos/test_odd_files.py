"""Files that people have, and of which an earlier reader or writer made something wrong."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mtkd.errors import UserError
from mtkd.images import Picture, Reading, read_image, read_picture, write_picture
from mtkd.images.formats import OTHERS
from mtkd.images.picture import Metadata
from tests.conftest import Run
from tests.photos.pictures import PRIMARIES, by_formula, encoded, noise, save, smooth

SMOOTH = smooth().astype(np.uint8)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(path: Path, chunks: bytes) -> Path:
    """A PNG with these in front of its pixels."""
    data = save(path, SMOOTH).read_bytes()
    path.write_bytes(data[:33] + chunks + data[33:])
    return path


def gamma(exponent: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / exponent)))


def places(name: str) -> bytes:
    xy = [(0.3127, 0.3290), *PRIMARIES[name][:3]]
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * value) for pair in xy for value in pair)))


@pytest.mark.parametrize("exponent", [1.0, 1.4, 1.8, 2.6])
def test_a_png_that_says_its_exponent(exponent: float, tmp_path: Path) -> None:
    """gAMA without a profile, as renderers and old Macs write it."""
    picture = read_picture(with_chunks(tmp_path / "x.png", gamma(exponent)))
    expected = encoded((SMOOTH / 255) ** exponent) * 255
    assert np.abs(picture.rgb8() - expected).max() <= 1.5 and picture.tagged


@pytest.mark.parametrize("name", ["Display P3", "Adobe RGB", "Rec. 2020", "Wide linear"])
def test_a_png_that_says_its_primaries(name: str, tmp_path: Path) -> None:
    exponent = PRIMARIES[name][3]
    picture = read_picture(with_chunks(tmp_path / "x.png", gamma(exponent) + places(name)))
    difference = np.abs(picture.rgb8() - by_formula(SMOOTH.astype(np.uint16) * 257, name) * 255)
    if abs(exponent - 2.2) < 0.1:  # taken as the curve of sRGB, which is another one in the dark
        assert difference.mean() < 2 and not np.array_equal(picture.rgb8(), SMOOTH)
    else:
        assert difference.max() <= 2


@pytest.mark.parametrize(
    "chunks",
    [gamma(2.2), gamma(2.2) + places("sRGB"), gamma(2.25), chunk(b"sRGB", b"\0") + gamma(1.0), places("sRGB"),
     chunk(b"gAMA", bytes(4)), chunk(b"gAMA", b"\xff" * 4), gamma(2.2) + chunk(b"cHRM", bytes(32))],
    ids=range(8),
)  # fmt: skip
def test_a_png_that_says_srgb_or_nonsense(chunks: bytes, tmp_path: Path) -> None:
    picture = read_picture(with_chunks(tmp_path / "x.png", chunks))
    np.testing.assert_array_equal(picture.rgb8(), SMOOTH)
    assert not picture.tagged


def test_a_damaged_png_says_so(tmp_path: Path) -> None:
    """Decoders take a wrong check sum without a word."""
    data = bytearray(save(tmp_path / "x.png", noise(40, 40)).read_bytes())
    assert not read_picture(tmp_path / "x.png").notes
    data[-20] ^= 1  # of the sum of all
    (tmp_path / "y.png").write_bytes(data)
    assert any("damaged (IDAT at byte 33)" in note for note in read_picture(tmp_path / "y.png").notes)


@pytest.mark.parametrize("mode", ["RGB", "L", "LAB", "CMYK"])
def test_a_tiff_without_resolution_has_none(mode: str, tmp_path: Path) -> None:
    assert read_picture(save(tmp_path / "x.tif", Image.new(mode, (8, 8)))).metadata.dpi is None
    assert read_picture(save(tmp_path / "y.tif", Image.new(mode, (8, 8)), dpi=(300, 300))).metadata.dpi == (300, 300)


def test_a_resolution_that_jpeg_cannot_hold(tmp_path: Path) -> None:
    write_picture(tmp_path / "x.jpg", Picture(SMOOTH, metadata=Metadata(dpi=(100_000, 100_000))))
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.info.get("dpi", (72, 72)) == (72, 72)


RANGES = [
    smooth(top=1).astype(np.float32) * 7 - 3,
    (smooth(channels=1, top=900)[..., 0] + 100).astype(np.uint16),
    smooth(channels=1, top=9e8)[..., 0].astype(np.int32) - 400_000_000,
    (smooth(top=90) + 60).astype(np.uint8),
    np.where(smooth(channels=1)[..., 0] > 200, np.nan, smooth(channels=1)[..., 0]).astype(np.float32),
]


@pytest.mark.parametrize("samples", RANGES, ids=["float", "uint16", "int32", "uint8", "with NaN"])
def test_range_of_its_own(samples: np.ndarray, tmp_path: Path) -> None:
    """``--range min-max``."""
    tifffile.imwrite(tmp_path / "x.tif", samples, photometric="rgb" if samples.ndim == 3 else "minisblack")
    picture = read_picture(tmp_path / "x.tif", Reading(stretch="min-max"))
    low, high = np.nanmin(samples.astype(float)), np.nanmax(samples.astype(float))
    expected = ((samples.astype(float).reshape(picture.colour.shape) - low) / (high - low)) * ((1 << picture.bits) - 1)
    known = ~np.isnan(expected)
    assert np.abs(picture.colour - expected)[known].max() <= 1 and picture.colour.min() == 0


def test_range_of_a_picture_of_one_value(run: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.full((8, 8), 7.0, np.float32))
    arguments = ("upscale", tmp_path / "x.tif", "-o", tmp_path / "y.png", "--model", "bicubic")
    assert run(*arguments, "--range", "min-max").code == 0
    assert not read_image(tmp_path / "y.png").any()


@pytest.mark.parametrize("name", ["x.gif", "x.jpg"])
def test_a_gif_of_one_frame(name: str, run: Run, tmp_path: Path) -> None:
    save(tmp_path / name, SMOOTH)
    outcome = run("upscale", tmp_path / name, "-o", tmp_path / "y.gif", "--model", "bicubic", "--frames", "all")
    assert outcome.code == 0, outcome.err
    with Image.open(tmp_path / "y.gif") as image:
        assert image.format == "GIF" and image.size == (128, 96)


def test_an_animation_of_16_bits_is_reduced(run: Run, tmp_path: Path) -> None:
    frames = [np.roll(SMOOTH, 3 * i, axis=1).astype(np.uint16) * 257 for i in range(3)]
    tifffile.imwrite(tmp_path / "x.tif", np.stack(frames), photometric="rgb")
    outcome = run("upscale", tmp_path / "x.tif", "-o", tmp_path / "y.png", "--model", "bicubic", "--frames", "all")
    assert outcome.code == 0 and "An animated PNG holds 8 bits a channel" in outcome.err


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_pages_of_different_sizes(suffix: str, run: Run, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8 + i, 8)) for i in range(3)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    arguments = ("upscale", tmp_path / "x.tif", "--model", "bicubic", "--frames", "all", "-o")
    outcome = run(*arguments, tmp_path / f"y.{suffix}")
    assert outcome.code == 2 and "x.tif: pages of 3 different sizes, which TIFF alone holds" in outcome.err
    assert run(*arguments, tmp_path / "y.tif").code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "a web page, not a picture"),
        *((beginning + bytes(40), kind) for beginning, kind in OTHERS.items()),
    ],
    ids=range(2 + len(OTHERS)),
)
def test_what_is_no_picture_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_picture(tmp_path / "x.png")
