"""Grey pictures stay grey, and 16 bits a channel stay 16."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from mtkd.errors import UserError
from mtkd.images import Picture, Reading, read_image, read_picture, write_picture
from mtkd.networks.bicubic import Bicubic
from mtkd.photos import Enlarging, enlarged
from tests.photos.pictures import noise, save, smooth

CPU = torch.device("cpu")
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def png16(samples: np.ndarray, kind: int, extra: bytes = b"", filters: str = "") -> bytes:
    """A 16-bit PNG by hand; ``filters``: of each row in turn, "0" none, "1" left, "2" above."""
    height, width, channels = samples.shape
    assert CHANNELS[kind] == channels
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8).reshape(height, -1)
    body, step = b"", 2 * channels
    for number, row in enumerate(rows):
        chosen = int((filters or "0")[number % max(1, len(filters))])
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]])
        above = rows[number - 1] if number else np.zeros_like(row)
        body += bytes([chosen]) + (row - (0, left, above)[chosen]).astype(np.uint8).tobytes()

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(body))
            + chunk(b"IEND", b""))  # fmt: skip


def joined(picture: Picture) -> np.ndarray:
    return picture.colour if picture.alpha is None else np.dstack([picture.colour, picture.alpha])


@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("filters", ["0", "1", "2", "012"])
def test_16_bit_png(kind: int, filters: str, tmp_path: Path) -> None:
    samples = noise(9, 13, CHANNELS[kind], np.uint16)
    (tmp_path / "x.png").write_bytes(png16(samples, kind, filters=filters))
    np.testing.assert_array_equal(joined(read_picture(tmp_path / "x.png")), samples)


@pytest.mark.parametrize("kind", [0, 2])
def test_16_bit_png_with_a_transparent_colour(kind: int, tmp_path: Path) -> None:
    samples = noise(9, 13, CHANNELS[kind], np.uint16)
    key = samples[3, 4].astype(">u2").tobytes()
    chunk = struct.pack(">I", len(key)) + b"tRNS" + key + struct.pack(">I", zlib.crc32(b"tRNS" + key))
    (tmp_path / "x.png").write_bytes(png16(samples, kind, chunk))
    alpha = read_picture(tmp_path / "x.png").alpha
    assert alpha is not None
    np.testing.assert_array_equal(alpha == 0, (samples == samples[3, 4]).all(axis=2))


TIFFS = {
    "grey": (1, {"photometric": "minisblack"}),
    "grey, alpha": (2, {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
    "rgb": (3, {"photometric": "rgb"}),
    "rgba": (4, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "zip": (3, {"photometric": "rgb", "compression": "zlib", "predictor": True}),
    "big-endian": (3, {"photometric": "rgb", "byteorder": ">"}),
    "tiles": (3, {"photometric": "rgb", "tile": (16, 16)}),
    "strips": (3, {"photometric": "rgb", "rowsperstrip": 4}),
    "BigTIFF": (3, {"photometric": "rgb", "bigtiff": True}),
}


@pytest.mark.parametrize("name", TIFFS)
def test_16_bit_tiff(name: str, tmp_path: Path) -> None:
    channels, options = TIFFS[name]
    samples = noise(21, 34, channels, np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", samples if channels > 1 else samples[..., 0], **options)
    np.testing.assert_array_equal(joined(read_picture(tmp_path / "x.tif")), samples)


def test_16_bit_tiff_with_planes(tmp_path: Path) -> None:
    samples = noise(21, 34, 3, np.uint16)
    planes = np.moveaxis(samples, 2, 0)
    tifffile.imwrite(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(joined(read_picture(tmp_path / "x.tif")), samples)


@pytest.mark.parametrize("mode", ["I;16", "RGB"])
def test_lzw(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tifffile has no decoder for it, libtiff in Pillow has: here by a file whose codec tifffile is denied."""
    samples = noise(21, 34, 1 if mode == "I;16" else 3, np.uint16)
    if mode == "I;16":
        save(tmp_path / "x.tif", samples[..., 0], compression="tiff_lzw")
    else:
        tifffile.imwrite(tmp_path / "x.tif", samples, photometric="rgb", compression="zlib", predictor=True)

        def without(*_: object, **__: object) -> None:
            raise ValueError("requires the 'imagecodecs' package")

        monkeypatch.setattr(tifffile.TiffPage, "asarray", without)
    np.testing.assert_array_equal(joined(read_picture(tmp_path / "x.tif")), samples)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_lie_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    """As Pillow turns the same picture of 8 bits."""
    samples = noise(5, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow = io.BytesIO()
    Image.fromarray(samples).save(shallow, "PNG", exif=exif)
    deep = samples.astype(np.uint16) * 257
    if suffix == ".png":
        content = exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
        (tmp_path / "x.png").write_bytes(png16(deep, 2, chunk))
    else:
        tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    (tmp_path / "y.png").write_bytes(shallow.getvalue())
    np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), read_image(tmp_path / "y.png"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("greatest", [256, 1023, 4095, 30000, 65535])
def test_16_bit_ppm(channels: int, greatest: int, tmp_path: Path) -> None:
    samples = (noise(5, 7, channels, np.uint16).astype(int) % (greatest + 1)).astype(">u2")
    head = f"P{5 if channels == 1 else 6}\n# made\n7 5\n{greatest}\n".encode()
    (tmp_path / "x.ppm").write_bytes(head + samples.tobytes())
    expected = samples.astype(float) * 65535 / greatest
    assert np.abs(joined(read_picture(tmp_path / "x.ppm")) - expected).max() <= 0.5


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_written_and_read_again(channels: int, suffix: str, depth: type, tmp_path: Path) -> None:
    for samples in (noise(40, 33, channels, depth), smooth(40, 33, channels, np.iinfo(depth).max).astype(depth)):
        clear = channels in (2, 4)
        colour = samples[..., : channels - clear]
        write_picture(tmp_path / f"x{suffix}", Picture(colour, samples[..., -1] if clear else None))
        np.testing.assert_array_equal(joined(read_picture(tmp_path / f"x{suffix}")), samples)
        if suffix == ".tif":  # another program's view
            np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.tif").reshape(samples.shape), samples)
        elif depth is np.uint8:
            with Image.open(tmp_path / "x.png") as image:
                np.testing.assert_array_equal(np.asarray(image).reshape(samples.shape), samples)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_rounding_rule(channels: int) -> None:
    """Every 16-bit level becomes the nearest of the 256 levels 257 k, grey or not."""
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(channels, axis=2)
    nearest = np.round(levels.astype(float) / 257)
    np.testing.assert_array_equal(Picture(levels).rgb8(), nearest.repeat(3 // channels, axis=2))


@pytest.mark.parametrize("bits", [None, 8, 16])
@pytest.mark.parametrize("grey", [True, False])
def test_results_have_the_bits_of_the_picture(bits: int | None, grey: bool, tmp_path: Path) -> None:
    deep = smooth(channels=1 if grey else 3, top=65535).astype(np.uint16)
    result = enlarged(Bicubic(2), Picture(deep), 2, Enlarging(bits=bits), CPU)
    assert result.bits == (bits or 16) and result.grey == grey
    planes = torch.from_numpy(deep / 65535).permute(2, 0, 1).expand(3, -1, -1)[None].float()
    expected = Bicubic(2)(planes)[0].permute(1, 2, 0).numpy()[..., : 1 if grey else 3] * ((1 << (bits or 16)) - 1)
    assert np.abs(result.colour - expected).max() <= 0.51
    write_picture(tmp_path / "x.png", result)
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == {(True, 8): "L", (True, 16): "I;16"}.get((grey, result.bits), "RGB")
    assert (tmp_path / "x.png").read_bytes()[24] == result.bits


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I;16"])
def test_grey_stays_grey(mode: str, tmp_path: Path) -> None:
    plane = Image.fromarray(smooth(channels=1)[..., 0].astype(np.uint8))
    image = Image.fromarray(np.asarray(plane).astype(np.uint16) * 257) if mode == "I;16" else plane.convert(mode)
    picture = read_picture(save(tmp_path / "x.png", image))
    assert picture.grey
    write_picture(tmp_path / "y.jpg", enlarged(Bicubic(2), picture, 2, Enlarging(), CPU))
    with Image.open(tmp_path / "y.jpg") as result:
        assert result.mode == "L"


@pytest.mark.parametrize("bits", [9, 10, 11, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_that_fill_a_part_of_the_range(bits: int, channels: int, tmp_path: Path) -> None:
    most = (1 << bits) - 1
    samples = smooth(channels=channels, top=most).astype(np.uint16)
    samples[0, 0] = most
    tifffile.imwrite(tmp_path / "x.tif", samples if channels > 1 else samples[..., 0])
    as_it_is = read_picture(tmp_path / "x.tif")
    np.testing.assert_array_equal(as_it_is.colour, samples)
    assert any(f"{bits}-bit data" in note and f"--range 0-{most}" in note for note in as_it_is.notes)
    whole = read_picture(tmp_path / "x.tif", Reading(stretch=(0, most)))
    assert np.abs(whole.colour - samples.astype(float) * 65535 / most).max() <= 0.51 and not whole.notes


@pytest.mark.parametrize(
    ("samples", "stretch"),
    [
        (smooth(top=1).astype(np.float32), (0, 1)),
        (smooth(top=1, channels=1)[..., 0].astype(np.float64), (0.2, 0.7)),
        (smooth(top=2).astype(np.float32) - 1, (-1, 1)),
        (smooth(top=900_000).astype(np.uint32), (0, 900_000)),
        (smooth(top=255).astype(np.uint8), (20, 200)),
        (smooth(top=60000, channels=1)[..., 0].astype(np.int32) - 30000, (-30000, 30000)),
    ],
)
def test_any_samples_with_a_range(samples: np.ndarray, stretch: tuple[float, float], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", samples, photometric="rgb" if samples.ndim == 3 else "minisblack")
    picture = read_picture(tmp_path / "x.tif", Reading(stretch=stretch))
    expected = (
        ((samples.astype(float) - stretch[0]) / (stretch[1] - stretch[0])).clip(0, 1).reshape(picture.colour.shape)
    )
    top = 255 if samples.dtype == np.uint8 else 65535
    assert np.abs(picture.colour - expected * top).max() <= 0.51
    if samples.dtype.kind == "f":
        with pytest.raises(UserError, match=r"no agreed range; say it with `mtkd upscale --range"):
            read_picture(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_formats_of_8_bits_say_so(suffix: str, tmp_path: Path) -> None:
    notes = write_picture(tmp_path / f"x{suffix}", Picture(noise(depth=np.uint16)))
    assert any("8 bits a channel" in note for note in notes)
