"""Date, camera, copyright and resolution are kept; thumbnail, size and maker's notes are not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mtkd.images import Picture, read_picture, write_picture
from mtkd.images.writing import Writing
from mtkd.networks.bicubic import Bicubic
from mtkd.photos import Enlarging, enlarged
from tests.photos.pictures import noise, save

CAMERAS = [
    {271: "Canon", 272: "EOS R5", 306: "2024:02:29 23:59:59", 315: "Ada", 33432: "(c) Ada 2024"},
    {271: "Apple", 272: "iPhone 15", 305: "17.1", 306: "2023:12:31 00:00:00", 274: 6},
    {270: "A boat", 33432: "(c) 渡辺".encode(), 272: "X100V"},
    {306: "2001:01:01 12:00:00", 274: 3},
    {315: "Bob", 40093: "Bob".encode("utf-16-le")},
]
SHOTS: list[dict[int, Any]] = [
    {36867: "2024:02:29 23:59:58", 33434: 0.005, 34855: 400, 37386: 50.0, 42036: "RF50mm"},
    {36867: "2023:12:31 00:00:00", 40962: 7, 40963: 5, 40961: 65535, 37500: b"maker" * 1000},
    {37510: b"ASCII\0\0\0a remark"},
    {36881: "+01:00"},
    {37121: b"\1\2\3\0"},
]
PLACE = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}


def exif(number: int, place: bool = False) -> Image.Exif:
    found = Image.Exif()
    for tag, value in CAMERAS[number].items():
        found[tag] = value
    found[34665] = SHOTS[number]
    if place:
        found[34853] = PLACE
    return found


def photo(path: Path, number: int, **options: Any) -> Path:
    return save(path, noise(5, 7), exif=exif(number, place=number == 0).tobytes(), **options)


def result(path: Path, suffix: str, scale: int = 2, **how: Any) -> Image.Image:
    big = enlarged(Bicubic(scale), read_picture(path), scale, Enlarging(), torch.device("cpu"))
    target = path.with_name(f"result{suffix}")
    write_picture(target, big, Writing(**how))
    return Image.open(target)


SOURCES = [(source, number) for source in (".jpg", ".webp", ".png") for number in range(len(CAMERAS))]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize(("source", "number"), [*SOURCES, (".tif", 0)])
def test_what_is_kept(source: str, suffix: str, number: int, tmp_path: Path) -> None:
    read = result(photo(tmp_path / f"x{source}", number), suffix).getexif()
    for tag, value in CAMERAS[number].items():
        if tag == 274:
            assert read.get(tag, 1) == 1
        elif tag != 40093:
            assert read.get(tag) == (value.decode("latin-1") if isinstance(value, bytes) else value), (
                tag
            )  # Pillow's way
    shot, wide = read.get_ifd(34665), CAMERAS[number].get(274, 1) != 6
    for tag, value in SHOTS[number].items():
        if tag not in (37500, 40961, 40962, 40963):
            assert shot[tag] == (pytest.approx(value) if isinstance(value, float) else value), tag
    assert (shot[40962], shot[40963]) == ((14, 10) if wide else (10, 14)) and shot[40961] == 1 and 37500 not in shot
    assert dict(read.get_ifd(34853)) == (PLACE if number == 0 else {})


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_stripped(suffix: str, tmp_path: Path) -> None:
    image = result(photo(tmp_path / "x.jpg", 0, dpi=(300, 300)), suffix, keep_metadata=False)
    tags = set(image.getexif()) - {
        254,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        282,
        283,
        284,
        296,
        317,
        339,
    }
    assert not tags and not image.getexif().get_ifd(34665)
    assert image.info.get("dpi", (72, 72))[0] < 100


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_dpi_grows_with_the_picture(suffix: str, dpi: int, scale: int, tmp_path: Path) -> None:
    path = save(tmp_path / f"x{suffix}", noise(5, 7), dpi=(dpi, dpi))
    assert result(path, suffix, scale).info["dpi"] == pytest.approx((dpi * scale, dpi * scale), abs=0.5)


def test_the_thumbnail_is_dropped(tmp_path: Path) -> None:
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "JPEG")
    block = bytearray(exif(0).tobytes())
    block += small.getvalue()
    save(tmp_path / "x.jpg", noise(5, 7), exif=bytes(block))
    assert small.getvalue()[:20] in (tmp_path / "x.jpg").read_bytes()[20:]
    result(tmp_path / "x.jpg", ".jpg")
    assert (tmp_path / "result.jpg").read_bytes().count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize(
    "damage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"x" * 99]
)
def test_damaged_metadata_is_left_out(damage: bytes, tmp_path: Path) -> None:
    picture = read_picture(
        save(tmp_path / "x.jpg", noise(5, 7), exif=damage) if damage else photo(tmp_path / "x.jpg", 2)
    )
    assert picture.size == (7, 5)
    write_picture(tmp_path / "y.jpg", picture)


def test_remarks_of_a_png(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    remarks = PngInfo()
    for key in ("Title", "Author", "Copyright", "Description", "Comment"):
        remarks.add_text(key, f"{key} 漢字 é")
    remarks.add_text("parameters", "of another program")
    image = result(save(tmp_path / "x.png", noise(5, 7), pnginfo=remarks), ".png")
    assert image.text == {key: f"{key} 漢字 é" for key in ("Title", "Author", "Copyright", "Description", "Comment")}  # type: ignore[attr-defined]


def test_a_picture_that_has_none(tmp_path: Path) -> None:
    write_picture(tmp_path / "x.png", Picture(noise()))
    chunks = (tmp_path / "x.png").read_bytes()
    assert all(kind not in chunks for kind in (b"eXIf", b"pHYs", b"iTXt", b"iCCP"))


def test_adobe_rgb_that_only_the_camera_names(tmp_path: Path) -> None:
    found = Image.Exif()
    found[34665] = {40961: 65535, 40965: {1: "R03"}}
    vivid = noise(5, 7)
    picture = read_picture(save(tmp_path / "x.png", vivid, exif=found))
    assert picture.tagged and (picture.colour != vivid).any()
    found[34665] = {40961: 65535, 40965: {1: "R98"}}
    assert not read_picture(save(tmp_path / "y.png", vivid, exif=found)).tagged
