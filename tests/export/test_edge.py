"""Files for phones: one size, int8, test vectors. onnxruntime runs them; PyTorch is what they must equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd import zoo
from mtkd.data.examples import EXAMPLES
from mtkd.export import export, quantise
from mtkd.images import to_tensor, to_uint8, write_image
from mtkd.metrics import psnr
from mtkd.resize import imresize
from tests.conftest import Run

onnx = pytest.importorskip("onnx", reason="needs the extra 'export'")
pytest.importorskip("onnxscript", reason="needs the extra 'export'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'export'")


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """``mtkd export`` as a process."""
    words = [sys.executable, "-m", "mtkd.cli", "export", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | environment)


def opened(path: Path) -> Callable[[Tensor], np.ndarray]:
    """The file as onnxruntime runs it, without this project."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["sr"], {"lr": image.numpy()})[0]


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def photo(height: int, width: int) -> Tensor:
    return to_tensor(EXAMPLES[2].read()[30 : 30 + height, 40 : 40 + width])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HR images to calibrate on: one smaller than what a file takes, one larger."""
    folder = tmp_path_factory.mktemp("pictures")
    write_image(folder / "a.png", EXAMPLES[0].read()[:50, :60])
    write_image(folder / "b.png", EXAMPLES[1].read())
    return folder


ON_SHAPES = {"Shape", "Gather", "Range", "Mod", "ConstantOfShape", "Expand", "If", "Loop"}


@pytest.mark.parametrize(
    ("name", "none_of"),
    [
        ("edsr_tiny-mtkd", {*ON_SHAPES, "Slice", "Concat", "Reshape"}),
        ("rcan_tiny-mtkd", {*ON_SHAPES, "Slice", "Concat", "Reshape"}),
        ("swinir_tiny-mtkd", ON_SHAPES),  # it cuts q, k, v apart and moves its windows
        pytest.param("aggregator_mini", ON_SHAPES, marks=pytest.mark.slow),
    ],
)
def test_a_file_of_one_size_has_constant_shapes(name: str, none_of: set[str], tmp_path: Path) -> None:
    """No whole windows: SwinIR pads."""
    made = export(name, 4, tmp_path / "a.onnx", size=(13, 21))
    model = onnx.load(made.path)
    onnx.checker.check_model(model, full_check=True)
    shapes = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*model.graph.input, *model.graph.output)]
    assert shapes == [[1, 3, 13, 21], [1, 3, 52, 84]]
    assert not none_of & operators(made.path).keys()
    network, lr_image = zoo.load(name, 4), photo(13, 21)
    with torch.inference_mode():
        assert np.abs(opened(made.path)(lr_image) - network(lr_image).numpy()).max() < 5e-6
    assert made.sizes == ((13, 21),) and 0 < made.difference < 5e-6
    with pytest.raises(Exception, match="invalid dimensions"):
        opened(made.path)(photo(21, 13))


@pytest.mark.sweep
def test_int8_with_calibration_and_vectors_as_a_process(pictures: Path, tmp_path: Path) -> None:
    whole, small = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    fixed = ("edsr_tiny-mtkd", "--size", "64x48", "-o")
    assert command(*fixed, whole).returncode == 0
    done = command(*fixed, small, "--int8", "--static", "--calibration", pictures, "--vectors")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert ", int8, 57,960 parameters" in lines[0] and "64 x 48" in lines[1]

    lr_image, expected = (np.load(tmp_path / f"small.{part}.npy") for part in ("input", "output"))
    assert lr_image.shape == (1, 3, 48, 64) and expected.shape == (1, 3, 192, 256) and lr_image.dtype == np.float32
    assert np.array_equal(opened(small)(torch.from_numpy(lr_image)), expected)
    exact = opened(whole)(torch.from_numpy(lr_image))
    assert 1e-4 < np.abs(expected - exact).mean() < 0.01

    assert small.stat().st_size < whole.stat().st_size / 2
    convolutions = operators(small)["Conv"]
    assert operators(small)["QuantizeLinear"] >= convolutions
    stored = [one.data_type for one in onnx.load(small).graph.initializer if len(one.dims) == 4]
    assert stored.count(onnx.TensorProto.INT8) == convolutions
    about = {entry.key: entry.value for entry in onnx.load(small).metadata_props}
    assert about["name"] == "edsr_tiny-mtkd" and about["licence"] == "MIT"

    def lost(path: Path) -> float:
        """dB of the middle of the colour examples, as anybody would measure it."""
        differences = []
        for one in EXAMPLES[:4]:
            hr = one.read()
            top, left = (hr.shape[0] - 192) // 2, (hr.shape[1] - 256) // 2
            hr = hr[top : top + 192, left : left + 256]
            lr = to_tensor(imresize(torch.from_numpy(hr).permute(2, 0, 1), 1 / 4).permute(1, 2, 0).numpy())
            two = [to_uint8(torch.from_numpy(opened(file)(lr))) for file in (whole, path)]
            differences.append(psnr(two[0], hr, 4) - psnr(two[1], hr, 4))
        return float(np.mean(differences))

    assert lines[3] == f"weights and activations in int8 (--static): {lost(small):.3f} dB lost on the example images"
    assert abs(lost(small)) > 0.01


@pytest.mark.sweep
def test_int8_weights_alone_at_every_size(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without training images; a file that loses more than the limit is told so."""
    monkeypatch.setenv("MTKD_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(quantise, "LOSS", -1.0)
    path = tmp_path / "a.onnx"
    outcome = run("export", "swinir_tiny-mtkd", "-o", path, "--int8")
    assert outcome.code == 0 and outcome.err == "this file loses more than -1.0 dB: try --fp16\n"
    assert "(--static): not measured: its training images are not here" in outcome.out
    network = zoo.load("swinir_tiny-mtkd", 4)
    for height, width in ((1, 1), (9, 17)):
        lr_image = photo(height, width)
        with torch.inference_mode():
            difference = np.abs(opened(path)(lr_image) - network(lr_image).numpy()).max()
        assert 1e-5 < difference < 0.05
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    stored = sum(np.prod(t.dims) for t in onnx.load(path).graph.initializer if t.data_type == onnx.TensorProto.INT8)
    assert 0.9 * weights < stored <= weights
    row = json.loads(run("export", "edsr_tiny-mtkd", "-o", path, "--int8", "--replace", "--json").out)
    assert row["precision"] == "int8 weights" and set(row["int8_lost_db"]) == {"weights"}
    assert 0 < row["int8_lost_db"]["weights"] < 0.05


def test_options_that_do_not_fit(refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_DATA", str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.input.npy").write_bytes(b"mine")
    out: Any = tmp_path / "a.onnx"
    for options, message in (
        (("-o", out, "--size", "320"), "--size 320: give width and height in LR pixels, as in 320x240"),
        (("-o", out, "--size", "0x20"), "--size 0x20: each side needs 1 to 4096 LR pixels"),
        (("-o", out, "--size", "99999x20"), "each side needs 1 to 4096 LR pixels"),
        (("-o", out, "--int8", "--fp16"), "--int8 and --fp16: choose one of them"),
        (("-o", out, "--static"), "--static needs --int8"),
        (("-o", out, "--int8", "--static"), "edsr_tiny-mtkd: its training images are not here"),
        (("-o", out, "--int8", "--calibration", tmp_path / "empty"), "no images"),
        (("-o", out.with_suffix(".safetensors"), "--size", "9x9"), "--size is for ONNX files"),
        (("-o", out.with_suffix(".safetensors"), "--vectors"), "--vectors is for ONNX files"),
        (("-o", tmp_path / "mine.onnx", "--vectors"), "mine.input.npy: exists; choose another name"),
    ):
        assert message in refused("export", "edsr_tiny-mtkd", *options), options
