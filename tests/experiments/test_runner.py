"""Doing the graph: each run once, failures contained, the zoo's runs taken over, several processes side by side."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from filelock import FileLock

from mtkd import zoo
from mtkd.data.benchmarks import benchmark
from mtkd.errors import UserError
from mtkd.evaluate import evaluate
from mtkd.experiments import records
from mtkd.experiments.matrix import run_folder
from mtkd.experiments.overview import overview
from mtkd.experiments.plan import Plan, load_plan
from mtkd.experiments.runner import HELD_OUT, Place, in_zoo, needed, perform, read_scores, run_here
from mtkd.training.checkpoint import Busy
from mtkd.training.progress import Silent
from mtkd.training.recipe import parse
from mtkd.training.stop import Interrupted
from mtkd.zoo.checkpoints import weights_hash
from tests.experiments.conftest import finish, graph, quiet, write_plan
from tests.test_evaluate import fake_set
from tests.training.conftest import write_images
from tests.training.test_resume import _environment


def files(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def test_every_run_is_there_with_its_identity_curves_and_numbers(tiny: Plan, finished: Path) -> None:
    made = graph(tiny)
    assert len(made.rows) == 8 and len(made.runs) == 11
    for run in made.runs.values():
        folder = run_folder(finished, run)
        told = json.loads((folder / "run.json").read_text())
        assert told["digest"] == run.digest and told["inputs"] == list(run.inputs)
        if run.recipe is not None:
            assert parse(yaml.safe_load((folder / "recipe.yaml").read_text()), "x") == run.recipe
            assert (folder / "metrics.jsonl").exists() and (folder / "finished.json").exists()
    for row in made.rows:
        scores = read_scores(run_folder(finished, made.runs[row.digest]))
        assert list(scores) == [HELD_OUT] and len(scores[HELD_OUT]["images"]) == 2


def test_held_out_scores_are_the_cards(tiny: Plan, finished: Path) -> None:
    """Measured again from the stored weights, image by image, as at the end of training (weights are float16)."""
    made = graph(tiny)
    for row in made.rows:
        folder = run_folder(finished, made.runs[row.digest])
        if (folder / "card.json").exists():
            told = json.loads((folder / "card.json").read_text())["held_out"]["psnr"]
            values = [image["psnr"] for image in read_scores(folder)[HELD_OUT]["images"]]
            assert sum(values) / len(values) == pytest.approx(told, abs=0.02)


def test_what_is_finished_is_not_done_again(tiny: Plan, finished: Path) -> None:
    before = files(finished)
    assert needed(graph(tiny).tasks(), Place(finished, None, tiny.images())) == {}
    assert finish(tiny, finished) == []
    assert files(finished) == before


def test_a_new_row_costs_its_own_run_alone(tiny: Plan, finished: Path) -> None:
    place = Place(finished, None, tiny.images())
    left = needed(graph(tiny, seeds=(1, 2), only=("mtkd",)).tasks(), place)
    assert [(task.kind, task.run.name, task.run.seed) for task in left.values()] == [
        ("train", "rcan_tiny-mtkd", 2),
        ("measure", "rcan_tiny-mtkd", 2),
    ]


def test_caches_are_used_by_those_that_train_on_them(tiny: Plan, finished: Path) -> None:
    """Four images to train on and two held out, of three teachers and two aggregators; none made twice."""
    folders = [path for path in (finished / "cache").iterdir() if path.is_dir()]
    assert sorted(path.name.rsplit("-", 1)[0] for path in folders) == sorted(
        ["ada", "bob", "cyd", "aggregator_mini", "aggregator_mini-v2"]
    )
    assert all(len(list(path.glob("*.npy"))) == 6 for path in folders)


def test_a_failed_run_stops_those_alone_that_need_it(plan_file: Path, tmp_path: Path) -> None:
    """An aggregator that diverges: its student is skipped, everything else is done; mended, the rest is done too."""
    content = yaml.safe_load(plan_file.read_text())
    content["aggregator"]["optimizer"] = {"lr": 1e18}
    broken = tmp_path / "broken.yaml"
    broken.write_text(yaml.safe_dump(content))
    ended: list[tuple[str, int, int]] = []
    outcomes = finish(
        load_plan(str(broken)), tmp_path / "out", lambda outcome, *numbers: ended.append((outcome.state, *numbers))
    )
    states = {outcome.key.rsplit("_x2", 1)[0]: outcome for outcome in outcomes}
    failed = {key for key, outcome in states.items() if outcome.state == "failed"}
    assert failed == {"train-aggregator_mini", "train-aggregator_mini-v2"}
    assert "lower optimizer.lr" in states["train-aggregator_mini"].message
    skipped = {key for key, outcome in states.items() if outcome.state == "skipped"}
    assert skipped == {
        "cache-aggregator_mini",
        "cache-aggregator_mini-v2",
        "measure-aggregator_mini",
        "train-rcan_tiny-mtkd",
        "measure-rcan_tiny-mtkd",
        "train-rcan_tiny-v2",
        "measure-rcan_tiny-v2",
    }
    assert [number for _, number, _ in ended] == list(range(1, len(outcomes) + 1))
    (told,) = {json.loads(p.read_text())["task"][:21] for p in (tmp_path / "out").glob("*/failed.json")}
    assert told == "train-aggregator_mini"


def test_a_run_of_the_zoo_is_taken_over(tiny: Plan, finished: Path, tmp_path: Path, monkeypatch) -> None:
    """Where recipe, images and teachers are the same, nothing is trained; measurements are."""
    made = graph(tiny)
    folder = tmp_path / "zoo"
    folder.mkdir()
    for run in made.runs.values():
        if run.recipe is not None:
            source = run_folder(finished, run)
            shutil.copy(source / "model.safetensors", folder / f"{run.name}_x2.safetensors")
            shutil.copy(source / "card.json", folder / f"{run.name}_x2.json")
    monkeypatch.setenv("MTKD_ZOO", str(folder))
    out = tmp_path / "out"
    assert {outcome.state for outcome in finish(tiny, out)} == {"done"}
    assert list(out.rglob("metrics.jsonl")) == []
    assert {path.name for path in out.glob("*-*")} == {path.name for path in finished.glob("*-*")}
    anew = Place(out / "anew", None, tiny.images(), anew=True)
    assert not any(in_zoo(run, anew) for run in made.runs.values())
    for path in out.glob("*/scores.json"):
        assert json.loads(path.read_text()) == json.loads((finished / path.parent.name / "scores.json").read_text())


def test_what_was_measured_elsewhere_is_not_done_again(tiny: Plan, finished: Path, tmp_path: Path) -> None:
    """Neither trained nor measured, unless a run that is left learns from it, or the set's images are others."""
    known = records.read(records.rebuild(finished)).sets
    place = Place(tmp_path, None, tiny.images(), recorded=known)
    tasks = graph(tiny).tasks()
    assert needed(tasks, place) == {}
    assert {row.state for row in overview(tasks, place)} == {"recorded", "not needed"}
    (kd,) = [run for run in graph(tiny).runs.values() if run.name == "rcan_tiny-kd"]
    others = {key: digest for key, digest in known.items() if key[0] != kd.digest}
    expected = {key for key, task in tasks.items() if key.startswith(("measure-rcan_tiny-kd", "train-rcan_tiny-kd"))}
    assert expected and expected < needed(tasks, replace(place, recorded=others)).keys()
    other_images = replace(place, recorded=dict.fromkeys(known, "other"))
    assert needed(tasks, other_images) == needed(tasks, Place(tmp_path, None, tiny.images()))


