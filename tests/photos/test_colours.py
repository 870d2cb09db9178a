"""Colour profiles: read as Little CMS reads them, results tagged sRGB, or in the profile that they came in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from mtkd.images import Picture, read_image, read_picture, write_picture
from mtkd.images.writing import Writing
from mtkd.networks.bicubic import Bicubic
from mtkd.photos import Enlarging, enlarged
from tests.photos.pictures import (
    PRIMARIES,
    SRGB,
    by_formula,
    cmyk_profile,
    encoded,
    grey_profile,
    in_srgb,
    noise,
    rgb_profile,
    save,
    smooth,
)

SUFFIXES = {".png": {}, ".tif": {}, ".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}


def name_of(path: Path) -> str:
    with Image.open(path) as image:
        icc = image.info.get("icc_profile")
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip() if icc else ""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", PRIMARIES)
def test_wide_gamut(name: str, suffix: str, tmp_path: Path) -> None:
    icc = rgb_profile(name)
    path = save(tmp_path / f"x{suffix}", smooth().astype(np.uint8), icc_profile=icc, **SUFFIXES[suffix])
    with Image.open(path) as image:
        expected = in_srgb(image.convert("RGB"), icc)
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("strength", [0.6, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_inks(strength: float, suffix: str, tmp_path: Path) -> None:
    icc = cmyk_profile(strength)
    inks = Image.frombytes("CMYK", (32, 24), smooth(channels=4).astype(np.uint8).tobytes())
    path = save(tmp_path / f"x{suffix}", inks, icc_profile=icc)
    with Image.open(path) as image:
        expected = in_srgb(image, icc)
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("gamma", [1.0, 1.4, 1.8, 2.2, 2.6])
def test_grey_profiles(gamma: float, tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = save(tmp_path / "x.png", grey, icc_profile=grey_profile(gamma))
    picture = read_picture(path)
    expected = encoded((grey / 255) ** (round(gamma * 256) / 256)) * 255
    assert picture.grey and np.abs(picture.colour[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("name", PRIMARIES)
def test_a_grey_picture_with_a_profile_for_colours(name: str, tmp_path: Path) -> None:
    grey, icc = np.arange(256, dtype=np.uint8).reshape(16, 16), rgb_profile(name)
    picture = read_picture(save(tmp_path / "x.png", grey, icc_profile=icc))
    expected = in_srgb(Image.fromarray(grey).convert("RGB"), icc)
    assert picture.grey and np.abs(picture.colour[..., 0].astype(int) - expected[..., 1]).max() <= 1


@pytest.mark.parametrize("name", PRIMARIES)
def test_16_bits_are_converted_with_all_of_them(name: str, tmp_path: Path) -> None:
    import tifffile

    icc, deep = rgb_profile(name), smooth(top=65535).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb", iccprofile=icc)
    picture = read_picture(tmp_path / "x.tif")
    off = np.abs(picture.colour / 65535 - by_formula(deep, name))
    assert picture.bits == 16 and off.mean() < 1e-4 and np.quantile(off, 0.99) < 2e-3  # the matrices are rounded


def test_srgb_by_name_changes_nothing(tmp_path: Path) -> None:
    picture = noise()
    path = save(tmp_path / "x.png", picture, icc_profile=ImageCms.ImageCmsProfile(SRGB).tobytes())
    np.testing.assert_array_equal(read_image(path), picture)


LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


@pytest.mark.parametrize(
    "icc", [b"", b"no profile", rgb_profile("Display P3")[:150], rgb_profile("Display P3")[:-60], cmyk_profile(1), LAB]
)
def test_a_profile_that_is_none_is_left_out(icc: bytes, tmp_path: Path) -> None:
    """Cut off, or of another kind than the picture: the picture is read, and it is said."""
    colours = noise()
    picture = read_picture(save(tmp_path / "x.png", colours, icc_profile=icc))
    np.testing.assert_array_equal(picture.colour, colours)
    assert bool(picture.notes) == bool(icc) and not picture.tagged


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("name", ["Display P3", "Adobe RGB", "ProPhoto"])
def test_results_are_tagged(name: str, suffix: str, tmp_path: Path) -> None:
    icc = rgb_profile(name)
    picture = read_picture(save(tmp_path / "x.png", smooth().astype(np.uint8), icc_profile=icc))
    write_picture(tmp_path / f"y{suffix}", picture)
    assert "sRGB" in name_of(tmp_path / f"y{suffix}")
    write_picture(tmp_path / f"z{suffix}", picture, Writing(keep_profile=True))
    assert name_of(tmp_path / f"z{suffix}") == name
    write_picture(tmp_path / f"w{suffix}", Picture(noise()))
    assert name_of(tmp_path / f"w{suffix}") == ""


@pytest.mark.parametrize("name", PRIMARIES)
@pytest.mark.parametrize("bits", [8, 16])
def test_colours_come_back_with_their_profile(name: str, bits: int, tmp_path: Path) -> None:
    """There and back is where they were, but for what sRGB cannot hold and for rounding."""
    icc = rgb_profile(name)
    grey = (np.linspace(0.1, 0.9, 32 * 24) * ((1 << bits) - 1)).reshape(24, 32, 1)
    tints = (grey * [1, 0.98, 0.97]).astype(np.uint8 if bits == 8 else np.uint16)
    import tifffile

    tifffile.imwrite(tmp_path / "x.tif", tints, photometric="rgb", iccprofile=icc)
    write_picture(tmp_path / "y.tif", read_picture(tmp_path / "x.tif"), Writing(keep_profile=True))
    back = tifffile.imread(tmp_path / "y.tif").astype(int)
    assert name_of(tmp_path / "y.tif") == name
    assert np.abs(back - tints.astype(int)).max() <= (3 if bits == 8 else 300 if name == "Wide linear" else 60)


def test_inks_come_back_as_inks(tmp_path: Path) -> None:
    icc = cmyk_profile(1.0)
    inks = Image.frombytes("CMYK", (32, 24), smooth(channels=4).astype(np.uint8).tobytes())
    picture = read_picture(save(tmp_path / "x.tif", inks, icc_profile=icc))
    for suffix in (".tif", ".jpg"):
        write_picture(tmp_path / f"y{suffix}", picture, Writing(keep_profile=True))
        with Image.open(tmp_path / f"y{suffix}") as image:
            assert image.mode == "CMYK" and image.info["icc_profile"] == icc
            assert np.abs(in_srgb(image, icc).astype(int) - picture.colour).mean() < 4


def test_the_network_sees_srgb(tmp_path: Path) -> None:
    icc = rgb_profile("Display P3")
    path = save(tmp_path / "x.png", smooth().astype(np.uint8), icc_profile=icc)
    result = enlarged(Bicubic(2), read_picture(path), 2, Enlarging(), torch.device("cpu"))
    with Image.open(path) as image:
        seen = torch.from_numpy(in_srgb(image, icc).copy()).permute(2, 0, 1)[None].float() / 255
    expected = (Bicubic(2)(seen)[0] * 255).round().clamp(0, 255).permute(1, 2, 0)
    np.testing.assert_array_equal(result.colour, expected.numpy())
