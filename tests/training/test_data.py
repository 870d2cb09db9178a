"""Training images: official LR files where they are there, damaged files named or left out, all of it in the card."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch

from mtkd.data.patches import _problem
from mtkd.errors import UserError
from mtkd.experiments.matrix import Matrix, images_by_scale, images_hash, what_decides
from mtkd.experiments.plan import load_plan
from mtkd.images import read_image, write_image
from mtkd.training.dataset import Dataset, hr_folder
from mtkd.training.loop import train
from mtkd.training.recipe import Data, parse
from mtkd.training.stages import data_hash, prepare
from tests.conftest import Run
from tests.data.test_layouts import lr_image
from tests.training.conftest import recipe_content, small_recipe, write_images


@pytest.fixture
def div2k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with DIV2K_train_HR and official LR files for x2 and x3, made by the mirror rule."""
    monkeypatch.setenv("MTKD_DATA", str(tmp_path))
    hr = write_images(tmp_path / "DIV2K" / "DIV2K_train_HR")
    for path in hr.iterdir():
        for scale in (2, 3):
            image = read_image(path)
            image = image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
            lr = hr.parent / "DIV2K_train_LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png"
            write_image(lr, lr_image(image, scale, "mirror"))
    return hr


def test_official_lr_files_are_used(div2k: Path, tmp_path: Path) -> None:
    data = Data(train="DIV2K_train_HR", lr="official", holdout=2)
    lr = div2k.parent / "DIV2K_train_LR_bicubic" / "X2"
    two, four = Dataset(data, 2), Dataset(data, 4)
    assert hr_folder(data) == div2k and two.lr_folder() == lr
    files, _ = two.split()
    pair = two.pairs(files)[0]
    assert torch.equal(pair.lr, torch.from_numpy(read_image(lr / f"{files[0].stem}x2.png")).permute(2, 0, 1))
    made = Data(train="DIV2K_train_HR", holdout=2)
    assert not torch.equal(pair.lr, Dataset(made, 2).pairs(files)[0].lr)
    assert two.record() == {"lr": "files of DIV2K_train_LR_bicubic/X2"}
    assert four.record() == {"lr": "made from HR (bicubic, clamp)"} and four.lr_folder() is None
    assert Dataset(made, 2).record() == {}
    assert torch.equal(four.pairs(files)[0].lr, Dataset(made, 4).pairs(files)[0].lr)


def test_official_lr_files_are_part_of_a_runs_identity(div2k: Path) -> None:
    """By scale; those of one scale that come or go change nothing for the others, and nothing where LR is made."""
    data, made = Data(train="DIV2K_train_HR", lr="official", holdout=2), Data(train="DIV2K_train_HR", holdout=2)
    by_scale = images_by_scale(data)
    assert callable(by_scale) and isinstance(images_by_scale(made), str)
    before = {scale: by_scale(scale) for scale in (2, 3, 4)}
    assert len(set(before.values())) == 3 and before[4] == images_hash(made)
    shutil.rmtree(div2k.parent / "DIV2K_train_LR_bicubic" / "X3")
    after = images_by_scale(data)
    assert callable(after)
    assert after(2) == before[2] and after(3) == before[4] == after(4)
    plan = load_plan("paper", ["data.holdout=2"])
    graph = Matrix(plan, images_by_scale(plan.images()))
    digests = {scale: graph.run("edsr_baseline-scratch", scale).digest for scale in (2, 4)}
    shutil.rmtree(div2k.parent / "DIV2K_train_LR_bicubic")
    graph = Matrix(plan, images_by_scale(plan.images()))
    assert graph.run("edsr_baseline-scratch", 2).digest != digests[2]
    assert graph.run("edsr_baseline-scratch", 4).digest == digests[4]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_paper_plan_trains_at_every_scale(scale: int, div2k: Path, tmp_path: Path) -> None:
    plan = load_plan("paper", ["data.holdout=2", "lr_patch=8", "batch=1", "iterations=1", "validate_every=100"])
    content = plan.recipe_content("edsr_baseline-scratch", scale) or {}
    recipe = parse(content | {"network": "edsr_tiny"}, "test")
    card = train(recipe, tmp_path / "run", False, lambda event: None)
    expected = "made from HR (bicubic, clamp)" if scale == 4 else f"files of DIV2K_train_LR_bicubic/X{scale}"
    assert card["data"]["lr"] == expected and card["data"]["images"] == 4
    assert card["data"]["hash"] == images_hash(plan.images(), (), scale)


def test_old_recipes_and_cards_stay_what_they_were(small_images: Path, tmp_path: Path) -> None:
    recipe = small_recipe(small_images)
    assert what_decides(recipe)["data"] == {"holdout": 2, "border": "clamp"}
    dataset = Dataset(recipe.data, 2)
    assert dataset.files() == [file for files in dataset.split() for file in files]
    card = train(small_recipe(small_images, iterations=1), tmp_path / "run", False, lambda event: None)
    assert set(card["data"]) == {"train", "images", "hash"}
    assert card["data"]["hash"] == data_hash(dataset.files())


