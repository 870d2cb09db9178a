"""Runs that are killed, stopped, resumed: they end as if nothing had happened."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd.errors import UserError
from mtkd.experiments.plan import load_recipe
from mtkd.training import loop
from mtkd.training.checkpoint import Busy
from mtkd.training.loop import train
from mtkd.training.stages import prepare
from mtkd.training.stop import Interrupted
from mtkd.zoo.checkpoints import read_state
from mtkd.zoo.headers import read_header
from tests.training.conftest import AGGREGATE, DISTILL, write_model, write_recipe

CHECKPOINT_EVERY = 7
LONG: Mapping[str, Any] = {
    "iterations": 90,
    "checkpoint_every": CHECKPOINT_EVERY,
    "validate_every": 20,
    "schedule": {"kind": "cosine", "warmup": 10},
    "ema": 0.99,
}
WHERE_KILLED = 25
STAGES = {
    "pretrain-bf16": {"precision": "bf16"},
    "pretrain-fp32-noema": {"ema": None},
    "aggregate": {**AGGREGATE, "precision": "bf16", "batch": 1},
    "distill": DISTILL,
}
MARKS = {"pretrain-fp32-noema": pytest.mark.slow, "pretrain-bf16": pytest.mark.sweep, "aggregate": pytest.mark.sweep}
"""What the fast run leaves out: a process costs seconds."""


def silent(event: Mapping[str, Any]) -> None:
    pass


def rows(run: Path) -> list[dict[str, Any]]:
    """What was measured, without the speed."""
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [{k: v for k, v in json.loads(line).items() if k != "it/s"} for line in lines]


def command(recipe: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "mtkd.cli", "train", str(recipe), "--out", str(out), *options]


def start(recipe: Path, out: Path, signal_number: int, when: Callable[[], bool]) -> tuple[int, str]:
    """``mtkd train`` as a process that gets a signal once ``when()`` holds; its exit code and stderr."""
    with subprocess.Popen(
        command(recipe, out), env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not when():
            assert process.poll() is None, f"ended too early: {process.stderr.read() if process.stderr else ''}"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal_number)
        _, error = process.communicate(timeout=60)
    return process.returncode, error


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def reached(run: Path, iteration: int) -> Callable[[], bool]:
    """Whether a run has measured ``iteration`` and has a checkpoint."""

    def holds() -> bool:
        if not (run / "checkpoints" / "latest.pt").exists():
            return False
        return (run / "metrics.jsonl").read_bytes().count(b"\n") >= iteration

    return holds


def assert_same_end(run: Path, reference: Path) -> None:
    assert (run / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()
    assert rows(run) == rows(reference)
    cards = [json.loads((folder / "card.json").read_text()) for folder in (run, reference)]
    assert cards[0] | {"seconds": 0} == cards[1] | {"seconds": 0}
    assert (run / "finished.json").exists()
    samples = [sorted(p.name for p in (folder / "samples").iterdir()) for folder in (run, reference)]
    assert samples[0] == samples[1]


@pytest.mark.parametrize("stage", [pytest.param(name, marks=MARKS.get(name, ())) for name in STAGES])
def test_a_killed_run_ends_as_if_never_killed(stage: str, small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, **{**LONG, **STAGES[stage]})
    killed, reference = tmp_path / "killed", tmp_path / "reference"

    code, _ = start(recipe, killed, signal.SIGKILL, reached(killed, WHERE_KILLED))
    assert code == -signal.SIGKILL
    assert not (killed / "finished.json").exists() and not (killed / "model.safetensors").exists()
    resumed_from = torch.load(killed / "checkpoints" / "latest.pt", weights_only=True)["iteration"]
    assert 0 < resumed_from < LONG["iterations"] and resumed_from % CHECKPOINT_EVERY == 0
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 99, "L1": 0.0')  # a line that the crash cut short

    train(load_recipe(str(recipe)), reference, resume=False, report=silent)
    if stage == "pretrain-bf16":  # once as people do it
        subprocess.run(command(recipe, killed, "--resume"), check=True, env=_environment(), capture_output=True)
    else:
        train(load_recipe(str(recipe)), killed, resume=True, report=silent)
    assert_same_end(killed, reference)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_saves_and_says_how_to_go_on(number: signal.Signals, small_images: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "my recipe.yaml", small_images, **{**LONG, "checkpoint_every": 20})
    out = tmp_path / "run"
    code, error = start(recipe, out, number, reached(out, 25))
    assert code == 130
    assert error.count("\n") == 1 and "Traceback" not in error
    said, _, again = error.partition(" Resume with: ")
    iteration = torch.load(out / "checkpoints" / "latest.pt", weights_only=True)["iteration"]
    assert said == f"stopped at iteration {iteration} of {LONG['iterations']}; saved."
    assert rows(out)[-1]["iteration"] == iteration
    assert shlex.split(again) == ["mtkd", *command(recipe, out, "--resume")[3:]]

    train(load_recipe(str(recipe)), out, resume=True, report=silent)
    train(load_recipe(str(recipe)), tmp_path / "reference", resume=False, report=silent)
    assert_same_end(out, tmp_path / "reference")


class Stop:
    """A report that raises a signal in this process once, at an event of its choice."""

    def __init__(self, when: Callable[[Mapping[str, Any]], bool]) -> None:
        self.when, self.events = when, []

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.events.append(dict(event))
        if self.when(event):
            signal.raise_signal(signal.SIGTERM)


def test_a_run_stopped_while_preparing_goes_on(small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images, **AGGREGATE)))
    stop = Stop(lambda event: event.get("task") == "outputs of ada" and event["done"] == 2)
    with pytest.raises(Interrupted, match="stopped while outputs of ada"):
        train(recipe, tmp_path / "run", False, stop)
    done = list((tmp_path / "cache").rglob("*.npy"))
    assert len(done) == 2
    before = {path: path.stat().st_mtime_ns for path in done}

    train(recipe, tmp_path / "run", True, silent)
    assert {path: path.stat().st_mtime_ns for path in done} == before
    assert (tmp_path / "run" / "finished.json").exists()


def test_stopped_before_the_first_checkpoint_starts_over(small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    train(recipe, tmp_path / "reference", False, silent)
    out = tmp_path / "run"
    out.mkdir()
    (out / "recipe.yaml").write_text(recipe.dump())
    (out / "metrics.jsonl").write_text('{"iteration": 1, "L1": 9.0}\n{"iteration": 2, "L')
    train(recipe, out, True, silent)
    assert rows(out) == rows(tmp_path / "reference")


def test_the_handlers_of_signals_are_put_back(small_images: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    with pytest.raises(Interrupted, match="iteration 2 of 4; saved"):
        train(recipe, tmp_path / "run", False, Stop(lambda event: event.get("iteration") == 2))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_in_the_last_iteration_lets_the_run_finish(small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    train(recipe, tmp_path / "run", False, Stop(lambda event: event.get("iteration") == 4))
    assert (tmp_path / "run" / "finished.json").exists()


def test_one_process_trains_in_several_precisions(small_images: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16", "fp32"):
        recipe = load_recipe(str(write_recipe(tmp_path / "r.yaml", small_images, precision=precision)))
        train(recipe, tmp_path / f"{precision}-{len(list(tmp_path.iterdir()))}", False, silent)


def test_a_finished_run_is_not_repeated(small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    out = tmp_path / "run"
    card = train(recipe, out, False, silent)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr(loop, "prepare", lambda *_: pytest.fail("trained again"))
    assert train(recipe, out, True, silent) == card
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.rglob("*") if p.is_file()} == before


def test_a_network_is_kept_on_its_way(small_images: Path, tmp_path: Path) -> None:
    """What is kept after n steps is what a run would have ended with that went no further, at the same rates."""
    schedule = {"kind": "step", "every": 100}
    path = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=4, schedule=schedule, snapshots=[2, 4])
    long, short = load_recipe(str(path)), load_recipe(str(path), ["iterations=2"])
    for name, recipe in (("long", long), ("short", short)):
        train(recipe, tmp_path / name, False, silent)
    kept = {step: tmp_path / f"long/snapshots/{long.name}@{step}_x{long.scale}.safetensors" for step in (2, 4)}
    assert sorted((tmp_path / "long/snapshots").iterdir()) == sorted(kept.values())
    for step, run in ((2, "short"), (4, "long")):
        assert read_header(kept[step]).name == f"{long.name}@{step}"
        state, expected = read_state(kept[step]), read_state(tmp_path / run / "model.safetensors")
        assert state.keys() == expected.keys() and all(torch.equal(state[key], expected[key]) for key in state)


def killed_after_saving(iteration: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a training end as by a kill as soon as the checkpoint of ``iteration`` is there."""
    real = loop.RunFolder.save

    def save(self: loop.RunFolder, state: Mapping[str, Any]) -> None:
        real(self, state)
        if state["iteration"] == iteration:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.RunFolder, "save", save)