def test_another_run_of_the_same_name_is_not_taken_over(
    tiny: Plan, finished: Path, plan_file: Path, tmp_path: Path, monkeypatch
) -> None:
    """Trained longer, or on other images: then it is another run."""
    made = graph(tiny)
    (ada,) = [run for run in made.runs.values() if run.name == "ada"]
    source = run_folder(finished, ada)
    folder = tmp_path / "zoo"
    folder.mkdir()
    shutil.copy(source / "model.safetensors", folder / "ada_x2.safetensors")
    shutil.copy(source / "card.json", folder / "ada_x2.json")
    monkeypatch.setenv("MTKD_ZOO", str(folder))
    place = Place(tmp_path / "out", None, tiny.images())
    assert in_zoo(ada, place) is not None
    longer = graph(load_plan(str(plan_file), ["iterations=5"]))
    (other,) = [run for run in longer.runs.values() if run.name == "ada"]
    assert in_zoo(other, place) is None
    changed = write_images(tmp_path / "images")
    shutil.copy(changed / "a.png", changed / "b.png")
    plan = load_plan(str(write_plan(tmp_path / "p.yaml", changed)))
    (moved,) = [run for run in graph(plan).runs.values() if run.name == "ada"]
    assert in_zoo(moved, Place(tmp_path / "out", None, plan.images())) is None


