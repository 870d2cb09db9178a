"""Which result belongs to which ground truth: names as programs make them, in any order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from mtkd.data.pairing import by_order, pair
from mtkd.errors import UserError
from tests.conftest import Run

SETS = (
    ("baby", "bird", "butterfly", "head", "woman"),
    tuple(f"{n:04}" for n in range(801, 812)),
    tuple(f"img_{n:03}" for n in range(1, 13)),
    tuple(f"img{n}" for n in range(1, 12)),
    ("old_town", "old-tree", "town", "Tree 2", "2"),
    ("größe", "Katze", "猫", "кот", "kot"),
    ("DSC_0012", "DSC_0112", "IMG_20240101_120000", "IMG_20240101_120001"),
    ("1", "2", "3", "4", "10", "12"),
)
TAGS = (
    "x4", "X4", "4x", "SRx4", "_x4", "SR", "SwinIR", "Swin2SR", "RCAN", "EDSR-baseline", "out", "Set5", "DIV2K",
    "RealESRGAN_x4plus", "result", "v1.2", "bicubic", "SRF_4", "seed3", "epoch 250",
)  # fmt: skip
KINDS = ("HR", "GT", "original", "mod4")
SUFFIXES = (".png", ".jpg", ".PNG", ".webp", ".tif")


def named(stems: tuple[str, ...], rng: Random, tags: tuple[str, ...], most: int, folder: str) -> list[Path]:
    """The stems with the same tags before and after them, as one program writes them."""
    signs, suffix = rng.choice("_-. "), rng.choice(SUFFIXES)
    before, after = (rng.choices(tags, k=rng.randint(0, most)) for _ in range(2))
    return [Path(folder) / (signs.join([*before, stem, *after]) + suffix) for stem in stems]


@pytest.mark.parametrize("stems", SETS, ids=lambda stems: stems[0])
@pytest.mark.parametrize("seed", range(25))
def test_any_prefix_and_suffix(stems: tuple[str, ...], seed: int) -> None:
    """Of results with any tags and ground truth with a kind, each finds its own; the order on disk does not matter."""
    rng = Random(f"{seed}{stems}")
    sr, hr = named(stems, rng, TAGS, 3, "sr"), named(stems, rng, KINDS, 1, "hr")
    expected = dict(zip(sr, hr, strict=True))
    rng.shuffle(sr)
    rng.shuffle(hr)
    assert dict(pair(sr, hr)) == expected
    assert dict(pair(sr[:2], hr)) == {path: expected[path] for path in sr[:2]}  # others may be left over


@pytest.mark.parametrize(
    ("sr", "hr"),
    [
        ("0801x4.png 0802x4.png", "0801.png 0802.png"),
        ("1.png 2.png 10.png", "0001.png 0002.png 0010.png"),
        ("img_1_SR.png img_2_SR.png img_10_SR.png", "img_001.png img_002.png img_010.png"),
        ("\U0001f3d4_x4.png \U0001f30a_x4.png", "\U0001f3d4.png \U0001f30a.png"),
        ("baby_SwinIR.png", "ground_truth_baby.png"),
        ("0801x4_SR.png 0802x4_SR.png", "0801.jpg 0802.jpg"),
        ("img_001_SRF_4_LR_x4.png img_002_SRF_4_LR_x4.png", "img_001_SRF_4_HR.png img_002_SRF_4_HR.png"),
        ("a_x2.png img_SRF_2_LR_x2.png same.png", "a.png img_SRF_2_HR.png same.png img_SRF_2_LR.png"),
        ("1_Swin2SR.png 2_Swin2SR.png", "1.png 2.png"),
        ("baby_x2.png baby_2_x2.png", "baby.png baby_2.png"),
        ("SwinIR-x4-baby-out.webp", "baby_GT.png bird_GT.png"),
        ("img4_x2.png img2_x2.png", "img4.png img2.png"),
        ("photo_x2_x4.png", "photo.png other.png"),
    ],
)
def test_known_forms(sr: str, hr: str) -> None:
    files, truths = [[Path(name) for name in names.split()] for names in (sr, hr)]
    assert [other for _, other in pair(files, truths)] == truths[: len(files)]


@pytest.mark.parametrize(
    ("sr", "hr", "message"),
    [
        ("baby_EDSR.png baby_RCAN.png", "baby.png", "baby_EDSR.png, baby_RCAN.png compete for baby.png"),
        ("red_car_house.png", "car.png red.png", "car.png, red.png compete for it"),
        ("baby.png other.png", "baby.png bird.png", "other.png: no image of that name"),
        ("a_1.png b_1.png", "1.png", "compete for 1.png"),
        ("img12.png", "img1.png img2.png", "img12.png: no image of that name"),
    ],
)
def test_names_that_do_not_decide(sr: str, hr: str, message: str) -> None:
    files, truths = [[Path(name) for name in names.split()] for names in (sr, hr)]
    with pytest.raises(UserError, match=f"{message}.*--pairs FILE.csv or --by-order decides"):
        pair(files, truths)


def test_by_order_counts_numbers() -> None:
    sr, hr = [Path(f"out{n}") for n in (10, 9, 100)], [Path(f"{n:03}") for n in (3, 1, 2)]
    assert [(a.name, b.name) for a, b in by_order(sr, hr)] == [("out9", "001"), ("out10", "002"), ("out100", "003")]
    with pytest.raises(UserError, match="--by-order: 3 and 2 images"):
        by_order(sr, hr[:2])


def folders(tmp_path: Path, names: dict[str, str]) -> tuple[Path, Path]:
    """SR images that are their HR image, darker by their number."""
    for number, (sr, hr) in enumerate(names.items()):
        image = np.random.default_rng(number).integers(50, 200, (24, 28, 3), dtype=np.uint8)
        for folder, name, pixels in (("sr", sr, image - 1 - number), ("hr", hr, image)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / name)
    return tmp_path / "sr", tmp_path / "hr"


def test_the_command(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    sr, hr = folders(tmp_path, {"x4_one_SwinIR.png": "one.png", "x4_two_SwinIR.png": "two_HR.bmp"})
    lines = run("score", sr, hr, "--channels", "rgb", "--crop", 3).out.splitlines()
    assert lines[2].split()[:2] == ["x4_one_SwinIR.png", "48.131"]  # 20 log10(255) - 20 log10(1)
    assert lines[3].split()[1] == "42.110" and lines[-1] == "protocol: RGB, crop = 3, uint8 (scale 4)"
    assert "--channels lab: give y or rgb" in refused("score", sr, hr, "--channels", "lab")
    (sr / "one_again.png").write_bytes((sr / "x4_one_SwinIR.png").read_bytes())
    assert "compete for one.png" in refused("score", sr, hr)
    assert "3 and 2 images" in refused("score", sr, hr, "--by-order")
    table = tmp_path / "pairs.csv"
    table.write_text("sr,hr\none_again.png,one.png\n\nx4_two_SwinIR.png, two_HR.bmp\n")
    assert "mean of 2" in run("score", sr, hr, "--pairs", table).out
    assert "give one of them" in refused("score", sr, hr, "--pairs", table, "--by-order")
    table.write_text("one_again.png,one.png\nnone.png,one.png")
    assert "line 2: no file" in refused("score", sr, hr, "--pairs", table)
    table.write_text("none.png,neither.png\none_again.png,one.png")  # mistyped, and no heading
    assert "line 1: no file" in refused("score", sr, hr, "--pairs", table)
    table.write_text("\n\none_again.png,one.png\n\nnone.png,one.png")
    assert "line 5: no file" in refused("score", sr, hr, "--pairs", table)
    table.write_text("one_again.png")
    assert "line 1: 1 columns" in refused("score", sr, hr, "--pairs", table)


def test_what_is_cut_or_left_out_is_said(run: Run, tmp_path: Path) -> None:
    sr, hr = folders(tmp_path, {"a.png": "a.png", "b.png": "b.png"})
    assert run("score", sr, hr).err == ""
    Image.open(sr / "a.png").crop((0, 0, 26, 23)).save(sr / "a.png")
    (sr / "more").mkdir()
    told = run("score", sr, hr).err.splitlines()
    assert told == [
        "1 of 2 HR images are larger than their SR images and were cut right and bottom",
        f"left out: {sr / 'more'}: a folder; score it by itself",
    ]


def test_conventions_as_a_table(run: Run, tmp_path: Path) -> None:
    sr, hr = folders(tmp_path, {"a.png": "a.png"})
    out = run("score", sr, hr, "--scale", 2, "--conventions").out
    assert "PSNR, RGB, no crop" in out and "48.131" in out and "SSIM, Y, crop = scale, MATLAB's ssim" in out
