"""What another version wrote is refused with advice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd import zoo
from mtkd.errors import UserError, check_format
from mtkd.training import checkpoint as checkpoints
from mtkd.training import run_state
from mtkd.training.checkpoint import RunFolder
from mtkd.training.loop import train
from mtkd.zoo import headers, model
from mtkd.zoo.checkpoints import save_weights
from mtkd.zoo.headers import Header, read_header
from tests.training.conftest import small_recipe, write_images


@pytest.mark.parametrize("found", ["mtkd/4", "mtkd-run/1", "mtkd/", "9" * 5000, None, 1, ["mtkd/3"]])
def test_another_form_is_refused(found: Any) -> None:
    check_format("mtkd/3", "mtkd/3", "file")
    with pytest.raises(UserError, match="^file: format .*, this version reads mtkd/3; update mtkd$") as refused:
        check_format(found, "mtkd/3", "file")
    assert len(str(refused.value)) < 100


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run, in the list of runs."""
    monkeypatch.setenv("MTKD_HOME", str(tmp_path))
    folder = tmp_path / "runs" / "small_x2"
    train(small_recipe(write_images(tmp_path / "images")), folder, False, lambda _: None)
    return folder


def change_card(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ada_x2.safetensors"
    header = Header("ada", "edsr_tiny", 2)
    save_weights(path, zoo.load("edsr_tiny-scratch", 4), header)
    assert read_header(path) == header
    monkeypatch.setattr(headers, "FORMAT", "mtkd/2")
    save_weights(path, zoo.load("edsr_tiny-scratch", 4), header)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"format 'mtkd/2', this version reads mtkd/1; update mtkd"):
        read_header(path)


def test_checkpoints(finished: Path) -> None:
    (finished / "finished.json").unlink()
    recipe = checkpoints.read_recipe(finished)
    state = RunFolder(finished, recipe, resume=True).load()
    assert state is not None and state["iteration"] == recipe.iterations
    RunFolder(finished, recipe, resume=True).save(state | {"format": "mtkd-checkpoint/2"})
    before = (finished / "checkpoints" / "latest.pt").read_bytes()
    with pytest.raises(UserError, match="format 'mtkd-checkpoint/2', this version reads mtkd-checkpoint/1"):
        train(recipe, finished, True, lambda _: None)
    assert (finished / "checkpoints" / "latest.pt").read_bytes() == before


def test_a_card_that_does_not_say_its_form_is_read(finished: Path) -> None:
    """Those of weights that no run made, and of the bundled ones."""
    change_card(finished, lambda card: [card.pop(key) for key in ("format", "falls", "role")])
    recipe = checkpoints.read_recipe(finished)
    assert train(recipe, finished, True, lambda _: None)["name"] == "small"
    assert run_state.read_run(finished).state == "finished"
    assert run_state.read_run(finished).psnr is not None
    found = zoo.find("small", 2)
    assert found.card["seed"] == recipe.seed and found.role == "student"


def test_a_newer_run_is_refused(finished: Path) -> None:
    assert json.loads((finished / "card.json").read_text())["format"] == model.CARD_FORMAT
    change_card(finished, lambda card: card.update(format="mtkd-run/7"))
    with pytest.raises(UserError, match=r"card.json: format 'mtkd-run/7', this version reads"):
        train(checkpoints.read_recipe(finished), finished, True, lambda _: None)
    run = run_state.read_run(finished)
    assert run.state == "damaged" and "update mtkd" in run.note
    with pytest.raises(UserError, match="update mtkd"):
        _ = zoo.find("small", 2).card


def test_a_checkpoint_of_another_kind_is_no_checkpoint(finished: Path) -> None:
    (finished / "finished.json").unlink()
    torch.save({"format": "something/1"}, finished / "checkpoints" / "latest.pt")
    with pytest.raises(UserError, match="format 'something/1', this version reads mtkd-checkpoint/1"):
        train(checkpoints.read_recipe(finished), finished, True, lambda _: None)
