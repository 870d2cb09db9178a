"""Each situation of docs/photos.md once as people type it: `python -m mtkd.cli upscale ...`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.photos.pictures import cmyk_profile, noise, rgb_profile, save, smooth
from tests.photos.test_depth import png16
from tests.photos.test_frames import animation, pictures
from tests.photos.test_metadata import photo
from tests.photos.test_transparency import logo

pytestmark = pytest.mark.sweep


def upscale(*arguments: object, model: str = "rcan_tiny-mtkd", cwd: Path | None = None) -> tuple[int, list[str], str]:
    command = [sys.executable, "-m", "mtkd.cli", "upscale", *map(str, arguments), "--model", model]
    done = subprocess.run(
        command, capture_output=True, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    return done.returncode, os.fsdecode(done.stdout).splitlines(), os.fsdecode(done.stderr)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def test_what_is_not_needed_is_not_imported(tmp_path: Path) -> None:
    """Each of these takes as long as the upscaling of a small picture, or longer."""
    save(tmp_path / "x.png", noise())
    arguments = ["upscale", tmp_path / "x.png", "-o", tmp_path / "y.png", "--model", "edsr_tiny-mtkd"]
    code = (
        "import sys; from mtkd.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = set(done.stdout.splitlines())
    needless = {
        "gradio",
        "matplotlib",
        "mtkd.config",
        "onnxruntime",
        "plotly",
        "rich.progress",
        "scipy",
        "torch._dynamo",
    }
    assert "torch" in loaded and not needless & loaded


def test_profiles(tmp_path: Path) -> None:
    save(tmp_path / "in" / "p3.jpg", smooth().astype(np.uint8), icc_profile=rgb_profile("Display P3"))
    save(tmp_path / "in" / "adobe.png", smooth().astype(np.uint8), icc_profile=rgb_profile("Adobe RGB"))
    inks = Image.frombytes("CMYK", (32, 24), smooth(channels=4).astype(np.uint8).tobytes())
    save(tmp_path / "in" / "inks.tif", inks, icc_profile=cmyk_profile(0.9))
    code, out, err = upscale(tmp_path / "in", "-o", tmp_path / "out")
    assert code == 0 and len(out) == 3 and err == "device: cpu\n"
    assert all(opened(Path(line)).info["icc_profile"] for line in out)
    code, out, _ = upscale(tmp_path / "in", "-o", tmp_path / "kept", "--keep-profile", "--format", "tiff")
    assert code == 0 and [opened(Path(line)).mode for line in out] == ["RGB", "CMYK", "RGB"]


def test_transparency(tmp_path: Path) -> None:
    save(tmp_path / "logo.png", logo(9, (200, 10, 10), (0, 0, 0)))
    assert upscale(tmp_path / "logo.png", "-o", tmp_path / "big.webp")[0] == 0
    assert opened(tmp_path / "big.webp").mode == "RGBA"
    assert upscale(tmp_path / "logo.png", "-o", tmp_path / "big.png", "--background", "#203040")[0] == 0
    assert opened(tmp_path / "big.png").mode == "RGB"
    assert opened(tmp_path / "big.png").getpixel((0, 0)) == pytest.approx((0x20, 0x30, 0x40), abs=2)


def test_depth(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png16(smooth(top=65535).astype(np.uint16), 2))
    for name, options, bits in (("y.png", (), 16), ("y.tif", (), 16), ("z.tif", ("--bits", 8), 8)):
        assert upscale(tmp_path / "x.png", "-o", tmp_path / name, *options)[0] == 0
        if name.endswith(".tif"):
            assert tifffile.imread(tmp_path / name).dtype == (np.uint8 if bits == 8 else np.uint16)
        else:
            assert (tmp_path / name).read_bytes()[24] == bits
    tifffile.imwrite(tmp_path / "12.tif", smooth(channels=1, top=4095)[..., 0].astype(np.uint16))
    code, _, err = upscale(tmp_path / "12.tif", "-o", tmp_path / "v.tif")
    assert code == 0 and "12-bit data; --range 0-4095" in err
    assert upscale(tmp_path / "12.tif", "-o", tmp_path / "w.tif", "--range", "0-4095")[0] == 0
    narrow, wide = (tifffile.imread(tmp_path / name).astype(float) for name in ("v.tif", "w.tif"))
    assert narrow.max() < 4200 and wide.max() > 50_000


def test_metadata(tmp_path: Path) -> None:
    photo(tmp_path / "x.jpg", 0, dpi=(300, 300))
    assert upscale(tmp_path / "x.jpg", "-o", tmp_path / "y.jpg")[0] == 0
    image = opened(tmp_path / "y.jpg")
    assert image.getexif()[272] == "EOS R5" and image.info["dpi"] == (1200, 1200)
    assert upscale(tmp_path / "x.jpg", "-o", tmp_path / "z.jpg", "--strip-metadata")[0] == 0
    assert not dict(opened(tmp_path / "z.jpg").getexif())


def test_many(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "sub/c.jpg"):
        save(tmp_path / "in" / name, noise())
    (tmp_path / "in" / "sub" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    code, out, err = upscale(tmp_path / "in", "-o", tmp_path / "out", "-r", model="bicubic")
    assert code == 1 and len(out) == 3 and "bad.png" in err and "notes.txt" in err
    (tmp_path / "out" / "sub" / "b_x4.png").unlink()
    code, out, _ = upscale(tmp_path / "in", "-o", tmp_path / "out", "-r", "--skip-existing", model="bicubic")
    assert code == 1 and out == [str(tmp_path / "out" / "sub" / "b_x4.png")]


def test_into_the_input_folder(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", noise())
    for options, made in (((), 2), ((), 2), (("--skip-existing",), 0)):
        code, out, err = upscale("in", "-o", "in", *options, model="bicubic", cwd=tmp_path)
        assert code == 0 and len(out) == made and len(list((tmp_path / "in").iterdir())) == 4
    assert "left out: in/a_x4.png: a result of a.png" in err and "left out: in/a.png: a_x4.png exists" in err


def test_names(tmp_path: Path) -> None:
    save(tmp_path / "x.png", noise())
    (tmp_path / "in").mkdir()
    for name in ("写" * 83 + ".png", "caf\udce9.png"):  # the second one is no text
        (tmp_path / "in" / name).write_bytes((tmp_path / "x.png").read_bytes())
    code, out, _ = upscale(tmp_path / "in", "-o", tmp_path / "out", model="bicubic")
    assert code == 0 and all(Path(line).is_file() for line in out) and len(out) == 2


def test_grey(tmp_path: Path) -> None:
    save(tmp_path / "x.png", smooth(channels=1)[..., 0].astype(np.uint8))
    for name in ("y.png", "y.jpg", "y.tif"):
        assert upscale(tmp_path / "x.png", "-o", tmp_path / name, model="bicubic")[0] == 0
        assert opened(tmp_path / name).mode == "L"


def test_formats(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    for suffix in ("avif", "jp2", "webp", "tif", "bmp", "gif", "heic"):
        save(tmp_path / "in" / f"{suffix}.{suffix}", smooth().astype(np.uint8))
    options = ("--format", "avif", "--quality", 80)
    code, out, err = upscale(tmp_path / "in", "-o", tmp_path / "out", *options, model="bicubic")
    assert code == 0 and len(out) == 7 and err == "device: cpu\n"
    assert all(opened(Path(line)).format == "AVIF" for line in out)


def test_frames(tmp_path: Path) -> None:
    animation(tmp_path / "x.gif")
    code, _, err = upscale(tmp_path / "x.gif", "-o", tmp_path / "y.gif", model="bicubic")
    assert code == 2 and err.count("\n") == 1
    code, out, _ = upscale(tmp_path / "x.gif", "-o", tmp_path / "out", "--frames", "all", model="bicubic")
    assert code == 0 and out == [str(tmp_path / "out" / "x_x4.gif")] and len(pictures(Path(out[0]))) == 5
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(99))
    code, _, err = upscale(tmp_path / "film.mp4", "-o", tmp_path / "out", model="bicubic")
    assert code == 2 and "ffmpeg -i film.mp4" in err and err.count("\n") == 1
