"""Residual correlation and what merging gains: errors made by hand, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.experiments.maintain.agreement import Agreement, agreement, gain_of_averaging
from mtkd.metrics import psnr
from tests.conftest import Run
from tests.test_evaluate import fake_set
from tests.training.conftest import write_model

SCALE, SIDE = 2, 20
LUMA = 219 / 255
"""What a step of one grey level is in luma (BT.601, 16 to 235)."""
ROWS, COLUMNS = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
STRIPES = {"rows": 1 - 2 * (ROWS % 2), "columns": 1 - 2 * (COLUMNS % 2), "board": 1 - 2 * ((ROWS + COLUMNS) % 2)}
"""Patterns of +1 and -1 that are orthogonal to one another, on the whole and with 2 pixels cropped."""


class Erring(nn.Module):
    """Grey 0.5 plus an error in levels: (SIDE, SIDE)."""

    def __init__(self, error: Tensor) -> None:
        super().__init__()
        self.error = error

    def forward(self, lr: Tensor) -> Tensor:
        return (128 + self.error.float()).expand(1, 3, SIDE, SIDE) / 255


class Grey:
    """A ground truth of level 128."""

    name, lr, hr, derived = "grey", Path("grey_LR.png"), Path("grey_HR.png"), False

    def __init__(self, side: int = SIDE) -> None:
        self.side = side

    def read(self):
        shape = (self.side, self.side, 3)
        return np.full((SIDE // SCALE, SIDE // SCALE, 3), 128, np.uint8), np.full(shape, 128, np.uint8)


def between(*errors: Tensor, beside: Tensor | None = None) -> Agreement:
    networks = {str(i): Erring(error) for i, error in enumerate(errors)}
    return agreement(networks, [Grey(), Grey()], SCALE, {} if beside is None else {"MT": Erring(beside)})


@pytest.mark.parametrize(
    ("count", "correlation", "decibel"),
    [(3, 0.98, 0.058), (3, 0.97, 0.088), (3, 0.96, 0.117), (2, 0.98, 0.044), (4, 0, 6.0206), (5, 1, 0)],
)
def test_what_averaging_gains(count: int, correlation: float, decibel: float) -> None:
    assert gain_of_averaging(count, correlation) == pytest.approx(decibel, abs=6e-4)


def test_errors_that_have_nothing_in_common() -> None:
    found = between(4 * STRIPES["rows"], 4 * STRIPES["columns"], 4 * STRIPES["board"])
    assert np.allclose(found.correlation, np.eye(3), atol=1e-6)
    assert found.psnr["0"] == pytest.approx(20 * math.log10(255 / (4 * LUMA)), abs=1e-4)
    gains = found.gains()
    assert gains["predicted"] == pytest.approx(10 * math.log10(3), abs=1e-4)
    assert gains["mean"] == pytest.approx(10 * math.log10(3), abs=1e-4)


def test_the_formula_is_exact_for_equals() -> None:
    """Two errors with a common part of 3 and parts of 1 of their own: r = 9 / 10."""
    common = 3 * STRIPES["board"]
    found = between(common + STRIPES["rows"], common + STRIPES["columns"])
    assert found.mean_correlation == pytest.approx(0.9, abs=1e-6)
    assert found.gains()["mean"] == pytest.approx(found.gains()["predicted"], abs=1e-4)
    assert found.gains()["mean"] == pytest.approx(10 * math.log10(10 / 9.5), abs=1e-4)


def test_weights_are_those_of_least_error() -> None:
    """Uncorrelated errors of 2 and 4 levels: weights as 1/4 to 1/16, and the mean is worse than the better one."""
    found = between(2 * STRIPES["rows"], 4 * STRIPES["columns"])
    assert found.weights == pytest.approx([0.8, 0.2], abs=1e-5)
    assert found.gains()["best weights"] == pytest.approx(10 * math.log10(1 / 0.8), abs=1e-4)
    assert found.gains()["mean"] == pytest.approx(10 * math.log10(4 / 5), abs=1e-4)


def test_networks_that_are_the_same_gain_nothing() -> None:
    found = between(STRIPES["rows"], STRIPES["rows"])
    assert found.mean_correlation == pytest.approx(1)
    assert found.weights == pytest.approx([0.5, 0.5], abs=1e-6)
    assert list(found.gains().values()) == pytest.approx([0, 0, 0, 0], abs=1e-6)


def test_the_nearest_at_every_pixel() -> None:
    """Each is right in its half of the columns, and 8 levels off in the other."""
    left = 8 * (COLUMNS < SIDE // 2)
    found = between(left, 8 - left, beside=torch.full((SIDE, SIDE), 2))
    assert found.oracle == pytest.approx([0, 0], abs=1e-9)
    one = found.gains()["MT"]
    assert one == pytest.approx(10 * math.log10((8**2 / 2) / 2**2), abs=1e-4)


def test_psnr_is_that_of_the_metrics() -> None:
    error = torch.randint(-9, 9, (SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    found = between(error, STRIPES["rows"])
    assert found.psnr["0"] == pytest.approx(psnr(Erring(error)(torch.empty(0)), Grey().read()[1], SCALE), abs=1e-4)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(UserError, match="two or more"):
        between(STRIPES["rows"])
    networks = {name: Erring(error) for name, error in STRIPES.items()}
    with pytest.raises(UserError, match=r"grey_LR.png: 2 times its size is not the size of grey_HR.png"):
        agreement(networks, [Grey(SIDE + 1)], SCALE)


@pytest.fixture
def in_zoo(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Students ``ada`` and ``bob`` with random weights and their aggregator ``merged``, x2."""
    folder = tmp_path_factory.mktemp("zoo")
    write_model(folder, "ada", "edsr_tiny", 1)
    write_model(folder, "bob", "edsr_tiny", 2)
    write_model(folder, "merged", "aggregator_mini", 3, teachers=("bob", "ada"))
    monkeypatch.setenv("MTKD_ZOO", str(folder))