def damage(path: Path) -> Path:
    """Half of the file is gone."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images")
    damage(images / "c.png")
    with pytest.raises(UserError, match=r"c\.png: damaged or truncated image .*data\.skip_damaged=true"):
        prepare(small_recipe(images), torch.device("cpu"), tmp_path / "cache", lambda *_: None)


def test_a_damaged_image_is_left_out_on_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = write_images(tmp_path / "images")
    whole = small_recipe(images).data
    damage(images / "c.png")
    recipe = small_recipe(images, data={"train": str(images), "holdout": 2, "skip_damaged": True}, iterations=1)
    _problem.cache_clear()
    with caplog.at_level(logging.WARNING, "mtkd"):
        card = train(recipe, tmp_path / "run", False, lambda event: None)
    assert [record.message for record in caplog.records if "c.png" in record.message] == [
        f"skipped: {images / 'c.png'}: damaged or truncated image ({_reason(images / 'c.png')})"
    ]
    assert card["data"]["images"] == 3 and list(card["data"]["left_out"]) == ["c.png"]
    assert "damaged or truncated" in card["data"]["left_out"]["c.png"]
    files = Dataset(recipe.data, 2).files()
    assert images / "c.png" not in files and len(files) == 5
    assert images_hash(recipe.data) != images_hash(whole)
    assert what_decides(recipe) == what_decides(small_recipe(images, iterations=1))  # but for its images the same run


def _reason(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_image(path)
    return str(error.value).rpartition("(")[2].rstrip(")")


def test_a_damaged_lr_file_leaves_its_pair_out(div2k: Path) -> None:
    lr = damage(div2k.parent / "DIV2K_train_LR_bicubic" / "X2" / "dx2.png")
    data = Data(train="DIV2K_train_HR", lr="official", holdout=2, skip_damaged=True)
    dataset = Dataset(data, 2)
    assert [path.name for path in dataset.left_out()] == ["d.png"] and Dataset(data, 3).left_out() == {}
    files = dataset.files()
    assert div2k / "d.png" not in files and lr not in files and len(files) == 10
    train_files, held = dataset.split()
    assert len(train_files) == 3 and len(held) == 2
    assert dataset.pairs(train_files)[0].lr.shape[0] == 3


def test_as_a_command(run: Run, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(recipe_content(images, iterations=1)))
    damage(images / "e.png")
    stopped = run("train", recipe, "--out", tmp_path / "run")
    assert stopped.code == 2 and stopped.err.count("\n") == 1
    assert "e.png: damaged" in stopped.err and "--set data.skip_damaged=true" in stopped.err
    outcome = run("train", recipe, "--out", tmp_path / "run", "--set", "data.skip_damaged=true")
    assert outcome.code == 0
    assert list(json.loads((tmp_path / "run" / "card.json").read_text())["data"]["left_out"]) == ["e.png"]


def test_no_such_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTKD_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"no folder 'DIV2K_train_HR'; .*, or fetch it: mtkd data fetch div2k"):
        hr_folder(Data(train="DIV2K_train_HR"))
    with pytest.raises(UserError, match=r"holds train/photos$"):
        hr_folder(Data(train="photos"))


def test_fewer_images_are_the_first_of_the_seeds_order() -> None:
    """4 are within 8 within all; another seed draws others; the order is drawn once, whatever the number."""
    files = [Path(f"{number:02}.png") for number in range(20)]

    def drawn(images: int | None, seed: int = 1) -> list[Path]:
        return Dataset(Data(train="any", images=images), 2).drawn(files, seed)

    assert drawn(4) == drawn(8)[:4] and drawn(8) == drawn(20)[:8]
    assert sorted(drawn(20)) == files == drawn(None)
    assert drawn(4) != files[:4] and drawn(4) != drawn(4, seed=2)
    with pytest.raises(UserError, match=r"data\.images: 21 images, but only 20 to train on; give at most 20"):
        drawn(21)


def test_a_run_on_fewer_images(small_images: Path, tmp_path: Path) -> None:
    """It holds out the same images, trains on those that were drawn, and its card and recipe say how many."""
    data = {"train": str(small_images), "holdout": 2}
    few, usual = (small_recipe(small_images, data=data | more) for more in ({"images": 3}, {}))
    assert "\n  images:" not in usual.dump() and "\n  images: 3\n" in few.dump()
    assert what_decides(few) == what_decides(usual) | {"data": what_decides(usual)["data"] | {"images": 3}}
    stage, whole = (
        prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda *_: None) for recipe in (few, usual)
    )
    assert stage.patches.pairs.files == Dataset(few.data, 2).drawn(whole.patches.pairs.files, few.seed)
    assert stage.held_out.files == whole.held_out.files and stage.data_hash == whole.data_hash
    card = train(few, tmp_path / "run", False, lambda event: None)
    assert card["data"]["images"] == card["recipe"]["data"]["images"] == 3
