"""A comparison whose networks are run by onnxruntime: the same images, in files that are kept."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import torch

from mtkd import zoo
from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore.comparison import outputs as module
from mtkd.explore.comparison.outputs import Outputs
from mtkd.home import home

pytest.importorskip("onnxscript", reason="needs the extra 'export'")
LR = example("coffee").read()[:20, :28]


@pytest.fixture
def fast(monkeypatch, tmp_path) -> Outputs:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path))
    module._in_onnxruntime.cache_clear()
    yield Outputs()
    module._in_onnxruntime.cache_clear()


def test_images_are_those_of_pytorch(fast):
    fast.engine = "onnxruntime"
    for name in ("rcan_tiny-mtkd", "bicubic"):
        with torch.inference_mode():
            wanted = Outputs()(name, LR, 4).sr
        assert (fast(name, LR, 4).sr - wanted).abs().max() < 1e-4
    assert [path.name.split("_x4")[0] for path in (home() / "onnx").iterdir()] == ["rcan_tiny-mtkd"]


def test_what_cannot_be_exported_stays_in_pytorch_and_is_told(fast, monkeypatch, caplog):
    def refused(name: str, scale: int):
        raise UserError(f"{name}: PyTorch cannot write this network")

    monkeypatch.setattr(module.exported, "load", refused)
    fast.engine = "onnxruntime"
    with caplog.at_level(logging.WARNING, "mtkd"):
        made = fast("rcan_tiny-mtkd", LR, 4).sr
    assert torch.equal(made, Outputs()("rcan_tiny-mtkd", LR, 4).sr)
    assert "PyTorch runs rcan_tiny-mtkd: PyTorch cannot write" in caplog.text


@pytest.mark.sweep
def test_a_combined_teacher_is_made_of_such_teachers(fast):
    fast.engine = "onnxruntime"
    made = fast("aggregator_mini", LR, 4).sr
    assert (made - Outputs()("aggregator_mini", LR, 4).sr).abs().max() < 1e-4
    kept = {path.name.split("_x4")[0] for path in (home() / "onnx").iterdir()}
    assert kept == set(zoo.find("aggregator_mini", 4).header.teachers)


def test_an_unknown_engine_is_refused_before_the_explorer_starts():
    pytest.importorskip("gradio")
    command = [sys.executable, "-m", "mtkd.cli", "demo", "--engine", "tensorflow"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and "--engine tensorflow: give torch or onnxruntime" in ended.stderr
