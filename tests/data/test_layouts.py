"""Benchmark sets in their usual layouts, LR images that are made, and DIV2K's border rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtkd.data.benchmarks import benchmark, layout, present
from mtkd.data.div2k import check_border, hr_folder, official_lr, pairs
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.evaluate import evaluate
from mtkd.home import data_folder, found_data
from mtkd.images import UInt8Image, chw, read_image, write_image
from mtkd.networks.bicubic import Bicubic
from mtkd.resize import Border, imresize
from tests.conftest import Run

NAMES = ("baby", "bird", "butterfly")


def hr_image(number: int, height: int = 48, width: int = 60) -> UInt8Image:
    return EXAMPLES[number % len(EXAMPLES)].read()[50 : 50 + height, 70 : 70 + width]


def lr_image(hr: UInt8Image, scale: int, border: Border = "clamp") -> UInt8Image:
    return imresize(chw(hr), 1 / scale, border).permute(1, 2, 0).contiguous().numpy()


def write_set(root: Path, style: str, scale: int = 4) -> None:
    """The same three images as a set "Set5"."""
    for number, name in enumerate(NAMES):
        hr, lr = hr_image(number), lr_image(hr_image(number), scale)
        files = {
            "SelfExSR": (f"image_SRF_{scale}/{name}_SRF_{scale}_HR", f"image_SRF_{scale}/{name}_SRF_{scale}_LR"),
            "BasicSR": (f"GTmod12/{name}", f"LRbicx{scale}/{name}"),
            "BasicSR x": (f"GTmod12/{name}", f"LRbicx{scale}/{name}x{scale}"),
            "EDSR": (f"HR/{name}", f"LR_bicubic/X{scale}/{name}x{scale}"),
            "HR": (name, None),
        }
        hr_name, lr_name = files[style]
        if style == "EDSR":  # their HR files are not cut
            hr = np.pad(hr, ((0, 3), (0, 1), (0, 0)))
        write_image(root / "Set5" / f"{hr_name}.png", hr)
        if lr_name:
            write_image(root / "Set5" / f"{lr_name}.png", lr)


@pytest.mark.parametrize("style", ["SelfExSR", "BasicSR", "BasicSR x", "EDSR", "HR"])
def test_layouts_are_the_same_set(style: str, tmp_path: Path) -> None:
    write_set(tmp_path, style)
    images = benchmark(tmp_path, "Set5", 4)
    assert [image.name for image in images] == list(NAMES)
    for number, image in enumerate(images):
        lr, hr = image.read()
        assert np.array_equal(hr, hr_image(number)) and np.array_equal(lr, lr_image(hr, 4))
        assert image.derived == (style == "HR")
    result = evaluate(Bicubic(4), images, 4)
    assert result.protocol == "Y, crop = scale, uint8" + (", LR derived" if style == "HR" else "")
    assert present(tmp_path, 4) == ["Set5"]
    named = {"BasicSR x": "BasicSR", "EDSR": "HR and LR_bicubic", "HR": "HR images alone"}
    assert layout(tmp_path / "Set5") == named.get(style, style)


def test_a_missing_scale_is_made_of_the_least_cut_hr_files(tmp_path: Path) -> None:
    """As Urban100 at x3, which its source lacks: from the HR files of x2, cut to a multiple of 3."""
    folder = tmp_path / "benchmarks" / "Urban100"
    for scale in (2, 4):
        hr = hr_image(1, 52 if scale == 2 else 48, 62 if scale == 2 else 60)
        write_image(folder / f"image_SRF_{scale}" / f"img_001_SRF_{scale}_HR.png", hr)
        write_image(folder / f"image_SRF_{scale}" / f"img_001_SRF_{scale}_LR.png", lr_image(hr, scale))
    (image,) = benchmark(tmp_path, "Urban100", 3)
    assert image.derived and image.name == "img_001" and image.hr.parent.name == "image_SRF_2"
    lr, hr = image.read()
    assert hr.shape == (51, 60, 3) and np.array_equal(hr, hr_image(1, 51, 60))
    assert np.array_equal(lr, lr_image(hr, 3))
    assert evaluate(Bicubic(3), [image], 3).protocol.endswith("LR derived")
    assert not benchmark(tmp_path, "Urban100", 2)[0].derived


def test_other_names_of_a_set(tmp_path: Path) -> None:
    write_set(tmp_path, "EDSR")
    (tmp_path / "Set5").rename(tmp_path / "B100")
    assert present(tmp_path, 4) == ["BSD100"] and len(benchmark(tmp_path, "BSD100", 4)) == 3


def test_what_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "Set5" / "notes").mkdir(parents=True)
    with pytest.raises(UserError, match="Set5: the set has no images for scale 4"):
        benchmark(tmp_path, "Set5", 4)
    assert present(tmp_path, 4) == []
    write_set(tmp_path, "BasicSR")
    (tmp_path / "Set5/GTmod12/bird.png").unlink()
    with pytest.raises(UserError, match="GTmod12/bird.png: no such file, but bird.png exists"):
        benchmark(tmp_path, "Set5", 4)


def test_where_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_DATA", raising=False)
    assert data_folder() == tmp_path / "home" / "data" and found_data() is None
    (tmp_path / "home" / "data").mkdir(parents=True)
    assert found_data() == tmp_path / "home" / "data"
    monkeypatch.setenv("MTKD_DATA", str(tmp_path / "elsewhere"))
    assert data_folder() == found_data() == tmp_path / "elsewhere"
    assert found_data(tmp_path) == tmp_path


def test_what_was_fetched_is_found_by_all(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_DATA", raising=False)
    write_set(tmp_path / "home" / "data" / "benchmarks", "HR")
    outcome = run("benchmark", "bicubic", "--sets", "Set5", "--json")
    (row,) = json.loads(outcome.out)
    assert row["images"] == 3 and row["protocol"] == "Y, crop = scale, uint8, LR derived"
    assert "LR derived (scale 4) on Set5" in run("benchmark", "bicubic", "--sets", "Set5").out


# --- DIV2K


def write_div2k(root: Path, border: Border, scale: int = 4, images: int = 4) -> Path:
    for number in range(images):
        hr = hr_image(number, 64, 72)
        write_image(root / "DIV2K" / "DIV2K_train_HR" / f"{number + 1:04d}.png", hr)
        lr = root / "DIV2K" / "DIV2K_train_LR_bicubic" / f"X{scale}" / f"{number + 1:04d}x{scale}.png"
        write_image(lr, lr_image(hr, scale, border))
    return root / "DIV2K" / "DIV2K_train_HR"


@pytest.mark.parametrize("border", ["clamp", "mirror"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_border_rule_is_found(border: Border, scale: int, tmp_path: Path) -> None:
    hr = write_div2k(tmp_path, border, scale)
    assert hr_folder(tmp_path, "DIV2K_train_HR") == hr
    if scale == 3:
        for path in hr.iterdir():  # 72 and 63 are multiples of 3
            write_image(path, read_image(path)[:63])
            number = int(path.stem)
            lr = lr_image(hr_image(number - 1, 63, 72), 3, border)
            write_image(hr.parent / "DIV2K_train_LR_bicubic/X3" / f"{path.stem}x3.png", lr)
    found = check_border(pairs(hr, scale), scale)
    other = "mirror" if border == "clamp" else "clamp"
    assert found.rule == border and found.exact == {border: 4, other: 0}
    assert found.pixels[border] == 0 == found.worst[border] and found.pixels[other] > 0


def test_neither_rule_or_both(tmp_path: Path) -> None:
    hr = write_div2k(tmp_path, "clamp")
    lr = tmp_path / "DIV2K/DIV2K_train_LR_bicubic/X4/0003x4.png"
    write_image(lr, read_image(lr) ^ 1)
    found = check_border(pairs(hr, 4), 4)
    assert found.rule == "neither" and found.exact["clamp"] == 3 and found.worst["clamp"] == 1
    flat = np.full((16, 16, 3), 90, np.uint8)
    write_image(tmp_path / "F_HR" / "a.png", flat)
    write_image(tmp_path / "F_LR_bicubic" / "X4" / "ax4.png", flat[:4, :4])
    assert check_border(pairs(tmp_path / "F_HR", 4), 4).rule == "both"


def test_div2k_folders(tmp_path: Path) -> None:
    hr = write_div2k(tmp_path, "clamp")
    assert official_lr(hr, 4) == hr.parent / "DIV2K_train_LR_bicubic" / "X4" and official_lr(hr, 2) is None
    assert official_lr(tmp_path, 4) is None
    with pytest.raises(UserError, match="X2: no such folder of LR images beside DIV2K_train_HR"):
        pairs(hr, 2)
    (hr.parent / "DIV2K_train_LR_bicubic/X4/0002x4.png").unlink()
    with pytest.raises(UserError, match="0002.png: no such file"):
        pairs(hr, 4)


def test_the_check_as_a_command(run: Run, tmp_path: Path) -> None:
    write_div2k(tmp_path, "mirror")
    (row,) = json.loads(run("data", "check", "div2k", "--data", tmp_path, "--json").out)
    assert row["rule"] == "mirror" and row["images"] == 4 and row["scale"] == 4
    table = run("data", "check", "div2k", "--data", tmp_path, "--images", 2)
    assert table.out.splitlines()[-1].split()[:4] == ["div2k", "x4", "2", "0"] and table.out.rstrip().endswith("mirror")
    outcome = run("data", "check", "div2k", "--data", tmp_path / "none")
    assert outcome.code == 2 and "no LR files with HR files for div2k" in outcome.err