def test_a_kill_between_checkpoint_and_snapshot_loses_neither(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(
        str(write_recipe(tmp_path / "recipe.yaml", small_images, iterations=4, checkpoint_every=2, snapshots=[2]))
    )
    train(recipe, tmp_path / "reference", False, silent)
    with monkeypatch.context() as killed:
        killed_after_saving(2, killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "run", False, silent)
    train(recipe, tmp_path / "run", True, silent)
    name = f"snapshots/{recipe.name}@2_x{recipe.scale}.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "reference" / name).read_bytes()


def test_a_run_does_not_go_on_with_other_teachers(
    small_images: Path, small_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of the same name and form: only their values tell."""
    own = tmp_path / "zoo"
    shutil.copytree(small_zoo, own)
    monkeypatch.setenv("MTKD_ZOO", str(own))
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images, checkpoint_every=2, **AGGREGATE)))
    run = tmp_path / "run"
    with monkeypatch.context() as killed:
        killed_after_saving(2, killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run, False, silent)
    before = (own / "bob_x2.safetensors").read_bytes()
    write_model(own, "bob", "edsr_tiny", 9)
    with pytest.raises(UserError, match=r"run: started with other weights of bob than those present now; restore them"):
        train(recipe, run, True, silent)
    (own / "bob_x2.safetensors").write_bytes(before)
    old = torch.load(run / "checkpoints" / "latest.pt", weights_only=True)
    del old["teachers"], old["places"]  # as older versions wrote it
    torch.save(old, run / "checkpoints" / "latest.pt")
    train(recipe, run, True, silent)
    assert (run / "finished.json").exists()


def test_a_run_of_several_places_names_them(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images, iterations=6, checkpoint_every=2)))
    run, here = tmp_path / "run", loop.versions()
    elsewhere = here | {"torch": "2.7.0"}
    for stop, place in ((2, elsewhere), (4, here)):
        with monkeypatch.context() as killed:
            killed_after_saving(stop, killed)
            killed.setattr(loop, "versions", lambda place=place: place)
            with pytest.raises(KeyboardInterrupt):
                train(recipe, run, stop > 2, silent)
    checkpoint = run / "checkpoints" / "latest.pt"
    state = torch.load(checkpoint, weights_only=True)
    state["places"][0]["device"] = "cuda"
    torch.save(state, checkpoint)
    card = train(recipe, run, True, silent)
    assert (card["device"], card["versions"]) == ("cuda, cpu", here)
    assert card["places"] == [{"device": "cuda", "versions": elsewhere}, {"device": "cpu", "versions": here}]
    assert "places" not in train(recipe, tmp_path / "one", False, silent)


@pytest.mark.parametrize("ema", [None, 0.5])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_measured_is_what_the_kept_weights_give_in_float32(
    precision: str, ema: float | None, small_images: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(
        str(write_recipe(tmp_path / "r.yaml", small_images, precision=precision, ema=ema, validate_every=4))
    )
    card = train(recipe, tmp_path / "run", False, silent)
    stage = prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda *_: None)
    stage.network.load_state_dict(read_state(tmp_path / "run" / "model.safetensors"))
    values = stage.validate(stage.network)
    assert card["held_out"]["psnr"] == round(sum(values) / len(values), 4)
    assert rows(tmp_path / "run")[-1]["validation PSNR-Y"] == sum(values) / len(values)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="trains on a CPU")
def test_half_precision_is_refused_on_a_cpu(small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images, precision="fp16")))
    with pytest.raises(UserError, match="precision fp16 needs a GPU; use bf16 or fp32"):
        train(recipe, tmp_path / "run", False, silent)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run_needs_resume_and_the_same_recipe(small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    out = tmp_path / "run"
    train(recipe, out, False, silent)
    with pytest.raises(UserError, match="already contains a run; resume it with --resume"):
        train(recipe, out, False, silent)
    other = recipe.model_copy(update={"seed": 5, "batch": 3})
    with pytest.raises(UserError, match=r"another recipe \(batch, seed differ\)"):
        train(other, out, True, silent)


def test_a_run_that_cannot_start_leaves_no_folder(small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "r.yaml", small_images, lr_patch=40)))
    with pytest.raises(UserError, match="smaller than the patch of 40"):
        train(recipe, tmp_path / "run", False, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["r.yaml"]


def test_an_output_that_is_no_folder_is_told_before_any_work(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "prepare", lambda *_: pytest.fail("began to work"))
    path = write_recipe(tmp_path / "recipe.yaml", small_images)
    for out in (path, path / "run"):
        with pytest.raises(UserError, match="cannot be written"):
            train(load_recipe(str(path)), out, False, silent)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "list", "format"])
def test_an_unreadable_checkpoint_is_a_clear_error(damage: str, small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    out = tmp_path / "run"
    train(recipe, out, False, silent)
    (out / "finished.json").unlink()
    checkpoint = out / "checkpoints" / "latest.pt"
    good = checkpoint.read_bytes()
    if damage == "list":
        torch.save([1, 2], checkpoint)
    elif damage == "format":
        torch.save({"format": "mtkd-checkpoint/9"}, checkpoint)
    else:
        checkpoint.write_bytes({"cut": good[: len(good) // 2], "text": b"hello\n", "empty": b""}[damage])
    damaged = checkpoint.read_bytes()
    with pytest.raises(UserError) as caught:
        train(recipe, out, True, silent)
    assert str(checkpoint) in str(caught.value) and "\n" not in str(caught.value)
    assert checkpoint.read_bytes() == damaged


def test_a_second_process_is_kept_out_of_a_run_folder(small_images: Path, tmp_path: Path) -> None:
    """The lock is one that the system takes back when a process dies, and a refused one leaves nothing."""
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    out = tmp_path / "new" / "run"
    lock = str(out / ".lock")
    holder = (
        f"from filelock import FileLock; lock = FileLock({lock!r}); lock.acquire(); print('held', flush=True); input()"
    )
    out.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(Busy, match="another process trains in this folder; wait for it, or stop it"):
            train(recipe, out, True, silent)
        assert [path.name for path in out.iterdir()] == [".lock"]
        other.kill()
    train(recipe, out, True, silent)
    assert (out / "finished.json").exists()


def test_a_run_that_cannot_begin_leaves_no_folder(small_images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images, lr_patch=40)))
    with pytest.raises(UserError, match="lower lr_patch"):
        train(recipe, tmp_path / "new" / "deep" / "run", False, silent)
    assert not (tmp_path / "new").exists()


def test_a_training_in_a_thread_runs_without_signals(small_images: Path, tmp_path: Path) -> None:
    """Only a process's main thread may ask for signals (Ray, servers)."""
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.yaml", small_images)))
    thread = threading.Thread(target=train, args=(recipe, tmp_path / "run", False, silent))
    thread.start()
    thread.join(60)
    assert (tmp_path / "run" / "finished.json").exists()


@pytest.mark.slow
def test_a_compiled_training_is_the_same_training(small_images: Path, tmp_path: Path) -> None:
    """Up to the order of summation; whole images of several sizes are validated as ever."""
    recipe = write_recipe(tmp_path / "recipe.yaml", small_images, iterations=6, validate_every=3)
    plain, compiled = load_recipe(str(recipe)), load_recipe(str(recipe), ["compile=true"])
    train(plain, tmp_path / "plain", False, silent)
    train(compiled, tmp_path / "compiled", False, silent)
    for one, other in zip(rows(tmp_path / "plain"), rows(tmp_path / "compiled"), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    states = [read_state(tmp_path / name / "model.safetensors") for name in ("plain", "compiled")]
    assert states[0].keys() == states[1].keys()
