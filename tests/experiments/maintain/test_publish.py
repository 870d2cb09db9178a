"""From finished runs to a zoo: the first seed's weights as they are, and a card with the measured numbers."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path

import pytest

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.experiments.maintain.publish import measure, publish
from mtkd.experiments.matrix import run_folder
from mtkd.experiments.plan import Plan
from mtkd.experiments.runner import Place, needed, perform
from mtkd.training.loop import train
from tests.experiments.conftest import finish, graph
from tests.test_evaluate import fake_set


def test_weights_and_cards(tiny: Plan, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, data, folder = tmp_path / "out", tmp_path / "data", tmp_path / "zoo"
    shutil.copytree(finished, out)
    finish(tiny, out, seeds=(2,), only=("kd",))
    with pytest.raises(UserError, match="not measured on Set5; set MTKD_DATA"):
        publish(out, folder)
    for name in ("Set5", "Set14"):
        fake_set(data, name)
    place = Place(out, data, tiny.images())
    for task in needed(graph(tiny, seeds=(1, 2), only=("kd", "scratch")).tasks(), place).values():
        perform(task, place, lambda event: None)
    with pytest.raises(UserError, match="unknown finished run in .* 'rcan_tiny-kdd'; did you mean 'rcan_tiny-kd'"):
        publish(out, folder, ["rcan_tiny-kdd"])
    assert publish(out, folder, ["rcan_tiny-kd", "rcan_tiny-scratch"]) == ["rcan_tiny-kd", "rcan_tiny-scratch"]
    assert len(list(folder.glob("*_x2.*"))) == 4
    titles = json.loads((folder / "titles.json").read_text())
    assert titles == {"rcan_tiny-scratch": "RCAN student, alone", "rcan_tiny-kd": "RCAN student, with KD"}

    (first,) = [run for run in graph(tiny).runs.values() if run.name == "rcan_tiny-kd"]
    source = run_folder(out, first)
    assert (folder / "rcan_tiny-kd_x2.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    monkeypatch.setenv("MTKD_ZOO", str(folder))
    card = zoo.find("rcan_tiny-kd", 2).card
    assert card["seed"] == 1 and card["recipe"]["name"] == "rcan_tiny-kd"
    scores = json.loads((source / "scores.json").read_text())
    for row in card["benchmarks"]:
        images = scores[row["set"]]["images"]
        assert row["psnr"] == round(statistics.fmean(i["psnr"] for i in images), 4)
        assert row["ssim"] == round(statistics.fmean(i["ssim"] for i in images), 5)
        assert row["images"] == len(images) and row["protocol"] == "Y, crop = scale, uint8"


def test_the_way_is_published_on_demand(tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, folder, run = tmp_path / "data", tmp_path / "zoo", tmp_path / "run"
    for name in ("Set5", "Set14"):
        fake_set(data, name)
    recipe = tiny.recipe("rcan_tiny-scratch", 2).model_copy(update={"snapshots": (1, 3, 4)})
    train(recipe, run / "one", False, lambda event: None)
    scores = {name: {"images": [{"image": "a", "psnr": 1.0, "ssim": 0.5}]} for name in ("Set5", "Set14")}
    (run / "one" / "scores.json").write_text(json.dumps(scores))
    publish(run, folder)
    assert not (folder / "snapshots").exists()
    publish(run, folder, snapshots_on=data)
    kept = sorted(path.name for path in (folder / "snapshots").glob("*.safetensors"))
    assert kept == ["rcan_tiny-scratch@1_x2.safetensors", "rcan_tiny-scratch@3_x2.safetensors"]

    monkeypatch.setenv("MTKD_ZOO", str(folder))
    model = zoo.find("rcan_tiny-scratch", 2)
    assert list(model.snapshots()) == [1, 3] == model.summary()["snapshots"]
    assert model.snapshots()[3].path.read_bytes() == (run / "one/snapshots" / kept[1]).read_bytes()
    cards = [snapshot.card for snapshot in model.snapshots().values()]
    assert [card["iterations"] for card in cards] == [1, 3]
    assert cards[0]["held_out"]["psnr"] != cards[1]["held_out"]["psnr"]
    assert cards[1]["benchmarks"] == measure("rcan_tiny-scratch@3", 2, data)
    assert [m.name for m in zoo.models(2) if not m.bundled] == ["rcan_tiny-scratch"]
    with pytest.raises(UserError, match="unknown step of rcan_tiny-scratch x2 'rcan_tiny-scratch@4'; did you mean"):
        zoo.load("rcan_tiny-scratch@4", 2)
    with pytest.raises(UserError, match="did you mean 'rcan_tiny-scratch'"):
        zoo.load("rcan_tiny-scratc@4", 2)


def test_nothing_finished(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished runs"):
        publish(tmp_path, tmp_path / "zoo")