def test_a_run_of_the_zoo_by_teachers_of_other_weights_is_trained_anew(
    tiny: Plan, finished: Path, tmp_path: Path, monkeypatch
) -> None:
    (run,) = [run for run in graph(tiny).runs.values() if run.name == "aggregator_mini-v2"]
    source, folder = run_folder(finished, run), tmp_path / "zoo"
    folder.mkdir()
    shutil.copy(source / "model.safetensors", folder / "aggregator_mini-v2_x2.safetensors")
    card = json.loads((source / "card.json").read_text())
    card["teachers"]["cyd"] = "0" * 16
    (folder / "aggregator_mini-v2_x2.json").write_text(json.dumps(card))
    monkeypatch.setenv("MTKD_ZOO", str(folder))
    assert {outcome.state for outcome in finish(tiny, tmp_path / "out", only=("v2",))} == {"done"}
    made = run_folder(tmp_path / "out", run)
    assert (made / "metrics.jsonl").exists()
    assert (made / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


@pytest.mark.sweep
def test_two_processes_share_a_graph_and_no_task_is_done_twice(
    plan_file: Path, tiny: Plan, finished: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "mtkd.cli", "matrix", "trial", "--size", str(plan_file), "--out", str(tmp_path)]
    both = [
        subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    trained = [line for text in printed for line in text.splitlines() if line.startswith("reading images 1/")]
    assert len(trained) == 10
    for path in tmp_path.glob("*/model.safetensors"):
        assert path.read_bytes() == (finished / path.parent.name / "model.safetensors").read_bytes()
    assert len(list(tmp_path.glob("*/model.safetensors"))) == 10


def test_a_task_that_another_process_is_at_is_left_to_it(tiny: Plan, tmp_path: Path) -> None:
    place = Place(tmp_path, None, tiny.images())
    task = next(iter(needed(graph(tiny).tasks(), place).values()))
    (tmp_path / ".locks").mkdir()
    with (
        FileLock(tmp_path / ".locks" / f"{task.key}.lock"),
        pytest.raises(Busy, match="another process is working on it"),
    ):
        perform(task, place, lambda event: None)


def test_sets_that_come_later_are_measured_then(tiny: Plan, finished: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "out", tmp_path / "data"
    shutil.copytree(finished, out)
    fake_set(data, "Set5")
    place = Place(out, data, tiny.images())
    tasks = needed(graph(tiny, only=("MT", "bicubic")).tasks(), place)
    assert [task.kind for task in tasks.values()] == ["measure"] * 2
    for task in tasks.values():
        with quiet(task) as progress:
            perform(task, place, progress.report)
        folder = run_folder(out, task.run)
        network = zoo.load(task.run.name, 2, sources=list(out.glob("*-*")))
        expected = evaluate(network, benchmark(data, "Set5", 2), 2)
        stored = read_scores(folder)
        assert list(stored) == [HELD_OUT, "Set5"] and stored["Set5"]["protocol"] == expected.protocol
        assert [s["psnr"] for s in stored["Set5"]["images"]] == [round(s.metrics["psnr"], 4) for s in expected.scores]


def test_teachers_that_change_give_another_run(tiny: Plan, finished: Path) -> None:
    """The networks that a student learned from are those of its inputs, by weights."""
    made = graph(tiny)
    for run in made.runs.values():
        if run.recipe is None or not run.inputs:
            continue
        card = json.loads((run_folder(finished, run) / "card.json").read_text())
        sources = [run_folder(finished, source) for source in made.closure(run)]
        for name in run.recipe.teachers:
            assert card["teachers"][name] == weights_hash(zoo.load(name, 2, torch.device("cpu"), sources))


def test_changed_images_are_another_graph_and_a_resumed_run_refuses_them(tmp_path: Path) -> None:
    from mtkd.training.loop import train
    from tests.training.test_resume import Stop, silent

    images = write_images(tmp_path / "images")
    plan = load_plan(str(write_plan(tmp_path / "p.yaml", images)))
    before = graph(plan, only=("scratch",))
    recipe = next(run.recipe for run in before.runs.values() if run.recipe is not None)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "run", False, Stop(lambda event: event.get("iteration") == 2))
    shutil.copy(images / "a.png", images / "b.png")
    assert graph(plan, only=("scratch",)).runs.keys().isdisjoint(before.runs)
    with pytest.raises(UserError, match="started with other images than"):
        train(recipe, tmp_path / "run", True, silent)


@pytest.mark.parametrize(
    ("event", "last", "finished_runs"),
    [
        ({"task": "outputs of ada", "done": 2, "of": 4}, "cache", 4),
        ({"iteration": 4, "iterations": 4}, "train", 1),  # the last one of the first run, which is then finished
    ],
)
def test_a_signal_stops_the_graph_wherever_it_comes(
    event: dict[str, Any], last: str, finished_runs: int, tiny: Plan, tmp_path: Path
) -> None:
    seen: list[str] = []

    class Stopping(Silent):
        def report(self, told) -> None:
            if event.items() <= dict(told).items():
                signal.raise_signal(signal.SIGINT)

    def reporter(task) -> Stopping:
        seen.append(task.kind)
        return Stopping()

    handler = signal.getsignal(signal.SIGINT)

    place = Place(tmp_path, None, tiny.images())
    with pytest.raises(Interrupted, match="stopped"):
        run_here(needed(graph(tiny).tasks(), place), place, reporter, lambda *_: None)
    assert seen[-1] == last
    assert len(list(tmp_path.glob("*/finished.json"))) == finished_runs
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_build_for_gpus_without_one_works_on_the_cpu(tiny: Plan, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch._C, "_accelerator_getAccelerator", lambda: torch.device("cuda"))
    assert not torch.accelerator.is_available()
    assert Place(tmp_path, None, tiny.images()).device == torch.device("cpu")
