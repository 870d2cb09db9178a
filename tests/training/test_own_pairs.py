"""Pairs of a user: LR files of other names and formats, sizes that nearly fit; photos of any size."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd import infer, networks, teacher_cache
from mtkd.data.patches import ImagePairs, lr_file
from mtkd.errors import UserError
from mtkd.images import chw, read_image
from mtkd.infer import SelfEnsemble
from mtkd.metrics import STRIP, psnr, psnr_of_large
from mtkd.resize import imresize
from mtkd.training.loop import train
from mtkd.training.stages import prepare
from tests.benchmarks.photo_memory import peak
from tests.training.conftest import DISTILL, small_recipe, write_images

STEMS = ("astro", "cat", "cat_2", "rocket-7", "Straße")


def pairs_of(tmp_path: Path, names: dict[str, str], scale: int, more: tuple[int, int] = (0, 0)) -> tuple[Path, Path]:
    """HR files and LR files of these names; every LR pixel holds the number of its HR file."""
    for number, (hr, lr) in enumerate(names.items()):
        height, width = 24 + number, 27 - number
        for folder, name, size in (
            ("hr", hr, (height, width)),
            ("lr", lr, (-(-height // scale) + more[0], width // scale + more[1])),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", size[::-1], (40 * number,) * 3).save(tmp_path / folder / name)
    return tmp_path / "hr", tmp_path / "lr"


@pytest.mark.parametrize("seed", range(12))
def test_names_of_any_kind(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    scale = rng.choice((2, 3, 4))
    before, after = (
        rng.choice(("", "LR_", "set5-")),
        rng.choice(("", "_LR", f"x{scale}", f"_x{scale}_bicubic", "-small")),
    )
    kinds = [rng.choice((".png", ".bmp", ".tif", ".webp")) for _ in range(2)]
    names = {f"{stem}{kinds[0]}": f"{before}{stem}{after}{kinds[1]}" for stem in STEMS}
    hr, lr = pairs_of(tmp_path, names, scale)
    pairs = ImagePairs(sorted(hr.iterdir()), scale, lr_folder=lr)
    for index, path in enumerate(pairs.files):
        pair = pairs[index]
        assert lr_file(lr, path, scale).name == names[path.name]
        assert int(pair.lr[0, 0, 0]) == pytest.approx(int(pair.hr[0, 0, 0]), abs=6)  # lossy formats
        height, width = read_image(path).shape[:2]
        assert tuple(pair.lr.shape[1:]) == (height // scale, width // scale)
        assert pair.hr.shape[1:] == (scale * (height // scale), scale * (width // scale))
        assert (path.name in pairs.cut) == bool(height % scale or width % scale)


@pytest.mark.parametrize("more", [(1, 0), (0, 1), (-2, 0), (0, -1), (3, 3)])
def test_sizes_that_differ_by_more_are_refused(tmp_path: Path, more: tuple[int, int]) -> None:
    hr, lr = pairs_of(tmp_path, {"a.png": "a.png"}, 4, more)
    if more == (0, 1):  # 27 = 4 * 6 + 3: seven columns differ by one pixel of HR
        assert ImagePairs([hr / "a.png"], 4, lr_folder=lr).cut
        return
    with pytest.raises(UserError, match="is not 1/4 of its HR image a.png, 27 x 24"):
        ImagePairs([hr / "a.png"], 4, lr_folder=lr)


def test_a_training_says_what_it_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, lr = write_images(tmp_path / "hr"), tmp_path / "lr"
    lr.mkdir()
    for path in images.iterdir():
        image = read_image(path)
        small = imresize(chw(image), 0.5).permute(1, 2, 0).numpy()  # rounds sizes up
        Image.fromarray(small).save(lr / f"photo_{path.stem}_half.bmp")
    data = {"train": str(images), "holdout": 2, "lr": str(lr)}
    card = train(small_recipe(images, data=data, iterations=1), tmp_path / "run", False, lambda _: None)
    assert set(card["data"]["cut"]) == {"c.png", "e.png"} and "c.png: HR to 66 x 52" in caplog.text
    (lr / "photo_c_half.bmp").rename(lr / "photo_c_c_again.bmp")
    (lr / "photo_d_half.bmp").rename(lr / "c_d.bmp")
    with pytest.raises(UserError, match="data.lr: .*another name"):
        prepare(small_recipe(images, data=data), torch.device("cpu"), tmp_path, lambda *_: None)


# Photos of any size -----------------------------------------------------------------------------------------


def test_outputs_that_do_not_fit_on_the_disk_are_refused(
    small_images: Path, in_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    recipe = small_recipe(small_images, **DISTILL)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=50_000))
    with pytest.raises(UserError, match=r"take 0\.1 MB, 0\.1 MB are free; free some space.*--cache.*online"):
        prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda *event: None)
    assert not (tmp_path / "cache").exists()
    monkeypatch.undo()
    monkeypatch.setenv("MTKD_ZOO", str(in_zoo))
    for _ in range(2):
        prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda task, *_: told.append(task))
    (estimate,) = [task for task in told if "on the disk" in task]  # not again once they are there
    files = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.npy"))
    assert estimate.startswith(f"teachers' outputs: {files / 1e6:.1f} MB on the disk")


@pytest.mark.parametrize("name", ["edsr_mini", "aggregator_mini"])
def test_outputs_and_validation_go_through_tiles(
    name: str, small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tiles as small as can be, cached outputs and held-out numbers are those of whole images."""
    content = {"stage": "distill", "method": {"name": "kd"}, "teachers": [name], "scale": 4}
    recipe = small_recipe(small_images, **content)
    whole = prepare(recipe, torch.device("cpu"), tmp_path / "whole", lambda *_: None)
    expected = [whole.patches.outputs[name].whole(i) for i in range(4)], whole.validate(whole.frozen[name])
    for module in (teacher_cache, "mtkd.training.stages"):
        target = f"{module}.upscale" if isinstance(module, str) else f"{module.__name__}.upscale"
        monkeypatch.setattr(target, lambda net, lr, scale: infer.upscale(net, lr, scale, tile=8))
    tiled = prepare(recipe, torch.device("cpu"), tmp_path / "tiled", lambda *_: None)
    for index in range(4):
        assert torch.allclose(tiled.patches.outputs[name].whole(index), expected[0][index], atol=2e-3)
    assert tiled.validate(tiled.frozen[name]) == pytest.approx(expected[1], abs=1e-3)


