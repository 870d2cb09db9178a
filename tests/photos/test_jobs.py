"""Many files at once: what each becomes, what is left out, and what a bad one stops (nothing)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd.errors import UserError
from mtkd.files import atomic_write
from mtkd.photos import plan
from mtkd.photos.jobs import fitting
from tests.conftest import Run
from tests.photos.pictures import noise, save


def bicubic(run: Run, *arguments: object) -> tuple[int, list[str], str]:
    outcome = run("upscale", *arguments, "--model", "bicubic", "--scale", 2)
    return outcome.code, outcome.out.splitlines(), outcome.err


BAD = {
    "text.png": b"hello",
    "empty.jpg": b"",
    "cut.png": b"\x89PNG\r\n\x1a\n",
    "page.webp": b"RIFF",
    "x.avif": b"\0\0\0\x1cftypavif",
}


@pytest.mark.sweep
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_file_among_many(bad: str, run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "m.jpg", "z.bmp"):
        save(tmp_path / "in" / name, noise())
    (tmp_path / "in" / bad).write_bytes(BAD[bad])
    (tmp_path / "in" / "notes.txt").write_text("no image")
    code, out, err = bicubic(run, tmp_path / "in", "-o", tmp_path / "out")
    assert code == 1 and [Path(line).name for line in out] == ["a_x2.png", "m_x2.png", "z_x2.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_x2.png", "m_x2.png", "z_x2.png"]
    lines = err.splitlines()
    assert "1 of 4 images failed, 1 files left out" in lines
    assert sum(line.startswith("failed: ") and bad in line for line in lines) == 1
    assert sum(line.startswith("left out: ") and "notes.txt" in line for line in lines) == 1


def test_going_on(run: Run, tmp_path: Path) -> None:
    for name in "abcde":
        save(tmp_path / "in" / f"{name}.png", noise())
    assert bicubic(run, tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    for name in "bd":
        (tmp_path / "out" / f"{name}_x2.png").unlink()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    code, out, err = bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--skip-existing")
    assert code == 0 and [Path(line).name for line in out] == ["b_x2.png", "d_x2.png"]
    assert err.count("left out: ") == 3 and "a_x2.png exists" in err
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_named_twice(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", noise())
    folder, file = tmp_path / "in", tmp_path / "in" / "a.png"
    for inputs in (
        (file, file),
        (folder, file),
        (file, folder),
        (folder, folder),
        (file, file.parent / ".." / "in" / "a.png"),
    ):
        jobs = plan(inputs, tmp_path / "out", 2).jobs
        assert [job.target.name for job in jobs] == ["a_x2.png", "b_x2.png"][: 2 if folder in inputs else 1]


def test_an_empty_file_is_no_result(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", noise())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_x2.png").touch()
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--skip-existing")
    assert code == 0 and len(out) == 1 and (tmp_path / "out" / "a_x2.png").stat().st_size
    assert bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--skip-existing")[1] == []


def test_into_the_input_folder(run: Run, tmp_path: Path) -> None:
    """Results of earlier runs, of any scale and format, are recognised by name and size, and not upscaled again."""
    long = "x" * 251
    names = ["a.png", "b.jpg", "photo.jpg", "photo.webp", f"{long}.png", "sub/d.png"]
    for name in names:
        save(tmp_path / name, noise(9, 7))
    for options in (("--scale", 2), ("--scale", 2), ("--scale", 3, "--format", "webp"), ("--scale", 2)):
        code, out, err = _in_place(run, tmp_path, *options)
        assert code == 0 and len(out) == len(names), err
    assert "left out: " + str(tmp_path / "photo_webp_x3.webp") + ": a result of photo.webp" in err
    assert err.count(": a result of ") == 12
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 18
    save(tmp_path / "late.png", noise(9, 7))
    code, out, err = _in_place(run, tmp_path, "--scale", 2, "--skip-existing")
    assert code == 0 and out == [str(tmp_path / "late_x2.png")] and err.count(" exists") == 6


def _in_place(run: Run, folder: Path, *options: object) -> tuple[int, list[str], str]:
    outcome = run("upscale", folder, "-o", folder, "--recursive", "--model", "bicubic", *options)
    return outcome.code, outcome.out.splitlines(), outcome.err


def test_a_folder_of_results_within_the_inputs(run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "sub/big/c.png"):
        save(tmp_path / name, noise())
    for _ in range(2):
        code, out, err = bicubic(run, tmp_path, "-o", tmp_path / "sub" / ".." / "big", "--recursive")
        assert code == 0 and len(out) == 3 and len(list((tmp_path / "big").rglob("*_x2.png"))) == 3
    assert f"left out: {tmp_path / 'big'}: the folder of the results" in err


def test_only_what_is_a_result_is_left_out(tmp_path: Path) -> None:
    """In another folder all are inputs; an input named like a result, but of another size, is never overwritten."""
    for name, side in (("a.png", 8), ("a_x2.png", 16), ("b_x2.png", 16), ("c.png", 8), ("c_x2.png", 15)):
        save(tmp_path / "in" / name, noise(side, side))
    assert len(plan([tmp_path / "in"], tmp_path / "out", 2).jobs) == 5
    with pytest.raises(UserError, match=r"c_x2\.png: an input, which would be overwritten"):
        plan([tmp_path / "in"], tmp_path / "in", 2)
    (tmp_path / "in" / "c_x2.png").unlink()
    assert [job.source.name for job in plan([tmp_path / "in"], tmp_path / "in", 2).jobs] == [
        "a.png",
        "b_x2.png",
        "c.png",
    ]


def test_sub_folders(run: Run, tmp_path: Path) -> None:
    names = ["a.png", "sub/a.png", "sub/deep/b.jpg", "sub/deep/er/a.png", "other/c.webp"]
    for name in names:
        save(tmp_path / "in" / name, noise())
    save(tmp_path / "in" / ".hidden" / "x.png", noise())
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--recursive")
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert code == 0 and written == {Path(name).with_name(f"{Path(name).stem}_x2.png") for name in names}
    assert len(out) == len(names)
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "flat")
    assert code == 0 and [Path(line).name for line in out] == ["a_x2.png"]


def test_what_is_no_image_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("in/a.png", "in/sub/b.png", "in/locked/c.png"):
        save(tmp_path / name, noise())
    (tmp_path / "in" / "nothing.png").symlink_to("nowhere.png")
    (tmp_path / "in" / "up").symlink_to("..")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    code, _, err = bicubic(run, tmp_path / "in", "-o", tmp_path / "flat")
    told = dict(line.split(": ")[1:] for line in err.splitlines() if line.startswith("left out: "))
    assert code == 0 and {Path(path).name: why for path, why in told.items()} == {
        "nothing.png": "a link to nothing", "up": "a link to a folder", "pipe.jpg": "not a file",
        "sub": "a folder; --recursive takes it", "locked": "a folder; --recursive takes it",
    }  # fmt: skip
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, out, err = bicubic(run, tmp_path / "in", "-o", tmp_path / "deep", "--recursive")
    assert code == 1 and [Path(line).name for line in out] == ["a_x2.png", "b_x2.png"]
    assert f"failed: {tmp_path / 'in' / 'locked'}: cannot be read (Permission denied)" in err.splitlines()


def test_twins(run: Run, tmp_path: Path) -> None:
    """photo.jpg beside photo.png: both are done, under names that tell them apart."""
    for suffix in ("jpg", "png", "webp"):
        save(tmp_path / "in" / f"photo.{suffix}", noise())
    save(tmp_path / "in" / "single.png", noise())
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "out")
    names = ["photo_jpg_x2.png", "photo_png_x2.png", "photo_webp_x2.png", "single_x2.png"]
    assert code == 0 and [Path(line).name for line in out] == names


def test_twins_and_one_of_their_names(run: Run, tmp_path: Path) -> None:
    """photo_png.webp has the name that photo.png needs beside photo.jpg."""
    for name in ("photo.jpg", "photo.png", "photo_png.webp"):
        save(tmp_path / "in" / name, noise())
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "out")
    names = ["photo_jpg_x2.png", "photo_png_webp_x2.png", "photo_png_x2.png"]
    assert code == 0 and sorted(Path(line).name for line in out) == names


NAMES = [
    "写真.png", "фото.png", "صورة.png", "café déjà.png", "🏔️ берег.png", "a b  c.png", "-dash.png", "100%.png",
    "'q'.png", "x" * 251 + ".png", "é" * 125 + ".png", "写" * 83 + ".png", "🏔" * 62 + ".png", "x" * 248 + ".png",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names(name: str, run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in" / name, noise())
    code, out, _ = bicubic(run, tmp_path / "in", "-o", tmp_path / "out")
    (written,) = (tmp_path / "out").iterdir()
    assert code == 0 and out == [str(written)] and written.name.endswith("_x2.png")
    assert len(os.fsencode(written.name)) <= 255
    if len(os.fsencode(name)) < 200:
        assert written.name == f"{Path(name).stem}_x2.png"


def test_shortened_names_stay_apart(tmp_path: Path) -> None:
    first, second = (fitting("x" * 240 + end, "_x4.png", tmp_path) for end in ("1" * 11, "2" * 11))
    assert first != second and len(first) == len(second) == 248


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "写" * 85, "🏔" * 63, "x"])
def test_a_result_may_have_the_longest_name(name: str, tmp_path: Path) -> None:
    with atomic_write(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.sweep
@pytest.mark.parametrize("form", ["png", "jpg", "webp", "avif", "tiff"])
def test_formats(form: str, run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        save(tmp_path / "in" / name, noise())
    assert bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--format", form)[0] == 0
    suffix = {"tiff": ".tif"}.get(form, f".{form}")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"a_x2{suffix}", f"b_x2{suffix}"]
    assert bicubic(run, tmp_path / "in" / "a.png", "-o", tmp_path / f"one{suffix}")[0] == 0
    for path in (tmp_path / f"one{suffix}", tmp_path / "out" / f"a_x2{suffix}"):
        with Image.open(path) as image:
            assert image.format == {"jpg": "JPEG"}.get(form, form.upper()) and image.size == (32, 24)


@pytest.mark.sweep
@pytest.mark.parametrize("form", ["jpg", "webp", "avif"])
def test_quality(form: str, run: Run, tmp_path: Path) -> None:
    save(tmp_path / "x.png", noise(64, 64))
    sizes = []
    for quality in (1, 30, 60, 95):
        assert bicubic(run, tmp_path / "x.png", "-o", tmp_path / f"y.{form}", "--quality", quality)[0] == 0
        sizes.append((tmp_path / f"y.{form}").stat().st_size)
    assert sizes == sorted(set(sizes))


def test_webp_is_lossless_at_100(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "x.png", noise())
    bicubic(run, tmp_path / "x.png", "-o", tmp_path / "y.webp", "--quality", 100)
    bicubic(run, tmp_path / "x.png", "-o", tmp_path / "y.png")
    with Image.open(tmp_path / "y.webp") as webp, Image.open(tmp_path / "y.png") as png:
        assert np.array_equal(np.asarray(webp.convert("RGB")), np.asarray(png))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "out.png", "--format", "jpg"), "out.png: its name asks for PNG, --format for JPEG"),
        (("-o", "out", "--format", "bmp"), "--format bmp: give one of png, jpg, webp, avif, tiff"),
        (("-o", "out.gif"), "GIF"),
        (("-o", "out.png", "--quality", "0"), "--quality 0: give 1 to 100"),
        (("-o", "out.png", "--quality", "101"), "--quality 101: give 1 to 100"),
        (("-o", "out.png", "--bits", "12"), "--bits 12: give 8 or 16"),
        (("-o", "out.png", "--range", "5"), "--range 5: give the values of black and white"),
        (("-o", "out.png", "--range", "9-5"), "--range 9-5: give the values"),
        (("-o", "out.png", "--background", "whit"), "--background whit: no colour"),
        (("-o", "out.png", "--frames", "0"), "--frames 0: give all"),
        (("-o", "out.mp4"), "out.mp4: results are PNG"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...], message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "x.png", noise())
    code, out, err = bicubic(run, "x.png", *arguments)
    assert code == 2 and message in err and not out and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_plan_names_no_input(tmp_path: Path) -> None:
    source = save(tmp_path / "a_x2.png", noise())
    save(tmp_path / "a.png", noise())
    with pytest.raises(UserError, match="an input, which would be overwritten"):
        plan([tmp_path], tmp_path, 2)
    assert plan([source], tmp_path, 2).jobs[0].target.name == "a_x2_x2.png"


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_a_picture_that_a_format_does_not_take(
    suffix: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of several: the others are done."""
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", noise(12, 17 if name == "b" else 16))
    usual = Image.Image.save

    def choosy(self: Image.Image, *arguments: object, **options: object) -> None:
        if self.width == 34:
            raise ValueError("EXIF data is too long")
        usual(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "save", choosy)
    code, out, err = bicubic(run, tmp_path / "in", "-o", tmp_path / "out", "--format", suffix)
    assert code == 1 and len(out) == 2
    assert f"failed: {tmp_path / 'out' / f'b_x2.{suffix}'}: cannot be written as" in err
    assert len(list((tmp_path / "out").iterdir())) == 2
