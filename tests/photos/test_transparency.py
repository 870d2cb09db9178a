"""Transparent pictures stay transparent, without fringes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.images import Picture, read_picture, write_picture
from mtkd.images.picture import flattened
from mtkd.images.transparency import bled
from mtkd.networks.bicubic import Bicubic
from mtkd.photos import Enlarging, enlarged
from mtkd.resize import imresize
from tests.photos.pictures import noise, save

CPU = torch.device("cpu")
RADII = (3, 5, 7, 9, 11)


def disc(radius: float, side: int = 32) -> np.ndarray:
    """Opacity of a disc with a hard edge."""
    y, x = np.mgrid[0:side, 0:side] - side / 2 + 0.5
    return (np.hypot(x, y) < radius).astype(np.uint8) * 255


def logo(radius: float, colour: tuple[int, int, int], under: tuple[int, int, int], side: int = 32) -> np.ndarray:
    """A disc of one colour; another one is hidden under what is transparent."""
    alpha = disc(radius, side)
    rgb = np.where(alpha[..., None] > 0, np.uint8(colour), np.uint8(under))
    return np.dstack([rgb, alpha])


def big(path: Path, scale: int = 4, **how: object) -> Picture:
    return enlarged(Bicubic(scale), read_picture(path), scale, Enlarging(**how), CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("under", [(0, 0, 0), (255, 0, 255)])
def test_no_fringe(radius: int, under: tuple[int, int, int], tmp_path: Path) -> None:
    """Wherever something is seen of the result it has the disc's colour, not what was hidden beside it."""
    result = big(save(tmp_path / "x.png", logo(radius, (250, 240, 20), under)))
    assert result.alpha is not None and result.alpha.shape == (128, 128)
    seen = result.colour[result.alpha > 0].astype(int)
    assert np.abs(seen - [250, 240, 20]).max() <= 1


@pytest.mark.parametrize("radius", RADII)
def test_opacity_is_bicubic(radius: int, tmp_path: Path) -> None:
    result = big(save(tmp_path / "x.png", logo(radius, (1, 2, 3), (0, 0, 0))), 3)
    plane = torch.from_numpy(disc(radius))[None, None].float() / 255
    expected = (imresize(plane, 3)[0, 0] * 255).round().clamp(0, 255).numpy()
    np.testing.assert_array_equal(result.alpha, expected)
    mean = np.asarray(Image.fromarray(disc(radius)).resize((96, 96), Image.Resampling.BICUBIC)).mean()
    assert result.alpha is not None and abs(result.alpha.mean() - mean) < 2


def kinds(folder: Path) -> dict[str, tuple[Path, np.ndarray]]:
    """Files with transparency of every kind, and their opacity."""
    alpha = disc(9)
    grey = Image.merge("LA", [Image.fromarray(noise(32, 32, 1)[..., 0]), Image.fromarray(alpha)])
    palette = Image.fromarray((noise(32, 32, 1)[..., 0] % 4).astype(np.uint8), mode="P")
    palette.putpalette([255, 0, 0, 0, 200, 10, 3, 4, 250, 90, 80, 70])
    levels = np.array([0, 51, 255, 255], np.uint8)[np.asarray(palette)]
    rgb = noise(32, 32)
    rgb[5:9, 5:9] = (7, 8, 9)
    keyed = np.where((rgb == (7, 8, 9)).all(axis=2), 0, 255).astype(np.uint8)
    plane = np.asarray(grey)[..., 0].copy()
    plane[plane == 40] = 41
    plane[3:9, 20:25] = 40
    opaque = np.where(plane == 40, 0, 255).astype(np.uint8)
    gif = logo(9, (200, 10, 10), (0, 0, 0))
    return {
        "rgba.png": (save(folder / "rgba.png", np.dstack([noise(32, 32), alpha])), alpha),
        "rgba.tif": (save(folder / "rgba.tif", np.dstack([noise(32, 32), alpha])), alpha),
        "rgba.webp": (save(folder / "rgba.webp", np.dstack([noise(32, 32), alpha]), lossless=True, exact=True), alpha),
        "rgba.avif": (save(folder / "rgba.avif", np.dstack([noise(32, 32), alpha]), quality=100), alpha),
        "rgba.jp2": (save(folder / "rgba.jp2", np.dstack([noise(32, 32), alpha])), alpha),
        "la.png": (save(folder / "la.png", grey), alpha),
        "palette.png": (save(folder / "palette.png", palette, transparency=bytes([0, 51, 255, 255])), levels),
        "key.png": (save(folder / "key.png", rgb, transparency=(7, 8, 9)), keyed),
        "grey_key.png": (save(folder / "grey_key.png", plane, transparency=40), opaque),
        "one.gif": (save(folder / "one.gif", Image.fromarray(gif)), alpha),
    }


def test_every_kind_of_transparency(tmp_path: Path) -> None:
    for name, (path, alpha) in kinds(tmp_path).items():
        picture = read_picture(path)
        assert picture.alpha is not None, name
        np.testing.assert_array_equal(picture.alpha, alpha, name)
        assert picture.grey == (name in ("la.png", "grey_key.png")), name
        write_picture(tmp_path / "out" / f"{name}.png", big(path, 2))
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert image.mode == ("LA" if picture.grey else "RGBA") and image.size == (64, 64), name


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tif"])
def test_results_keep_it(suffix: str, tmp_path: Path) -> None:
    picture = read_picture(save(tmp_path / "x.png", logo(9, (200, 100, 50), (0, 0, 0))))
    write_picture(tmp_path / f"y{suffix}", picture)
    with Image.open(tmp_path / f"y{suffix}") as image:
        assert image.mode == "RGBA"
        assert np.abs(np.asarray(image)[..., 3].astype(int) - disc(9)).max() <= 8


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (32, 48, 64), (1, 2, 3)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_background(background: tuple[int, int, int], depth: type) -> None:
    top = np.iinfo(depth).max
    colour, alpha = noise(depth=depth), noise(channels=1, depth=depth)[..., 0]
    flat = flattened(Picture(colour, alpha), background)
    weight = alpha[..., None] / top
    expected = colour * weight + np.array(background) / 255 * top * (1 - weight)
    assert flat.alpha is None and np.abs(flat.colour - expected).max() <= 1.01
    result = enlarged(Bicubic(2), Picture(colour, alpha), 2, Enlarging(background=background), CPU)
    assert result.alpha is None


def test_jpeg_lies_on_white_and_says_so(tmp_path: Path) -> None:
    picture = read_picture(save(tmp_path / "x.png", logo(9, (200, 100, 50), (0, 0, 0))))
    notes = write_picture(tmp_path / "y.jpg", picture)
    with Image.open(tmp_path / "y.jpg") as image:
        assert image.mode == "RGB" and min(image.getpixel((0, 0))) > 250  # type: ignore[arg-type]
    assert any("--background" in note for note in notes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (5, 8), (33, 17)])
def test_colours_grow_from_what_is_seen(shape: tuple[int, int]) -> None:
    colour, alpha = noise(*shape), np.zeros(shape, np.uint8)
    colour[0, 0], alpha[0, 0] = (10, 200, 30), 1
    assert (bled(colour, alpha) == (10, 200, 30)).all()
    assert (bled(colour, np.zeros(shape, np.uint8)) == 0).all()  # nothing is seen
    np.testing.assert_array_equal(bled(colour, None), colour)
