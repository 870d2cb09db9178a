"""Reading, checking and writing images: every kind of file that people upload, and those that are none."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.errors import UserError
from mtkd.files import atomic_write
from mtkd.images import (
    MAX_PIXELS,
    chw,
    crop_to_multiple,
    decode,
    find_images,
    read_image,
    reading,
    round_to_levels,
    to_tensor,
    to_uint8,
    write_image,
)

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def save(path: Path, array: np.ndarray | Image.Image, **options: object) -> Path:
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(path, **options)
    return path


# What is an image ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_rgb(tmp_path: Path, suffix: str) -> None:
    read = read_image(save(tmp_path / f"x{suffix}", RGB))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RGB)


def test_lossless_webp(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.webp", RGB, lossless=True)), RGB)


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 32, dtype=np.uint8)[:, None, None], (32, 24, 3)).copy()
    read = read_image(save(tmp_path / "x.jpeg", smooth, quality=95)).astype(int)
    assert read.shape == smooth.shape and np.abs(read - smooth).max() < 8


# The EXIF standard's table: where row 0 and column 0 of the stored picture are in the upright one.
ORIENTATIONS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.transpose(1, 0, 2),  # left, top
    6: lambda a: np.rot90(a, -1),  # right, top: turn clockwise
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),  # right, bottom
    8: lambda a: np.rot90(a, 1),  # left, bottom: turn anticlockwise
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    path = save(tmp_path / f"x{suffix}", RGB, exif=exif, **options)
    np.testing.assert_array_equal(read_image(path), ORIENTATIONS[orientation](RGB))


def test_exif_orientation_of_a_telephone_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    dark_top = np.full((32, 48, 3), 250, np.uint8)
    dark_top[:16] = 5
    upright = read_image(save(tmp_path / "x.jpg", dark_top, exif=exif))
    assert upright.shape == (48, 32, 3)
    assert upright[:, -8:].max() < 30 and upright[:, :8].min() > 225  # the top came to the right


def test_meaningless_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.png", RGB, exif=exif)), RGB)


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey] * 3, axis=-1)


def test_grey_is_replicated(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.png", RGB[..., 0])), grey_rgb(RGB[..., 0]))


def test_black_and_white(tmp_path: Path) -> None:
    bits = RGB[..., 0] > 127
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.png", bits)), grey_rgb(np.uint8(255) * bits))


def paletted() -> tuple[Image.Image, np.ndarray]:
    indices = RNG.integers(0, 4, (5, 7)).astype(np.uint8)
    colours = np.array([[255, 0, 0], [0, 200, 10], [3, 4, 250], [90, 90, 90]], np.uint8)
    image = Image.fromarray(indices, mode="L")
    image.putpalette(colours.tobytes())
    return image, indices


def test_palette(tmp_path: Path) -> None:
    image, indices = paletted()
    assert image.mode == "P"
    colours = np.array([[255, 0, 0], [0, 200, 10], [3, 4, 250], [90, 90, 90]], np.uint8)
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.png", image)), colours[indices])
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.bmp", image)), colours[indices])
    np.testing.assert_array_equal(decode(save(tmp_path / "x.gif", image)), colours[indices])


def test_palette_with_transparency(tmp_path: Path) -> None:
    image, indices = paletted()
    shown = np.array([[255, 255, 255], [0, 200, 10], [3, 4, 250], [90, 90, 90]], np.uint8)  # 0 is white paper
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.png", image, transparency=0)), shown[indices])
    half = shown.copy()
    half[1] = np.round([255 * (1 - 51 / 255), 200 * 51 / 255 + 204, 10 * 51 / 255 + 204])
    path = save(tmp_path / "y.png", image, transparency=bytes([0, 51, 255, 255]))
    assert np.abs(read_image(path).astype(int) - half[indices]).max() <= 1


def test_transparent_colour_key(tmp_path: Path) -> None:
    expected = RGB.copy()
    expected[2, 3] = 255
    path = save(tmp_path / "x.png", RGB, transparency=tuple(int(v) for v in RGB[2, 3]))
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_opaque_alpha_changes_nothing(tmp_path: Path, suffix: str) -> None:
    opaque = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    options = {"lossless": True} if suffix == ".webp" else {}
    np.testing.assert_array_equal(read_image(save(tmp_path / f"x{suffix}", opaque, **options)), RGB)


def test_translucent_alpha_lies_on_white(tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, RGB.shape[:2], np.uint8)
    weight = alpha[..., None] / 255
    expected = RGB * weight + 255 * (1 - weight)
    read = read_image(save(tmp_path / "x.png", np.dstack([RGB, alpha])))
    assert np.abs(read - expected).max() <= 1


def test_grey_with_alpha(tmp_path: Path) -> None:
    grey, alpha = RGB[..., 0], RGB[..., 1]
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    weight = alpha / 255
    read = read_image(save(tmp_path / "x.png", image))
    assert np.abs(read - grey_rgb(grey * weight + 255 * (1 - weight))).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 128, 129, 257], [32896, 65535, 65406, 1000]], np.uint16)
    expected = np.array([[0, 0, 1, 1], [128, 255, 254, 4]], np.uint8)  # nearest of 257 k
    np.testing.assert_array_equal(read_image(save(tmp_path / f"x{suffix}", deep)), grey_rgb(expected))


def test_16_bit_grey_lies_on_its_side(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = (RGB[..., 0].astype(np.uint16)) * 257
    path = save(tmp_path / "x.png", deep, exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(grey_rgb(RGB[..., 0]), -1))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, pixels: bytes) -> bytes:
    """A PNG by hand, its header as given and its pixels as they are."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(pixels)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_16_bit_colour(tmp_path: Path) -> None:
    deep = RGB.astype(">u2") * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    (tmp_path / "x.png").write_bytes(png(7, 5, 16, 2, rows))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), RGB)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    read = read_image(save(tmp_path / "x.jpg", inks, quality=95))
    assert np.abs(read.astype(int) - [255, 0, 0]).max() < 12


