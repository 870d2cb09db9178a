"""Reading, converting and writing images: what is accepted, how it is converted, how the rest is refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.errors import UserError
from mtkd.images import (
    atomic_write,
    chw,
    crop_to_multiple,
    decode,
    find_images,
    read_image,
    to_tensor,
    to_uint8,
    write_image,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def test_rgb_comes_back_as_it_was(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    assert np.array_equal(read_image(tmp_path / "a.png"), RGB)
    assert np.array_equal(to_uint8(to_tensor(RGB)), RGB)
    assert to_tensor(RGB).shape == (1, 3, 6, 9)
    assert torch.equal(chw(RGB)[1], torch.from_numpy(RGB[..., 1].copy()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """The stored pixels are turned so that undoing the tag's turn gives the upright image."""
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path / "turned.png", Image.fromarray(RGB), exif=exif)
    assert np.array_equal(read_image(path), undo(RGB))


def test_grey_is_replicated(tmp_path):
    path = saved(tmp_path / "grey.png", Image.fromarray(RGB[..., 0]))
    assert np.array_equal(read_image(path), np.repeat(RGB[..., :1], 3, axis=2))


def test_palette_and_one_bit(tmp_path):
    palette = Image.fromarray(RGB).quantize(8)
    path = saved(tmp_path / "palette.png", palette)
    assert np.array_equal(read_image(path), np.asarray(palette.convert("RGB")))
    path = saved(tmp_path / "bit.png", Image.fromarray(RGB[..., 0] > 127))
    assert set(np.unique(read_image(path))) <= {0, 255}


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[0] = 0
    path = saved(tmp_path / "alpha.png", Image.fromarray(np.dstack([RGB, alpha])))
    image = read_image(path)
    assert (image[0] == 255).all() and np.array_equal(image[1:], RGB[1:])
    path = saved(tmp_path / "grey-alpha.png", Image.fromarray(np.dstack([RGB[..., 0], alpha])))
    assert (read_image(path)[0] == 255).all()


def test_sixteen_bits_are_reduced_to_eight(tmp_path):
    deep = np.array([[0, 128, 129, 257, 65535, 32896]], np.uint16)
    path = saved(tmp_path / "deep.png", Image.fromarray(deep))
    assert read_image(path)[0, :, 0].tolist() == [0, 0, 1, 1, 255, 128]


def test_cmyk(tmp_path):
    path = saved(tmp_path / "print.jpg", Image.new("CMYK", (20, 10), (0, 255, 255, 0)), quality=95)
    red = read_image(path)
    assert red.shape == (10, 20, 3) and red[..., 0].min() > 200 and red[..., 1:].max() < 60


def test_one_pixel(tmp_path):
    assert read_image(saved(tmp_path / "dot.png", Image.new("RGB", (1, 1), (1, 2, 3)))).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_truncated(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"whole.{suffix}", Image.fromarray(noise))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"damaged|not an image"):
        read_image(path)


def test_what_is_no_image(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(UserError, match="not an image"):
        read_image(tmp_path / "text.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(UserError, match="not an image"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(UserError, match="a folder"):
        read_image(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_image(tmp_path / "missing.png")


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_more_than_one_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    path = saved(tmp_path / f"film.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="animation"):
        read_image(path)


def test_floating_point(tmp_path):
    path = saved(tmp_path / "float.tif", Image.fromarray(np.ones((4, 4), np.float32)))
    with pytest.raises(UserError, match="floating-point"):
        read_image(path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(100_000, 100_000), (10_000, 6_000)])
def test_huge_is_refused_before_it_is_decoded(size):
    with pytest.raises(UserError, match="50 million"):
        decode(io.BytesIO(png_header(*size)), "bomb.png")


def test_find_images(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt", "c.tiff"):
        (tmp_path / name).touch()
    assert [p.name for p in find_images(tmp_path)] == ["a.jpg", "b.PNG", "c.tiff"]
    with pytest.raises(UserError, match="no such folder"):
        find_images(tmp_path / "missing")
    with pytest.raises(UserError, match="a file, not a folder"):
        find_images(tmp_path / "a.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images"):
        find_images(tmp_path / "empty")


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", RGB)
    with pytest.raises(UserError, match=r"\.png"):
        write_image(tmp_path / "a.jpg", RGB)


def test_to_uint8_clamps_and_rounds():
    values = torch.tensor([-1.0, 0.5 / 255 + 1e-4, 0.4 / 255, 1.0, 2.0]).repeat(3, 1, 1)
    assert to_uint8(values)[0, :, 0].tolist() == [0, 1, 0, 255, 255]
    with pytest.raises(ValueError, match="RGB"):
        to_uint8(torch.zeros(2, 3, 4, 4))


def test_crop_to_multiple():
    assert np.array_equal(crop_to_multiple(RGB, 4), RGB[:4, :8])
    with pytest.raises(UserError, match="too small"):
        crop_to_multiple(RGB, 7)
