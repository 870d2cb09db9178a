"""What stops a training, and what is told of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.methods import Terms
from mtkd.training import run_state
from mtkd.training.guards import Finite, falls
from mtkd.training.loop import Loop, train
from mtkd.training.progress import TrainingProgress
from mtkd.training.stages import prepare
from tests.training.conftest import DISTILL, small_recipe


def spoiled_at(iteration: int, spoil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the training's step at ``iteration`` call ``spoil(network, terms)`` on its results."""
    real, count = Loop._step, 0

    def step(self: Loop, batch: Any) -> Terms:
        nonlocal count
        count += 1
        terms = real(self, batch)
        return spoil(self.network, terms) or terms if count == iteration else terms

    monkeypatch.setattr(Loop, "_step", step)


def poison_loss(network: nn.Module, terms: dict[str, Tensor]) -> Terms:
    return Terms({name: value * math.nan for name, value in terms.items()})


def poison_weight(network: nn.Module, terms: dict[str, Tensor]) -> None:
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = math.inf


@pytest.mark.parametrize(("spoil", "what"), [(poison_loss, "the loss"), (poison_weight, "a weight")])
@pytest.mark.parametrize("at", [6, 8])
def test_numbers_that_are_not_finite_stop_a_training(
    spoil: Any, what: str, at: int, small_images: Path, in_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it happens between two looks: the batch of that very iteration is kept, the checkpoint before it too."""
    recipe = small_recipe(small_images, iterations=12, log_every=8, checkpoint_every=4, **DISTILL)
    spoiled_at(at, spoil, monkeypatch)
    out = tmp_path / "run"
    with pytest.raises(UserError) as stopped:
        train(recipe, out, False, lambda _: None)
    # a weight that breaks at iteration 6 shows in the loss of 7
    first, named = (7, "the loss") if (spoil, at) == (poison_weight, 6) else (at, what)
    batch = out / "non-finite" / f"{first:06d}.safetensors"
    latest = out / "checkpoints" / "latest.pt"
    assert str(stopped.value) == (
        f"{named} of iteration {first} is not finite; lower optimizer.lr. Its batch is saved in {batch}. "
        f"The last good checkpoint is {latest}, of iteration 4."
    )
    state = torch.load(latest, weights_only=True)
    assert state["iteration"] == 4
    assert all(value.isfinite().all() for value in state["network"].values())
    assert not (out / "model.safetensors").exists()

    stage = prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda *_: None)
    expected = stage.batch(first - 1)
    with safe_open(batch, framework="pt") as file:
        assert file.metadata() == {"iteration": str(first)}
        assert set(file.keys()) == {"lr_image", "hr_image", "output merged"}
        assert torch.equal(file.get_tensor("lr_image"), expected.lr_image)
        assert torch.equal(file.get_tensor("hr_image"), expected.hr_image)
        assert torch.equal(file.get_tensor("output merged"), expected.outputs["merged"])


def test_a_diverging_training_stops(small_images: Path, tmp_path: Path) -> None:
    recipe = small_recipe(small_images, iterations=40, optimizer={"lr": 1e18})
    with pytest.raises(UserError, match=r"(loss|weight) of iteration \d+ is not finite; lower optimizer.lr") as error:
        train(recipe, tmp_path / "run", False, lambda _: None)
    run = run_state.read_run(tmp_path / "run")
    assert (run.state, run.note) == ("diverged", str(error.value))


@pytest.mark.parametrize(
    ("losses", "weights", "fault"),
    [
        ([0, 0], True, None),
        ([0, 8], False, (8, "the loss", 1)),  # whose gradient has broken the weights of both
        ([8, 0], False, (8, "the loss", 0)),
        ([7, 6], False, (6, "the loss", 1)),
        ([0, 0], False, (8, "a weight", 0)),
    ],
)
def test_processes_agree_on_who_was_first(losses: list[int], weights: bool, fault: tuple[int, str, int] | None) -> None:
    """Both processes at iteration 8, played one after the other: what each gathers is what both have told."""
    network = nn.Linear(1, 1)
    if not weights:
        poison_weight(network, {})
    told: list[Tensor] = []
    gather = [lambda own: told.append(own) or own, lambda own: torch.cat(told)]
    found = []
    for collect in gather:
        for loss in losses:
            finite = Finite(network, SimpleNamespace(device=torch.device("cpu"), gather=collect))
            if loss:
                finite.see(torch.tensor(math.nan), loss)
            found.append(finite.fault(8))
    assert found[2:] == [fault, fault]


def test_a_damaged_cache_is_told_as_such(
    small_images: Path, in_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as a disk that is full."""
    recipe = small_recipe(small_images, **DISTILL)
    train(recipe, tmp_path / "one", False, lambda _: None)
    for output in (tmp_path / "cache").rglob("*.npy"):
        output.unlink()
        output.mkdir()  # there, and not to be read
    with pytest.raises(UserError, match=r"\.npy: damaged; remove it, then it is computed again$"):
        train(recipe, tmp_path / "two", False, lambda _: None)


def test_falls_by_hand() -> None:
    values = [25.0, 27.0, 26.01, 25.9, None, 27.5, 26.4]
    rows = [{"iteration": i} | ({} if v is None else {"validation PSNR-Y": v}) for i, v in enumerate(values, 1)]
    assert falls(rows) == [
        {"iteration": 4, "psnr": 25.9, "best": 27.0},
        {"iteration": 7, "psnr": 26.4, "best": 27.5},
    ]
    assert falls(rows[:3]) == []


def test_a_fall_of_the_validation_is_reported(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the process's output, in the card, in the list of runs; also by a run that was resumed in between."""

    def spoil(network: nn.Module, terms: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5)

    recipe = small_recipe(small_images, iterations=6, validate_every=2, optimizer={"lr": 1e-5})
    spoiled_at(3, spoil, monkeypatch)
    events: list[Mapping[str, Any]] = []
    monkeypatch.setenv("MTKD_HOME", str(tmp_path))
    out = tmp_path / "runs" / "small_x2"
    with TrainingProgress("small") as progress:

        def report(event: Mapping[str, Any]) -> None:
            events.append(event)
            progress.report(event)

        train(recipe, out, False, report)
    told = [event["fall"] for event in events if event.get("fall")]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    psnr = {row["iteration"]: row["validation PSNR-Y"] for row in rows if "validation PSNR-Y" in row}
    assert psnr[2] - psnr[4] > 1
    assert told[0] == {"iteration": 4, "psnr": round(psnr[4], 4), "best": round(psnr[2], 4)}
    assert json.loads((out / "card.json").read_text())["falls"] == told
    assert (
        f"held-out PSNR fell to {psnr[4]:.2f} dB at iteration 4, {psnr[2] - psnr[4]:.2f} dB below"
        in capsys.readouterr().out
    )
    note = run_state.read_run(out).note
    assert note.startswith("Held-out PSNR fell by ") and note.endswith("at step 6.")


@pytest.mark.parametrize("outputs", ["cached", "online"])
def test_no_gradient_enters_a_teacher(
    outputs: str, small_images: Path, in_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks on every layer of the frozen networks: none sees a gradient, cached or online."""
    recipe = small_recipe(small_images, teacher_outputs=outputs, **DISTILL)
    stage = prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda *_: None)
    backward: list[str] = []
    forward: list[str] = []
    for network in stage.frozen.values():
        for module in network.modules():
            module.register_full_backward_hook(lambda *_: backward.append("layer"))
            module.register_forward_hook(lambda *_: forward.append("layer"))
    monkeypatch.setattr("mtkd.training.loop.prepare", lambda *_: stage)
    train(recipe, tmp_path / "run", False, lambda _: None)
    assert not backward
    assert bool(forward) == (outputs == "online")
