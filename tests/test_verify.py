"""Measured numbers against known ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.benchmarks import benchmark
from mtkd.evaluate import evaluate
from mtkd.verify import PublishedPadding, Verdict, expected
from mtkd.zoo import published
from tests.conftest import Run
from tests.test_evaluate import fake_set
from tests.training.conftest import write_model


@pytest.fixture(autouse=True)
def _zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_DATA", raising=False)
    monkeypatch.delenv("MTKD_ZOO", raising=False)


def model(tmp_path: Path, card: dict, network: str = "edsr_tiny") -> Path:
    """A model with this card, and a benchmark set Set5 of two small images."""
    folder = tmp_path / "home" / "models"
    write_model(folder, "mine", network, 1)
    (folder / "mine_x2.json").write_text(json.dumps(card))
    fake_set(tmp_path / "sets", "Set5")
    return tmp_path / "sets"


def test_a_verdict() -> None:
    for measured, allowed, holds in ((30.02, 0.02, True), (29.98, 0.02, True), (30.0201, 0.02, False)):
        one = Verdict("m", 4, "Set5", measured, measured, 30.0, allowed, "Y")
        assert one.holds == holds and one.row()["difference"] == round(measured - 30, 4)


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (0.0009, 0), (-0.003, 1)])
def test_a_models_card(shift: float, code: int, run: Run, tmp_path: Path) -> None:
    root = model(tmp_path, {})
    measured = evaluate(zoo.load("mine", 2), benchmark(root, "Set5", 2), 2).metrics["psnr"]
    card = {"benchmarks": [{"set": "Set5", "psnr": measured + shift}, {"set": "Set14", "psnr": 1.0}]}
    (tmp_path / "home" / "models" / "mine_x2.json").write_text(json.dumps(card))
    outcome = run("benchmark", "mine", "--scale", 2, "--data", root, "--check")
    assert outcome.code == code
    assert ("  ok" in outcome.out, "DIFFERS" in outcome.out) == (code == 0, code == 1)
    assert "mine: the model's card; 0.001 dB allowed." in outcome.out
    told = json.loads(run("benchmark", "mine", "--scale", 2, "--data", root, "--check", "--json").out)
    assert told["holds"] == (code == 0)
    assert [(row["set"], row["difference"]) for row in told["rows"]] == [("Set5", pytest.approx(-shift, abs=1e-4))]


def public_card(psnr: float) -> dict:
    about = {"published": {"Set5": [psnr, 0.9]}, "numbers_from": "A paper, Table 1", "known": "it was a cloudy day"}
    return {"public": about}


def test_published_numbers(run: Run, tmp_path: Path) -> None:
    root = model(tmp_path, {})
    measured = evaluate(zoo.load("mine", 2), benchmark(root, "Set5", 2), 2).metrics["psnr"]
    for shift, code in ((0.015, 0), (0.05, 1)):
        card = tmp_path / "home" / "models" / "mine_x2.json"
        card.write_text(json.dumps(public_card(measured + shift)))
        outcome = run("benchmark", "mine", "--scale", 2, "--data", root, "--check")
        assert outcome.code == code and "A paper, Table 1; 0.02 dB allowed" in outcome.out
        assert ("it was a cloudy day" in outcome.out) == (code == 1)


def test_swinir_is_measured_as_its_authors_do(run: Run, tmp_path: Path) -> None:
    root = model(tmp_path, public_card(30.0), "swinir_tiny")
    told = json.loads(run("benchmark", "mine", "--scale", 2, "--data", root, "--check", "--json").out)
    (row,) = told["rows"]
    network, images = zoo.load("mine", 2), benchmark(root, "Set5", 2)
    assert row["here"] == pytest.approx(evaluate(network, images, 2).metrics["psnr"], abs=1e-4)
    assert row["measured"] == pytest.approx(evaluate(PublishedPadding(network), images, 2).metrics["psnr"], abs=1e-4)
    assert row["here"] != row["measured"]
    assert any("padded by 1 to 8 mirrored pixels" in note and "Set5 " in note for note in told["notes"])


@pytest.mark.parametrize(("height", "width"), [(16, 24), (9, 15), (8, 8), (20, 3)])
def test_the_published_padding(height: int, width: int) -> None:
    """Whole windows plus one even where they fit; the border repeated in the mirror."""
    seen: list[Tensor] = []

    class Noted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x.repeat_interleave(3, -1).repeat_interleave(3, -2)

    x = torch.rand(1, 3, height, width)
    out = PublishedPadding(Noted())(x)
    assert out.shape == (1, 3, 3 * height, 3 * width) and torch.equal(out[..., ::3, ::3], x)
    (padded,) = seen
    down, right = 8 - height % 8, 8 - width % 8
    right = 0 if right > width else right
    assert padded.shape[-2:] == (height + down, width + right)
    assert torch.equal(padded[..., :height, :width], x)
    assert torch.equal(padded[..., height, :width], x[..., height - 1, :])  # the border once more
    assert torch.equal(padded[..., height + down - 1, :width], x[..., height - down, :])


def test_whole_windows_are_not_padded_again() -> None:
    """The wrapper gives the network a multiple of its window: the network's own padding adds nothing."""
    network = networks.build("swinir_tiny", 2).eval()
    x = torch.rand(1, 3, 13, 10)
    padded = torch.cat([x, x.flip(-2)[..., :3, :]], -2)
    padded = torch.cat([padded, padded.flip(-1)[..., :6]], -1)
    with torch.inference_mode():
        assert torch.equal(PublishedPadding(network)(x), network(padded)[..., :26, :20])


def test_what_cannot_be_checked(refused: Callable[..., str], tmp_path: Path) -> None:
    root = model(tmp_path, {})
    said = refused("benchmark", "mine", "--scale", 2, "--data", root, "--check")
    assert "mine x2: no numbers to compare with, neither in its card nor in public.yaml" in said
    (tmp_path / "home" / "models" / "mine_x2.json").write_text(json.dumps(public_card(30)))
    said = refused("benchmark", "mine", "--scale", 2, "--data", root, "--sets", "Set14", "--check")
    assert "no set with published numbers" in said


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_has_its_known_numbers(scale: int, run: Run, data_root: Path) -> None:
    outcome = run("benchmark", "bicubic", "--scale", scale, "--data", data_root, "--check", "--json")
    told = json.loads(outcome.out)
    assert outcome.code == 0 and len(told["rows"]) == len(published.known()["bicubic"].published[scale])


def test_a_bundled_model_has_its_cards_numbers(run: Run, data_root: Path) -> None:
    known = expected("edsr_tiny-mtkd", 4)
    assert known is not None and known.allowed == 0.001 and set(known.psnr) == {"Set5", "Set14"}
    outcome = run("benchmark", "edsr_tiny-mtkd", "--data", data_root, "--sets", "Set5", "--check")
    assert outcome.code == 0, outcome.out