def test_a_self_ensemble_in_tiles() -> None:
    torch.manual_seed(0)
    network = SelfEnsemble(networks.build("edsr_tiny", 2)).eval()
    image = torch.rand(1, 3, 50, 70)
    with torch.inference_mode():
        whole = network(image)
        assert torch.equal(infer.upscale(network, image, 2), whole)
        counted: list[tuple[int, int]] = []
        tiled = infer.upscale(network, image, 2, tile=16, progress=lambda *c: counted.append(c))
    assert torch.allclose(tiled, whole, atol=1e-6) and counted[-1][0] == counted[-1][1] == len(counted)


@pytest.mark.parametrize("size", [(40, 50), (61, 47), (200, 33)])
def test_psnr_in_strips(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    hr = torch.from_numpy(rng.integers(0, 256, (3, *size), dtype=np.uint8))
    sr = torch.rand(1, 3, *size)
    expected = psnr(sr, hr, 3)
    assert psnr_of_large(sr, hr, 3) == expected and STRIP > 1e6
    monkeypatch.setattr("mtkd.metrics.STRIP", 1000)
    assert psnr_of_large(sr, hr, 3) == pytest.approx(expected, abs=1e-9)
    assert psnr_of_large(hr, hr, 3) == float("inf")


def test_large_images_are_downscaled_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 37, 41), dtype=np.uint8))
    expected = imresize(image, 1 / 3)
    monkeypatch.setattr("mtkd.resize.LARGE", 10)
    assert torch.equal(imresize(image, 1 / 3), expected)


@pytest.mark.slow
def test_the_memory_of_a_training_on_photos() -> None:
    """Minutes on one core."""
    assert peak(12, 3) < 2.5


def test_a_sample_of_a_photo_is_its_middle(small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = prepare(small_recipe(small_images), torch.device("cpu"), tmp_path, lambda *_: None)
    whole, pair = stage.sample(stage.network), stage.held_out[0]
    height, width = pair.hr.shape[1:]
    assert whole.shape == (height, 3 * width, 3)
    monkeypatch.setattr("mtkd.training.stages.SHOWN", 20)
    part = stage.sample(stage.network)
    top, left = 2 * ((height // 2 - 10) // 2), 2 * ((width // 2 - 10) // 2)
    assert torch.equal(part[:, 40:], whole[top : top + 20, 2 * width + left : 2 * width + left + 20])
