"""Animations and files of several pages: all of them, one of them, or one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from mtkd.errors import UserError
from mtkd.images import Reading, read_picture
from tests.conftest import Run
from tests.photos.pictures import noise, save
from tests.photos.test_jobs import bicubic

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 40), (90, 90, 90)]


def flat(number: int, size: tuple[int, int] = (16, 12)) -> Image.Image:
    return Image.new("RGB", size, COLOURS[number])


def animation(path: Path, count: int = 5, **options: Any) -> Path:
    return save(path, flat(0), save_all=True, append_images=[flat(n) for n in range(1, count)], **options)


def pictures(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(image)]


def times(image: Image.Image) -> list[float]:
    found = []
    for frame in ImageSequence.Iterator(image):
        frame.load()
        found.append(frame.info["duration"])
    return found


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif", ".tif"])
def test_all_frames(suffix: str, run: Run, tmp_path: Path) -> None:
    timing = {} if suffix == ".tif" else {"duration": [50, 100, 150, 200, 250]}
    path = animation(tmp_path / f"x{suffix}", **timing)
    code, out, _ = bicubic(run, path, "-o", tmp_path / "out", "--frames", "all")
    assert code == 0 and out == [str(tmp_path / "out" / f"x_x2{suffix}")]
    found = pictures(Path(out[0]))
    assert len(found) == 5
    for number, frame in enumerate(found):
        assert frame.shape == (24, 32, 3) and np.abs(frame - COLOURS[number]).max() <= 8
    with Image.open(path) as before, Image.open(out[0]) as after:
        assert before.format == after.format
        if timing:
            assert times(before) == times(after) == timing["duration"]


@pytest.mark.sweep
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif", ".tif"])
def test_without_asking_it_is_one_line(suffix: str, run: Run, tmp_path: Path) -> None:
    path = animation(tmp_path / f"x{suffix}")
    code, out, err = bicubic(run, path, "-o", tmp_path / "out")
    assert code == 2 and not out and err.count("\n") == 1
    assert "an animation or multi-page file (5 pictures)" in err and "--frames all" in err


@pytest.mark.sweep
@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_one_frame(suffix: str, number: int, run: Run, tmp_path: Path) -> None:
    path = (
        animation(tmp_path / f"x{suffix}", lossless=True) if suffix == ".webp" else animation(tmp_path / f"x{suffix}")
    )
    code, out, _ = bicubic(run, path, "-o", tmp_path / "y.png", "--frames", number)
    assert code == 0 and np.abs(pictures(Path(out[0]))[0] - COLOURS[number - 1]).max() <= 1
    code, _, err = bicubic(run, path, "-o", tmp_path / "z.png", "--frames", 6)
    assert code == 2 and "it has 5 frames or pages; there is no number 6" in err


@pytest.mark.sweep
@pytest.mark.parametrize("loop", [None, 0, 1, 2, 7])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_as_often_as_before(loop: int | None, suffix: str, run: Run, tmp_path: Path) -> None:
    path = animation(tmp_path / f"x{suffix}", **({} if loop is None else {"loop": loop}))
    _, out, _ = bicubic(run, path, "-o", tmp_path / "out", "--frames", "all")
    with Image.open(path) as before, Image.open(out[0]) as after:
        assert before.info.get("loop") == after.info.get("loop")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_transparent_frames(suffix: str, run: Run, tmp_path: Path) -> None:
    frames = []
    for number in range(3):
        frame = Image.new("RGBA", (16, 12), (0, 0, 0, 0))
        frame.paste((*COLOURS[number], 255), (4 * number, 2, 4 * number + 4, 10))
        frames.append(frame)
    more = {".tif": {}, ".gif": {"disposal": 2}}.get(suffix, {"lossless": True, "kmax": 1} if suffix == ".webp" else {})
    path = save(tmp_path / f"x{suffix}", frames[0], save_all=True, append_images=frames[1:], **more)
    _, out, _ = bicubic(run, path, "-o", tmp_path / "out", "--frames", "all")
    with Image.open(out[0]) as image:
        found = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]
    assert len(found) == 3
    for number, frame in enumerate(found):
        assert frame[12, 8 * number + 4, 3] == 255 and frame[12, (8 * number + 20) % 32, 3] == 0
        assert np.abs(frame[12, 8 * number + 4, :3].astype(int) - COLOURS[number]).max() <= 10


@pytest.mark.sweep
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pages_of_any_size_and_depth(depth: type, channels: int, run: Run, tmp_path: Path) -> None:
    pages = [noise(6 + number, 9 - number, channels, depth) for number in range(5)]
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for page in pages:
            file.write(page if channels > 1 else page[..., 0], photometric="rgb" if channels > 1 else "minisblack")
    for number, page in enumerate(pages):
        picture = read_picture(tmp_path / "x.tif", Reading(frame=number))
        np.testing.assert_array_equal(picture.colour, page[..., :3])
    code, out, _ = bicubic(run, tmp_path / "x.tif", "-o", tmp_path / "out", "--frames", "all")
    with tifffile.TiffFile(out[0]) as file:
        assert code == 0 and [page.shape[:2] for page in file.pages] == [(12 + 2 * n, 18 - 2 * n) for n in range(5)]
        assert all(page.dtype == depth for page in file.pages)


def test_a_small_copy_is_no_page(tmp_path: Path) -> None:
    photo = noise()
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(photo, photometric="rgb")
        file.write(photo[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").colour, photo)


@pytest.mark.sweep
def test_other_kinds_of_animation(run: Run, tmp_path: Path) -> None:
    path = animation(tmp_path / "x.gif")
    for target in ("y.webp", "y.png", "y.gif", "y.tif", "y.avif"):
        assert bicubic(run, path, "-o", tmp_path / target, "--frames", "all")[0] == 0
        assert len(pictures(tmp_path / target)) == 5
    code, _, err = bicubic(run, path, "-o", tmp_path / "y.jpg", "--frames", "all")
    assert code == 2 and "5 frames or pages, but JPEG holds one" in err


def test_single_pictures_among_animations(run: Run, tmp_path: Path) -> None:
    animation(tmp_path / "in" / "a.gif")
    save(tmp_path / "in" / "b.png", noise())
    save(tmp_path / "in" / "c.gif", noise())
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--frames", "all")
    assert code == 0 and [Path(line).name for line in out] == ["a_x2.gif", "b_x2.png", "c_x2.png"]


@pytest.mark.parametrize("name", ["clip.mp4", "film.mov", "x.mkv", "y.webm", "z.avi"])
def test_a_video(name: str, run: Run, tmp_path: Path) -> None:
    head = {
        ".mp4": b"\0\0\0\x20ftypisom",
        ".mov": b"\0\0\0\x14ftypqt  ",
        ".mkv": b"\x1aE\xdf\xa3",
        ".webm": b"\x1aE\xdf\xa3",
    }
    (tmp_path / name).write_bytes(head.get(name[name.index(".") :], b"RIFF\0\0\0\0AVI ") + bytes(99))
    code, out, err = bicubic(run, tmp_path / name, "-o", tmp_path / "out")
    assert code == 2 and not out and err.count("\n") == 1
    assert f"ffmpeg -i {name} frames/%06d.png" in err and "mtkd upscale frames -o big" in err
    with pytest.raises(UserError, match="a video"):
        read_picture(tmp_path / name)


def test_the_picture_beside_an_animated_png_is_no_frame(run: Run, tmp_path: Path) -> None:
    """It is for programs that show no animation."""
    path = tmp_path / "x.png"
    options = {"save_all": True, "append_images": [flat(1), flat(2)], "default_image": True, "duration": [100, 250]}
    flat(0).save(path, **options)
    code, out, _ = bicubic(run, path, "-o", tmp_path / "out", "--frames", "all")
    assert code == 0
    with Image.open(out[0]) as image:
        assert times(image) == [100, 250]
    for found, number in zip(pictures(Path(out[0])), (1, 2), strict=True):
        assert np.abs(found - COLOURS[number]).max() <= 1
    code, out, _ = bicubic(run, path, "-o", tmp_path / "one.png", "--frames", "1")
    assert code == 0 and np.abs(pictures(Path(out[0]))[0] - COLOURS[1]).max() <= 1
