"""Trainings as processes of their own: started, stopped, killed, resumed, found again from their folders alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mtkd import plugins, zoo
from mtkd.errors import UserError
from mtkd.training import devices, jobs, run_state
from mtkd.training.loop import train
from mtkd.training.recipe import Recipe
from mtkd.training.status import Status
from tests.training.conftest import small_recipe, write_images

LONG = 400
"""Steps: some seconds."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without runs; what a test left running is ended."""
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield tmp_path / "home"
    for run in run_state.runs():
        if run.active and (process := run_state.process_of(run.folder)):
            process.kill()


def wait(name: str, holds: Callable[[run_state.Run], bool], seconds: float = 120) -> run_state.Run:
    deadline = time.monotonic() + seconds
    while not holds(run := run_state.find(name)):
        assert time.monotonic() < deadline, (run, run_state.log(run.folder))
        time.sleep(0.02)
    return run


def attempt(function: Callable[..., Any], *arguments: Any) -> str:
    """An error's text, or nothing."""
    try:
        function(*arguments)
    except UserError as error:
        return str(error)
    return ""


def run_folder(home: Path, name: str, recipe: Recipe | None = None, **files: str) -> Path:
    """A run folder as a process would have left it."""
    folder = home / "runs" / name
    folder.mkdir(parents=True)
    if recipe:
        (folder / "recipe.yaml").write_text(recipe.dump())
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)
    return folder