def test_the_command(run: Run, in_zoo: None, tmp_path: Path) -> None:
    fake_set(tmp_path)
    options = ("--scale", 2, "--data", tmp_path, "--sets", "Tiny")
    outcome = run("agreement", "ada", "bob", "--beside", "merged,bicubic", *options, "--json")
    (row,) = json.loads(outcome.out)
    assert (row["set"], row["scale"], row["images"]) == ("Tiny", 2, 2)
    assert list(row["psnr"]) == ["ada", "bob", "merged", "bicubic"]
    assert list(row["gains"]) == ["predicted", "mean", "best weights", "best of each pixel", "merged", "bicubic"]
    assert sum(row["weights"]) == pytest.approx(1, abs=1e-3)
    said = run("agreement", "ada", "bob", *options)
    assert said.code == 0 and "over the best model (dB): predicted " in said.out and "bicubic" not in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ada", "boob"), "unknown model 'boob'; did you mean 'bob'?"),
        (("ada", "ada"), "two or more"),
        (("ada", "bob", "--scale", 5), "--scale 5: give 2, 3 or 4"),
        (("ada", "bob", "--sets", "Tinny"), "'Tinny'; did you mean 'Tiny'?"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple, message: str, run: Run, in_zoo: None, tmp_path: Path) -> None:
    fake_set(tmp_path)
    said = run("agreement", "--scale", 2, "--data", tmp_path, "--sets", "Tiny", *arguments)
    assert said.code == 2 and message in said.err and said.err.count("\n") == 1


def test_sets_need_a_folder(run: Run, in_zoo: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTKD_DATA", raising=False)
    for sets, message in (("Set5", "set MTKD_DATA"), ("held out", "data.train: no folder 'BSDS400'")):
        said = run("agreement", "ada", "bob", "--scale", 2, "--sets", sets)
        assert said.code == 2 and message in said.err
