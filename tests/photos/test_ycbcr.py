"""TIFFs in YCbCr, of every packing and subsampling: read as RGB, never as damaged, never with wrong colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd.images.reading import decoded, read_image
from tests.conftest import Run
from tests.photos import ycbcr
from tests.photos.pictures import smooth

EVEN, ODD = smooth(24, 32).astype(np.uint8), smooth(23, 29).astype(np.uint8)


def by_formula(rgb: np.ndarray, across: int, down: int, rows: int) -> np.ndarray:
    """Differences averaged over ``across`` x ``down`` pixels of a strip of ``rows``, and back."""
    ycc = ycbcr.differences(rgb).astype(float)
    for top in range(0, len(ycc), rows):
        strip = ycc[top : top + rows]
        for y in range(0, len(strip), down):
            for x in range(0, strip.shape[1], across):
                lines = np.minimum(np.arange(y, y + down), len(strip) - 1)  # edges are repeated
                columns = np.minimum(np.arange(x, x + across), strip.shape[1] - 1)
                mean = strip[np.ix_(lines, columns, [1, 2])].mean(axis=(0, 1))
                strip[y : y + down, x : x + across, 1:] = mean.round()
    luma, cb, cr = ycc[..., 0], ycc[..., 1] - 128, ycc[..., 2] - 128
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return np.stack([red, green, blue], axis=-1).clip(0, 255)


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)])
@pytest.mark.parametrize("kind", ["strips", "big-endian", "zip", "tiles"])
def test_uncompressed_and_zip(kind: str, across: int, down: int) -> None:
    for rgb in (EVEN, ODD):
        if kind == "tiles":
            data, rows = ycbcr.tiles(rgb, across, down), 16
        else:
            packing, order = 8 if kind == "zip" else 1, ">" if kind == "big-endian" else "<"
            data, rows = ycbcr.strips(rgb, across, down, packing=packing, order=order), 8
        expected = by_formula(rgb, across, down, rows)
        assert np.abs(decoded(data, kind).rgb8() - expected).max() <= 2


@pytest.mark.parametrize("packing", [1, 8])
def test_planes(packing: int) -> None:
    expected = by_formula(EVEN, 1, 1, 24)
    assert np.abs(decoded(ycbcr.planes(EVEN, packing), "planes").rgb8() - expected).max() <= 2


@pytest.mark.parametrize(
    "make", [ycbcr.with_jpeg, ycbcr.with_old_jpeg, lambda rgb, _: ycbcr.tiles(rgb, 2, 2, packing=7)]
)
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_new_and_old(make: object, subsampling: int) -> None:
    rgb = decoded(make(EVEN, subsampling), "jpeg").rgb8()  # type: ignore[operator]
    assert np.abs(rgb.astype(float) - EVEN).mean() < 4


def test_other_weights() -> None:
    """Of Rec. 709 rather than 601."""
    assert np.abs(decoded(ycbcr.other_weights(EVEN), "weights").rgb8().astype(float) - EVEN).max() <= 2


def test_of_other_programs(tmp_path: Path) -> None:
    for packing in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
        Image.fromarray(EVEN).convert("YCbCr").save(tmp_path / "x.tif", compression=packing)
        assert np.abs(read_image(tmp_path / "x.tif").astype(float) - EVEN).mean() < (3 if packing == "jpeg" else 1)


def test_as_a_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(ycbcr.strips(ODD, 2, 2))
    Image.fromarray(read_image(tmp_path / "x.tif")).save(tmp_path / "x.png")
    for suffix in ("tif", "png"):
        outcome = run("upscale", tmp_path / f"x.{suffix}", "-o", tmp_path / f"{suffix}.png", "--model", "bicubic")
        assert outcome.code == 0, outcome.err
    np.testing.assert_array_equal(read_image(tmp_path / "tif.png"), read_image(tmp_path / "png.png"))