def test_the_life_of_a_run(home: Path, small_images: Path) -> None:
    """Started, stopped, resumed by two clicks, killed, resumed, finished, deleted."""
    recipe = small_recipe(small_images, name="mine", iterations=LONG, checkpoint_every=20)
    assert jobs.start(recipe).state == "preparing"
    process = run_state.process_of(home / "runs" / "mine_x2")
    assert process is not None and os.getsid(process.pid) == process.pid  # outlives the session that started it
    run = wait("mine_x2", lambda run: run.state == "running" and run.iteration > 5)
    assert (run.iterations, run.device) == (LONG, "cpu") and run.seconds_left is not None and run.speed
    assert "run mine_x2 exists" in attempt(jobs.start, recipe)
    assert "stop it first" in attempt(jobs.delete, "mine_x2")
    assert "already" in attempt(jobs.resume, "mine_x2")

    jobs.stop("mine_x2")
    stopped = wait("mine_x2", lambda run: not run.active)
    assert stopped.state == "stopped" and 5 < stopped.iteration < LONG
    assert "saved" in run_state.log(stopped.folder)[-1]
    assert "nothing to stop" in attempt(jobs.stop, "mine_x2")

    with ThreadPoolExecutor() as clicks:
        answers = [*clicks.map(attempt, [jobs.resume] * 2, ["mine_x2"] * 2)]
    assert sorted(answers) == ["", "mine_x2 is being trained already"]
    wait("mine_x2", lambda run: run.iteration > stopped.iteration)
    process = run_state.process_of(stopped.folder)
    assert process is not None
    process.kill()
    killed = wait("mine_x2", lambda run: not run.active)
    assert killed.state == "stopped" and killed.note == ""
    with (killed.folder / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 9')

    jobs.resume("mine_x2")
    finished = wait("mine_x2", lambda run: run.state == "finished")
    curve = run_state.measured(finished.folder).curves()["L1"][0]
    assert curve == list(range(1, LONG + 1))
    assert finished.psnr == pytest.approx(
        json.loads((finished.folder / "card.json").read_text())["held_out"]["psnr"], abs=1e-4
    )
    assert run_state.newest_sample(finished.folder).name == f"{LONG:06d}.png"
    assert zoo.find("mine", 2).path == finished.folder / "model.safetensors"
    assert "cannot be resumed" in attempt(jobs.resume, "mine_x2")
    kept = jobs.delete("mine_x2")
    assert run_state.runs() == [] and (kept / "model.safetensors").exists()
    assert "mine" not in {model.name for model in zoo.models()}


def test_a_run_that_cannot_go_on_tells_why(home: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images")
    whole = (images / "b.png").read_bytes()
    (images / "b.png").write_bytes(whole[: len(whole) // 2])
    with ThreadPoolExecutor() as clicks:
        recipe = small_recipe(images, name="mine")
        answers = [*clicks.map(attempt, [jobs.start] * 2, [recipe] * 2)]
    assert [bool(answer) for answer in sorted(answers)] == [False, True]
    run = wait("mine_x2", lambda run: not run.active)
    assert run.state == "failed" and "b.png" in run.note and "Traceback" not in run.note


def status(**fields: Any) -> str:
    """``status.json`` of a run."""
    return Status(**{"host": socket.gethostname(), "started": time.time(), **fields}).model_dump_json()


def test_a_number_that_another_process_has_now_is_not_taken_for_the_run(home: Path, small_images: Path) -> None:
    run_folder(home, "old_x2", small_recipe(small_images), status_json=status(pid=os.getpid(), state="running"))
    assert run_state.find("old_x2").state == "stopped"
    assert "nothing to stop" in attempt(jobs.stop, "old_x2")


def test_a_process_of_another_computer_is_not_looked_for_here(home: Path, small_images: Path) -> None:
    """Its lock says whether it lives."""
    text = status(pid=1, host="elsewhere", state="running", iteration=7, speed=2.0)
    folder = run_folder(home, "far_x2", small_recipe(small_images), status_json=text)
    assert run_state.find("far_x2").state == "stopped"
    with FileLock(folder / ".lock"):
        run = run_state.find("far_x2")
        assert (run.state, run.iteration, run.speed) == ("running", 7, 2.0)
        assert "not started here" in attempt(jobs.stop, "far_x2")


def test_a_run_of_a_terminal_is_seen_but_not_stopped(home: Path, small_images: Path) -> None:
    folder = run_folder(home, "elsewhere_x2", small_recipe(small_images))
    with FileLock(folder / ".lock"):
        assert run_state.find("elsewhere_x2").state == "running"
        assert "not started here" in attempt(jobs.stop, "elsewhere_x2")
        assert "stop it first" in attempt(jobs.delete, "elsewhere_x2")
    assert run_state.find("elsewhere_x2").state == "stopped"


@pytest.mark.parametrize("state", ["failed", "diverged", "stopped"])
def test_how_it_ended_is_what_it_said(state: str, home: Path, small_images: Path) -> None:
    run_folder(home, "a_x2", small_recipe(small_images), status_json=status(state=state, note="so"), log_txt="mtkd: no")
    run = run_state.find("a_x2")
    assert (run.state, run.note) == (state, "so")


@pytest.mark.parametrize(
    ("state", "note"), [("preparing", "ModuleNotFoundError: No module named 'torch'"), ("running", "")]
)
def test_one_that_said_no_more_was_stopped(state: str, note: str, home: Path, small_images: Path) -> None:
    """While it prepared, its last words are shown: it may have ended before it could say how."""
    log = "before\nTraceback (most recent call last):\nModuleNotFoundError: No module named 'torch'\n"
    text = status(state=state, note="loading libraries", log_from=7)
    run_folder(home, "a_x2", small_recipe(small_images), status_json=text, log_txt=log)
    run = run_state.find("a_x2")
    assert (run.state, run.note) == ("stopped", note) and "before" not in run_state.log(run.folder)


def test_one_that_was_killed_at_its_very_end_can_be_resumed(home: Path, small_images: Path) -> None:
    """``finished.json`` is written last, and counts."""
    run_folder(home, "a_x2", small_recipe(small_images), status_json=status(state="finished"))
    assert run_state.find("a_x2").state == "stopped"


def test_runs_of_before_are_read(home: Path, small_images: Path) -> None:
    """Those that have no status.json: metrics, lock, and card tell the same."""
    recipe = small_recipe(small_images)
    rows = '{"iteration": 2, "L1": 0.5, "it/s": 4.0}\n{"iteration": 3, "validation PSNR-Y": 30.5}\n'
    folder = run_folder(home, "going_x2", recipe, metrics_jsonl=rows, job_json="{}")
    run = run_state.find("going_x2")
    assert (run.state, run.iteration, run.psnr, run.speed) == ("stopped", 3, 30.5, 4.0)
    with FileLock(folder / ".lock"):
        assert run_state.find("going_x2").state == "running"
    card = {
        "held_out": {"psnr": 31.5}, "seconds": 60, "iterations": recipe.iterations,
        "falls": [{"iteration": 2, "psnr": 28.0, "best": 30.0}],
    }  # fmt: skip
    run_folder(home, "done_x2", recipe, card_json=json.dumps(card), finished_json="{}")
    run = run_state.find("done_x2")
    assert (run.state, run.iteration, run.psnr, run.seconds) == ("finished", recipe.iterations, 31.5, 60)
    assert run.note == "Held-out PSNR fell by 2.00 dB, at step 2."


def test_a_plugin_that_is_not_loaded_is_named(home: Path, tmp_path: Path, small_images: Path) -> None:
    """Not taken for damage; with the plugin the run is there again."""
    file = tmp_path / "my_net.py"
    file.write_text(
        "from torch import nn\nfrom mtkd.plugins import network\n"
        "@network('my_net')\ndef my_net(scale):\n"
        "    return nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))\n"
    )
    (plugin,) = plugins.load([file])
    try:
        recipe = small_recipe(small_images, name="mine", network="my_net", iterations=2)
        train(recipe, home / "runs" / "mine_x2", False, lambda event: None)
        assert run_state.find("mine_x2").state == "finished"
    finally:
        plugins.unload([plugin.name])
        run_state._read.cache_clear()  # as another process, which has never had it
    run = run_state.find("mine_x2")
    assert run.state == "unavailable" and run.note == f"trained with {file}; load it with mtkd --plugin {file}"
    assert "cannot be resumed" in attempt(jobs.resume, "mine_x2")
    (home / "runs" / "mine_x2" / "status.json").unlink()  # as a run of before: its card names the file
    assert run_state.find("mine_x2").note == "trained with my_net.py; load it with mtkd --plugin my_net.py"


def test_damaged_folders_break_nothing(home: Path, small_images: Path) -> None:
    run_folder(home, "good_x2", small_recipe(small_images), metrics_jsonl='{"iteration": 3, "L1": 0.5}\n{"iter')
    run_folder(home, "garbage_x2", recipe_yaml="\x00: [")
    run_folder(home, "unknown_x2", recipe_yaml="nmae: x")
    run_folder(
        home,
        "status_x2",
        small_recipe(small_images),
        status_json='{"pid": "one"}',
        log_txt="\udcff".encode("utf-8", "replace").decode(),
    )
    run_folder(home, "alone_x2", status_json="{}")
    run_folder(home, "no_run", model_safetensors="")
    (home / "runs" / "file").write_text("")
    states = {run.name: run.state for run in run_state.runs()}
    assert states == {"good_x2": "stopped", "garbage_x2": "damaged", "unknown_x2": "damaged", "status_x2": "stopped"}
    assert run_state.find("good_x2").iteration == 3
    assert "cannot be resumed" in attempt(jobs.resume, "garbage_x2")
    assert jobs.delete("garbage_x2").parent == home / "deleted"


@pytest.mark.parametrize("name", ["good_x3", "..", "../runs/good_x2", "", "."])
def test_only_runs_are_found(name: str, home: Path, small_images: Path) -> None:
    run_folder(home, "good_x2", small_recipe(small_images))
    assert "unknown run" in attempt(run_state.find, name)
    assert attempt(jobs.delete, name)
    assert (home / "runs" / "good_x2").is_dir()


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [("cuda", "", None), ("cuda:1", "", "1"), ("cuda:1", "4,5", "5"), ("cpu", "0", "")],
)
def test_the_process_sees_the_chosen_device(
    device: str, visible: str, expected: str | None, home: Path, small_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}

    class Started:
        pid = 0

        def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
            given.update(env)

        def wait(self) -> None:
            pass

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(devices, "devices", lambda: ["cuda", "cuda:0", "cuda:1", "cpu"])
    monkeypatch.setattr(subprocess, "Popen", Started)
    run = jobs.start(small_recipe(small_images, name="mine"), device)
    assert given.get("CUDA_VISIBLE_DEVICES") == expected and run.device == device
    assert ("ACCELERATE_USE_CPU" in given) == (device == "cpu")


def test_an_unknown_device_leaves_nothing_behind(home: Path, small_images: Path) -> None:
    assert "did you mean 'cpu'" in attempt(jobs.start, small_recipe(small_images, name="mine"), "cpuu")
    assert run_state.runs() == [] and not (home / "runs" / "mine_x2").exists()
