"""A training that begins with the weights of a model, and one whose held-out images are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.experiments.matrix import Matrix, what_decides
from mtkd.experiments.plan import load_plan
from mtkd.images import UInt8Image, crop_to_multiple, read_image
from mtkd.training.dataset import Dataset, trained_on
from mtkd.training.loop import train
from mtkd.training.request import check
from mtkd.training.stages import Stage, prepare
from mtkd.zoo.checkpoints import weights_hash
from tests.training.conftest import small_recipe, write_model


def stage_of(images: Path, tmp_path: Path, **changes: object) -> Stage:
    return prepare(small_recipe(images, **changes), torch.device("cpu"), tmp_path, lambda *_: None)


def test_it_begins_with_the_weights_and_goes_on_from_there(small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    ada = zoo.load("ada", 2)
    stage = stage_of(small_images, tmp_path, init="ada")
    assert weights_hash(stage.network) == weights_hash(ada) != weights_hash(stage_of(small_images, tmp_path).network)
    recipe = small_recipe(small_images, init="ada", iterations=1)
    card = train(recipe, tmp_path / "run", False, lambda event: None)
    assert card["init"] == {"ada": weights_hash(ada)} and card["recipe"]["init"] == "ada"
    assert "begins with the weights of ada (paper: random weights)" in card["deviations"]
    trained = zoo.load("small", 2, sources=[tmp_path])
    before, after = (torch.cat([p.flatten() for p in net.parameters()]) for net in (ada, trained))
    assert 0 < (after - before).abs().max() < 0.01  # one step of Adam at 0.001


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("adda", "did you mean 'ada'"),
        ("merged", "network of merged is aggregator_mini; name a model of edsr_tiny"),
    ],
)
def test_weights_that_do_not_fit_are_refused(init: str, message: str, small_images: Path, in_zoo: Path) -> None:
    with pytest.raises(UserError, match=message):
        check(small_recipe(small_images, init=init))


def test_without_the_new_keys_recipes_and_identities_stay(small_images: Path) -> None:
    usual = small_recipe(small_images)
    assert "init" not in usual.dump() and "held_out" not in usual.dump()
    assert not {"init"} & set(what_decides(usual)) and set(what_decides(usual)["data"]) == {"holdout", "border"}
    assert what_decides(small_recipe(small_images, init="ada")) == {**what_decides(usual), "init": "ada"}


def test_in_a_plan_the_initial_weights_identify_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other weights under the same name give another run."""

    def digest(seed: int) -> str:
        monkeypatch.setenv("MTKD_ZOO", str(tmp_path / str(seed)))
        write_model(tmp_path / str(seed), "begin", "rcan_tiny", seed, scale=4)
        return Matrix(load_plan("mini", ["init=begin"]), "images").run("rcan_tiny-scratch", 4).digest

    assert digest(1) != digest(2) and digest(1) == digest(1)


@pytest.mark.parametrize("name", ["notes.yaml", "folder"])
def test_a_file_that_is_no_weights(small_images: Path, tmp_path: Path, name: str) -> None:
    """It is not looked up among the models, all of which the message would list."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.yaml").write_text("a: 1")
    with pytest.raises(UserError, match=rf"init: .*{name}: not weights; give a file that ends in .safetensors"):
        check(small_recipe(small_images, init=str(tmp_path / name)))


def test_named_images_are_held_out(small_images: Path) -> None:
    data = {"train": str(small_images), "held_out": ["b.png", "e.png"]}
    recipe = small_recipe(small_images, data=data)
    assert "- b.png" in recipe.dump()
    train_files, held = Dataset(recipe.data, 2).split()
    assert [p.name for p in held] == ["b.png", "e.png"]
    assert [p.name for p in train_files] == ["a.png", "c.png", "d.png", "f.png"]
    for names, message in ((["g.png"], "unknown image 'g.png'"), ([f"{x}.png" for x in "abcdef"], "all images are")):
        with pytest.raises(UserError, match=message):
            check(small_recipe(small_images, data={"train": str(small_images), "held_out": names}))


def test_an_image_that_was_trained_on_is_known_by_its_pixels(small_images: Path, tmp_path: Path) -> None:
    recipe = small_recipe(small_images, data={"train": str(small_images), "held_out": ["b.png", "e.png"]})
    card = {"recipe": recipe.model_dump(mode="json")}

    def image(name: str) -> UInt8Image:
        return crop_to_multiple(read_image(small_images / f"{name}.png"), 2)

    assert [name for name in "abcdef" if trained_on(card, image(name))] == ["a", "c", "d", "f"]
    assert not trained_on(card, image("a") ^ 1) and not trained_on({}, image("a"))
    assert not trained_on({"recipe": card["recipe"] | {"data": {"train": "elsewhere"}}}, image("a"))