def test_one_pixel(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "x.png", RGB[:1, :1])), RGB[:1, :1])


def test_photo_with_further_views(tmp_path: Path) -> None:
    """MPO, as many telephones write their .jpg: the first view is the photo."""
    first, second = Image.new("RGB", (16, 16), (200, 10, 10)), Image.new("RGB", (8, 8), (0, 0, 255))
    path = tmp_path / "x.jpg"
    first.save(path, format="MPO", save_all=True, append_images=[second])
    read = read_image(path)
    assert read.shape == (16, 16, 3) and np.abs(read.astype(int) - [200, 10, 10]).max() < 12


# What is none ----------------------------------------------------------------------------------------------


def frames() -> list[Image.Image]:
    return [Image.new("RGB", (8, 8), (40 * i, 0, 0)) for i in range(3)]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif", ".webp"])
def test_more_than_one_picture(tmp_path: Path, suffix: str) -> None:
    first, *rest = frames()
    path = save(tmp_path / f"x{suffix}", first, save_all=True, append_images=rest)
    with pytest.raises(UserError, match="animation or multi-page"):
        read_image(path)


def test_float_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="floating-point"):
        read_image(save(tmp_path / "x.tif", np.ones((4, 4), np.float32)))


def test_integer_samples_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="outside 0..65535"):
        read_image(save(tmp_path / "x.tif", np.full((4, 4), 70_000, np.int32)))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm"])
def test_truncated(tmp_path: Path, suffix: str, keep: float) -> None:
    path = save(tmp_path / f"x{suffix}", RNG.integers(0, 256, (40, 50, 3), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError, match=f"x\\{suffix}: (damaged|not an image)") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"Dear reader,\nthis is no image.\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.png: (not an image|damaged|an empty file)"):
        read_image(tmp_path / "x.png")


def test_random_damage_is_a_user_error_or_an_image(tmp_path: Path) -> None:
    """Whatever a decoder stumbles over, users see one line."""
    for format_, options in (("PNG", {}), ("JPEG", {}), ("TIFF", {}), ("GIF", {}), ("BMP", {}), ("WEBP", {})):
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, format=format_, **options)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for place in RNG.integers(0, len(data), 3):
                data[place] = RNG.integers(256)
            try:
                assert decode(io.BytesIO(bytes(data))).shape[2] == 3
            except UserError:
                continue


def test_decoders_of_all_kinds_of_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise TypeError("Missing dimensions")  # as Pillow's TIFF reader

    monkeypatch.setattr(reading.Image, "open", stumble)
    with pytest.raises(UserError, match="damaged or truncated image"):
        decode(io.BytesIO(b""), "x.tif")


def test_huge_header_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "bomb.png").write_bytes(png(100_000, 100_000, 8, 2, b""))
    with pytest.raises(UserError, match=r"bomb\.png.*limit is, 50 million"):
        read_image(tmp_path / "bomb.png", MAX_PIXELS)
    with pytest.raises(UserError, match=r"bomb\.png.*need about 111\.8 GiB of memory"):
        read_image(tmp_path / "bomb.png")
    (tmp_path / "large.png").write_bytes(png(10_000, 5_001, 8, 2, b""))
    with pytest.raises(UserError, match=r"10000 x 5001 pixels; the limit is 50 million"):
        read_image(tmp_path / "large.png", MAX_PIXELS)


def test_limit_itself_is_allowed(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "x.png", RGB), 35).shape == (5, 7, 3)
    with pytest.raises(UserError, match="7 x 5 pixels"):
        read_image(tmp_path / "x.png", 34)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(UserError, match="a folder, not an image"):
        read_image(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path / "file" / "x.png")
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path / ("x" * 300))


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)  # root may read everything
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        read_image(save(tmp_path / "x.png", RGB))


