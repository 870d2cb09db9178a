"""FLIP by its properties, and as a column; one line where its program is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.explore import compare
from mtkd.explore.draw.colours import VISIBLE_RANGE, heat_map
from mtkd.images import write_image
from mtkd.metrics import Protocol, measure, show, shown
from mtkd.metrics.flip import error_map
from tests.conftest import Run

RGB = Protocol("RGB", 0)


def flip(sr_image: Tensor, hr_image: Tensor, protocol: Protocol = RGB) -> float:
    return measure(sr_image, hr_image, 4, ("flip",), protocol)["flip"]


@pytest.fixture
def program() -> None:
    pytest.importorskip("flip_evaluator")


@pytest.fixture
def picture() -> Tensor:
    return torch.from_numpy(EXAMPLES[0].read()[60:124, 80:160].copy()).permute(2, 0, 1)


def test_properties(program: None, picture: Tensor) -> None:
    """0 for the same, more for a larger error; a difference of colour alone is seen in RGB, hardly in luma."""
    assert flip(picture, picture) == 0
    values = [flip((picture.int() + level).clamp(0, 255).byte(), picture) for level in (4, 16, 64)]
    assert 0 < values[0] < values[1] < values[2] < 1
    grey = torch.full((3, 48, 48), 128, dtype=torch.uint8)
    tinted = grey.clone()
    tinted[0], tinted[2] = 158, 72  # as light: 0.299 of red against 0.114 of blue and a little of green
    tinted[1] = 123
    assert flip(tinted, grey) > 5 * flip(tinted, grey, Protocol("Y", 0))
    assert flip(torch.zeros_like(grey), torch.full_like(grey, 255)) == pytest.approx(0.967, abs=0.001)


def test_it_is_a_column_of_score(program: None, picture: Tensor, tmp_path: Path, run: Run) -> None:
    for folder, image in (("sr", picture.flip(2)), ("hr", picture)):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "a.png", np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    words = ("--scale", 4, "--metrics", "flip", "--channels", "rgb", "--json")
    content = json.loads(run("score", tmp_path / "sr", tmp_path / "hr", *words).out)
    assert content["flip"] == pytest.approx(flip(picture.flip(2), picture, Protocol("RGB")), abs=1e-6)


def test_without_the_program(picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(UserError, match=r"FLIP needs the extra 'flip': pip install 'mtkd\[flip\]'"):
        flip(picture, picture)


def test_the_error_layer(program: None, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where FLIP is a metric of the comparison, its panes have a layer of it, whose mean is the metric of colours."""
    pictures: dict[str, np.ndarray] = {}

    def save(name: str, image: np.ndarray) -> str:
        pictures[name] = image
        return name

    hr_image = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    monkeypatch.setattr("mtkd.metrics._also", [])
    show(["psnr", "flip"])
    assert shown()[:3] == ("psnr", "ssim", "flip")
    for metrics, there in ((None, True), (("psnr",), False)):
        panes = compare(hr_image, ["bicubic"], 4, metrics=metrics).panes(save)
        assert [("flip" in pane["layers"]) for pane in panes] == [False, there, False]  # ground truth, bicubic, LR
    errors = error_map(pictures["bicubic"], hr_image)
    assert errors.shape == hr_image.shape[:2] and 0 <= errors.min() <= errors.max() <= 1
    sr_image = torch.from_numpy(pictures["bicubic"]).permute(2, 0, 1)
    assert errors.mean() == pytest.approx(flip(sr_image, picture), abs=1e-6)
    np.testing.assert_array_equal(pictures["bicubic: FLIP"], heat_map(errors.astype(np.float64) / VISIBLE_RANGE))