# Folders ---------------------------------------------------------------------------------------------------


def test_find_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.tiff", "notes.txt", "._b.png", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "d.png").touch()
    assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "c.tiff"]
    assert find_images(str(tmp_path)) == find_images(tmp_path)


def test_find_images_in_what_is_no_folder_of_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        find_images(tmp_path / "none")
    (tmp_path / "x.txt").touch()
    with pytest.raises(UserError, match="a file, not a folder"):
        find_images(tmp_path / "x.txt")
    with pytest.raises(UserError, match="no images"):
        find_images(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        find_images(tmp_path / ("x" * 300))


# Writing ---------------------------------------------------------------------------------------------------


def test_written_images_are_read_back(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "folder" / "x.png", RGB)
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "folder" / "x.png"), RGB)
    for form in (to_tensor(RGB), to_tensor(RGB)[0], to_tensor(RGB).double(), to_tensor(RGB).requires_grad_()):
        write_image(tmp_path / "y.PNG", form)
        np.testing.assert_array_equal(read_image(tmp_path / "y.PNG"), RGB)


def test_lossy_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in \.png"):
        write_image(tmp_path / "x.jpg", RGB)
    assert not list(tmp_path.iterdir())


def test_atomic_write_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    for text in ("old", "new"):
        with atomic_write(path) as temporary:
            assert temporary.parent == tmp_path and temporary != path
            temporary.write_text(text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_atomic_write_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "real.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    for text in ("first", "second"):  # it leads to nothing at first
        with atomic_write(link) as temporary:
            temporary.write_text(text)
        assert link.is_symlink() and target.read_text() == text


def test_atomic_write_gives_the_usual_permissions(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "x") as temporary:
        temporary.write_text("x")
    (tmp_path / "y").write_text("y")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError("crash"), KeyboardInterrupt()])
def test_atomic_write_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as temporary:
        temporary.write_text("half of the new o")
        assert path.read_text() == "old"
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_atomic_write_onto_a_full_disk(tmp_path: Path) -> None:
    full = OSError(28, os.strerror(28))
    with pytest.raises(UserError, match=r"written \(No space left on device\)"), atomic_write(tmp_path / "x"):
        raise full
    with pytest.raises(UserError, match=r"cannot be written \(encoder error\)"), atomic_write(tmp_path / "x"):
        raise OSError("encoder error")  # as Pillow raises it
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x.png", tmp_path / "file" / "deeper" / "x.png"):
        with pytest.raises(UserError, match=r"x\.png: cannot be written"):
            write_image(path, RGB)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=r"folder\.png: cannot be written"):
        write_image(tmp_path / "folder.png", RGB)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]


# Conversions -----------------------------------------------------------------------------------------------


def test_tensor_form() -> None:
    tensor = to_tensor(RGB)
    assert tensor.shape == (1, 3, 5, 7) and tensor.dtype == torch.float32
    assert tensor[0, 1, 2, 3].item() == pytest.approx(RGB[2, 3, 1] / 255, abs=1e-7)
    assert to_tensor(np.uint8([[[0, 255, 51]]])).flatten().tolist() == pytest.approx([0, 1, 0.2])


def test_every_level_survives_the_round_trip() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(to_uint8(to_tensor(ramp)), ramp)
    np.testing.assert_array_equal(to_uint8(to_tensor(ramp).half()), ramp)


def test_uint8_is_clamped_and_rounded() -> None:
    values = torch.tensor([-0.5, -0.001, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.2]).view(1, 1, 6).expand(3, 1, 6)
    assert to_uint8(values)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]
    assert round_to_levels(values)[0, 0].tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 4, 4), (4, 4), (1, 1, 4, 4)])
def test_uint8_takes_one_rgb_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one RGB image"):
        to_uint8(torch.zeros(shape))


def test_conversions_do_not_share_memory_with_read_only_arrays() -> None:
    frozen = RGB.copy()
    frozen.setflags(write=False)
    tensor = to_tensor(frozen)
    tensor.zero_()
    np.testing.assert_array_equal(frozen, RGB)


def test_channels_first() -> None:
    tensor = chw(RGB)
    assert tensor.shape == (3, 5, 7) and tensor.dtype == torch.uint8 and tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.numpy().transpose(1, 2, 0), RGB)


@pytest.mark.parametrize(("scale", "shape"), [(1, (5, 7)), (2, (4, 6)), (3, (3, 6)), (5, (5, 5))])
def test_crop_to_multiple(scale: int, shape: tuple[int, int]) -> None:
    np.testing.assert_array_equal(crop_to_multiple(RGB, scale), RGB[: shape[0], : shape[1]])


def test_crop_to_multiple_of_too_small_an_image() -> None:
    with pytest.raises(UserError, match="7 x 5 is too small for scale 6"):
        crop_to_multiple(RGB, 6)
