"""Exported files against the models they were made of: onnxruntime and PyTorch, at every size; and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import mtkd
from mtkd import export as exporting
from mtkd import infer, networks, plugins, zoo
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.export import SIZES, TOLERANCE, Exported, engine, export
from mtkd.images import read_image, to_tensor, to_uint8, write_image
from mtkd.networks.aggregator import KnowledgeAggregator
from mtkd.networks.swinir import SwinIR
from mtkd.zoo.checkpoints import read_state, save_weights, weights_hash
from mtkd.zoo.headers import Header, read_header
from tests.conftest import Run
from tests.training.conftest import write_model

onnx = pytest.importorskip("onnx", reason="needs the extra 'export'")
pytest.importorskip("onnxscript", reason="needs the extra 'export'")
pytest.importorskip("onnxruntime", reason="needs the extra 'export'")

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
SHIFTED = ((1, 1), (1, 9), (3, 5), (4, 12), (5, 4), (8, 8), (9, 16), (16, 9), (17, 8), (23, 31))
"""Sizes on both sides of each border between mirroring and replicating, of one window and of several."""


@pytest.fixture(scope="module", autouse=True)
def _small_networks() -> Iterator[None]:
    """Networks of two layers, one of them shifted: an export takes seconds."""
    plugins.network("swinir_small", role="teacher", family="swinir")(
        partial(SwinIR, channels=16, depths=(2,), heads=2, upsampler="pixelshuffledirect")
    )
    plugins.network("aggregator_small", role="aggregator", family="aggregator", inputs="teachers")(
        partial(KnowledgeAggregator, channels=12, blocks=1, heads=2, mixing="masked_attention", residual="weighted")
    )
    yield
    for name in ("swinir_small", "aggregator_small"):
        plugins.NETWORKS.remove(name)


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks with random weights at x2: one of each class, and an aggregator of two of them."""
    folder = tmp_path_factory.mktemp("zoo")
    for seed, name in enumerate(("edsr_tiny", "rcan_tiny", "swinir_small"), start=1):
        write_model(folder, name, name, seed)
    write_model(folder, "merged", "aggregator_small", 4, teachers=("swinir_small", "edsr_tiny"))
    return folder


@pytest.fixture(autouse=True)
def _zoo(models_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTKD_ZOO", str(models_folder))
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """Each ONNX file is made once for all tests."""
    folder = tmp_path_factory.mktemp("exported")
    return cache(lambda name, half=False: export(name, 2, folder / f"{name}-{half}.onnx", half=half))


def photo(height: int, width: int, images: int = 1) -> Tensor:
    """Parts of the examples, one after another, ``(images, 3, height, width)``."""
    return torch.cat([to_tensor(EXAMPLES[n].read()[90 : 90 + height, 70 : 70 + width]) for n in range(images)])


@torch.inference_mode()
def differences(path: Path, network: nn.Module, sizes: tuple[tuple[int, ...], ...]) -> list[float]:
    run = exporting.onnx_session(path)
    found = []
    for size in sizes:
        lr_image = photo(*size)
        ours, theirs = run(lr_image), network(lr_image)
        assert ours.shape == theirs.shape and ours.dtype == torch.float32
        found.append((ours - theirs).abs().max().item() / max(1.0, theirs.abs().max().item()))
    return found


# --- ONNX: the same images


@pytest.mark.parametrize("name", ["edsr_tiny", "rcan_tiny", "swinir_small", "merged"])
def test_onnx_gives_the_same_image_at_every_size(name: str, exported: Callable[..., Exported]) -> None:
    made = exported(name)
    network = zoo.load(name, 2)
    sizes = (*SHIFTED, *((h, w) for h in range(1, 18) for w in (2, 6, 13)), (5, 11, 3), (16, 8, 2))
    assert max(differences(made.path, network, sizes)) < 5e-6
    assert 0 < made.difference < TOLERANCE


@pytest.mark.sweep
@torch.inference_mode()
def test_upscaling_by_onnxruntime(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An aggregator's teachers, in tiles; the files are made once, and again where one is damaged."""
    lr_image, network = photo(40, 33), zoo.load("merged", 2)
    ours, theirs = infer.upscale(engine.load("merged", 2), lr_image, 2, 16), infer.upscale(network, lr_image, 2, 16)
    assert 0 < (ours - theirs).abs().max().item() < TOLERANCE
    files = sorted((tmp_path / "home" / "onnx").iterdir())
    assert [file.name.partition("-")[0] for file in files] == ["edsr_tiny_x2", "swinir_small_x2"]
    write_image(tmp_path / "lr.png", to_uint8(lr_image))
    arguments = ("upscale", tmp_path / "lr.png", "-o", tmp_path / "sr.png", "--model", "merged", "--scale", 2)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "export", None)
        assert run(*arguments, "--engine", "onnxruntime").code == 0
    exact = to_uint8(infer.upscale(network, lr_image, 2)).astype(int)
    assert abs(read_image(tmp_path / "sr.png") - exact).max() <= 1
    files[0].write_bytes(b"no network")
    assert torch.equal(infer.upscale(engine.load("merged", 2), lr_image, 2, 16), ours)


def test_onnx_files_hold_different_networks(exported: Callable[..., Exported]) -> None:
    """The check above can fail."""
    (difference,) = differences(exported("edsr_tiny").path, zoo.load("rcan_tiny", 2), ((9, 16),))
    assert difference > 1e-3


def test_onnx_is_one_file_that_says_what_it_is(exported: Callable[..., Exported], models_folder: Path) -> None:
    made = exported("merged")
    model = onnx.load(made.path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [i.domain for i in model.opset_import] == [""] and model.opset_import[0].version == exporting.OPSET
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    (lr,), (sr,) = model.graph.input, model.graph.output
    for value, name, height, width in ((lr, "lr", "height", "width"), (sr, "sr", "2*height", "2*width")):
        assert value.name == name and value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        dims = value.type.tensor_type.shape.dim
        assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, height, width]
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["name"] == "merged" and about["network"] == "aggregator_small" and about["scale"] == "2"
    assert about["teachers"] == "swinir_small, edsr_tiny" and "[0, 1]" in about["value_range"]
    assert about["mtkd"] == mtkd.__version__ and about["licence"].startswith("not stated")
    assert about["weights"] == weights_hash(zoo.load("merged", 2))
    content = made.path.read_bytes()
    for place in (Path(mtkd.__file__).parent, models_folder, Path(torch.__file__).parent, "export.py"):
        assert str(place).encode() not in content  # the exporter notes source files and their lines
    teachers = sum(networks.parameter_count(zoo.load(name, 2)) for name in ("swinir_small", "edsr_tiny"))
    assert made.parameters == teachers + networks.parameter_count(zoo.find("merged", 2).build())
    assert made.teachers == ()


def test_half_precision_is_in_the_file(exported: Callable[..., Exported]) -> None:
    made = exported("edsr_tiny", half=True)
    model = onnx.load(made.path)
    kinds = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims) > 4}
    assert kinds == {onnx.TensorProto.FLOAT16}
    kinds = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    assert kinds == {onnx.TensorProto.FLOAT}
    assert made.path.stat().st_size < 0.65 * exported("edsr_tiny").path.stat().st_size
    network = zoo.load("edsr_tiny", 2)
    picture = EXAMPLES[0].read()[60:, 80:]
    run = exporting.onnx_session(made.path)
    with torch.inference_mode():
        parts = [to_tensor(picture[:height, :width]) for height, width in SIZES]
        worst = max((run(part) - network(part)).abs().max().item() for part in parts)
    assert made.difference == worst and TOLERANCE < worst < exporting.HALF_TOLERANCE


# --- safetensors


@pytest.mark.parametrize(("name", "half"), [("rcan_tiny", False), ("swinir_small", True), ("merged", False)])
def test_weights_come_back(name: str, half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, lr_image = zoo.load(name, 2), photo(9, 13)
    made = export(name, 2, tmp_path / "out.safetensors", half=half)
    source = read_state(zoo.find(name, 2).path)
    dtype = torch.float16 if half else torch.float32
    assert {k: v.tolist() for k, v in read_state(made.path).items()} == {
        k: v.to(dtype).tolist() for k, v in source.items()
    }
    assert read_header(made.path) == zoo.find(name, 2).header
    assert (made.difference > 0) == half
    assert made.teachers == (("swinir_small", "edsr_tiny") if name == "merged" else ())

    monkeypatch.setenv("MTKD_ZOO", os.pathsep.join([str(tmp_path), os.environ["MTKD_ZOO"]]))
    again = mtkd.load(name, 2)
    assert zoo.find(name, 2).path == made.path
    with torch.inference_mode():
        difference = (again(lr_image) - original(lr_image)).abs().max().item()
    assert (0 < difference < 0.02) if half else difference == 0


def test_weights_are_taken_by_models_import(run: Run, tmp_path: Path) -> None:
    export("edsr_tiny", 2, tmp_path / "taken.safetensors")
    outcome = run("models", "import", tmp_path / "taken.safetensors", "--name", "taken", "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["network"] == "edsr_tiny"
    assert weights_hash(mtkd.load("taken", 2)) == weights_hash(mtkd.load("edsr_tiny", 2))


def test_a_model_on_its_way_becomes_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = min(zoo.find("rcan_tiny-mtkd", 4).snapshots())
    name = f"rcan_tiny-mtkd@{step}"
    made = export(name, 4, tmp_path / "early.safetensors")
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    assert made.name == f"rcan_tiny-mtkd-{step}"
    assert weights_hash(mtkd.load(made.name, 4)) == weights_hash(mtkd.load(name, 4))


# --- the check before a file gets its name


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensor], Tensor]], None]:
    """An ONNX file that takes no time to make, and what onnxruntime is to make of the images."""

    def pretend(run: Callable[[Tensor], Tensor]) -> None:
        monkeypatch.setattr(exporting, "write_onnx", lambda path, *_: path.write_bytes(b"a file"))
        monkeypatch.setattr(exporting, "onnx_session", lambda path: run)

    return pretend


def with_one_pixel_off(network: nn.Module, height: int, error: float) -> Callable[[Tensor], Tensor]:
    """The network, but for one value of the images of that height."""

    def run(lr_image: Tensor) -> Tensor:
        image = network(lr_image).clone()
        image[0, 1, -1, -1] += error if lr_image.shape[2] == height else 0.0
        return image

    return run


@pytest.mark.parametrize("height", [size[0] for size in SIZES])
@pytest.mark.parametrize("error", [2 * TOLERANCE, float("nan")])
def test_a_file_that_differs_is_not_written(
    height: int, error: float, pretended: Callable[..., None], refused: Callable[..., str], tmp_path: Path
) -> None:
    pretended(with_one_pixel_off(zoo.load("edsr_tiny", 2), height, error))
    (tmp_path / "kept.onnx").write_bytes(b"mine")
    for options in ((tmp_path / "new.onnx",), (tmp_path / "kept.onnx", "--replace")):
        said = refused("export", "edsr_tiny", "--scale", 2, "-o", *options)
        assert "differ from the model's by" in said and "Nothing was written" in said


def test_a_small_difference_is_told(pretended: Callable[..., None], tmp_path: Path) -> None:
    pretended(with_one_pixel_off(zoo.load("edsr_tiny", 2), SIZES[2][0], -TOLERANCE / 2))
    made = export("edsr_tiny", 2, tmp_path / "new.onnx")
    assert made.difference == pytest.approx(TOLERANCE / 2, rel=0.01)
    assert made.row()["max_difference_levels"] == pytest.approx(255 * TOLERANCE / 2, rel=0.01)


def test_stopped_in_the_middle_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "_difference", stop)
    with pytest.raises(KeyboardInterrupt):
        export("edsr_tiny", 2, tmp_path / "new.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_that_onnxruntime_cannot_run_is_not_written(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "write_onnx", lambda path, *_: path.write_bytes(b"no graph"))
    said = refused("export", "edsr_tiny", "--scale", 2, "-o", tmp_path / "new.onnx")
    assert said.startswith("edsr_tiny: onnxruntime cannot run")


class Undecided(nn.Module):
    """A network whose path depends on the pixels, as some from elsewhere."""

    def forward(self, lr_image: Tensor) -> Tensor:
        return lr_image.repeat(1, 1, 2, 2) if lr_image.sum() > 1 else torch.zeros_like(lr_image).repeat(1, 1, 2, 2)


class OfOneSize(nn.Module):
    """A network that takes images of 19 rows only."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(19, 38)

    def forward(self, lr_image: Tensor) -> Tensor:
        image: Tensor = self.rows(lr_image.transpose(2, 3)).transpose(2, 3).repeat_interleave(2, 3)
        return image


@pytest.mark.parametrize("half", [(), ("--fp16",)])
@pytest.mark.parametrize("network", [Undecided, OfOneSize])
def test_a_network_that_cannot_be_exported_is_told(
    network: type[nn.Module],
    half: tuple[str, ...],
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zoo, "load", lambda *_: network().requires_grad_(False))
    said = refused("export", "edsr_tiny", "--scale", 2, "-o", tmp_path / "new.onnx", *half)
    assert said.startswith("edsr_tiny: PyTorch cannot write this network as") and "for every size" in said


# --- the command


def test_the_command_prints_what_it_wrote(run: Run, tmp_path: Path) -> None:
    arguments = (
        "export",
        "swinir_small",
        "--scale",
        2,
        "--fp16",
        "--format",
        "safetensors",
        "-o",
        tmp_path / "a.safetensors",
    )
    outcome = run(*arguments, "--json")
    assert outcome.code == 0 and outcome.err == ""
    told = json.loads(outcome.out)
    levels = told.pop("max_difference_levels")
    assert levels == pytest.approx(255 * told.pop("max_difference")) and 0 < levels < 5
    assert told == {
        "path": str(tmp_path / "a.safetensors"),
        "format": "safetensors",
        "bytes": (tmp_path / "a.safetensors").stat().st_size,
        "name": "swinir_small",
        "network": "swinir_small",
        "scale": 2,
        "precision": "float16",
        "opset": None,
        "parameters": networks.parameter_count(zoo.load("swinir_small", 2)),
        "checked_sizes": [list(size) for size in SIZES],
        "needs_teachers": [],
        "size": None,
        "int8_lost_db": {},
        "vectors": [],
    }
    first, second = run(*arguments, "--replace").out.splitlines()
    assert f"{told['parameters']:,} parameters" in first and f"{told['bytes']:,} bytes" in first
    assert f"{levels:.2g} of 255 levels" in second

    outcome = run("export", "merged", "--scale", 2, "-o", tmp_path / "m.safetensors")
    assert outcome.out.splitlines()[-1].endswith("to load it, swinir_small, edsr_tiny are needed too")


def test_bad_input_is_refused(refused: Callable[..., str], tmp_path: Path, models_folder: Path) -> None:
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"mine")
    (tmp_path / "folder.onnx").mkdir()
    new, model = tmp_path / "new.onnx", models_folder / "edsr_tiny_x2.safetensors"
    for name, output, options, message in (
        ("edsr_tyni", new, (), "unknown model 'edsr_tyni'; did you mean 'edsr_tiny'?"),
        ("bicubic", new, (), "bicubic: has no weights to export"),
        ("rcan_tiny", new, ("--scale", 3), "'rcan_tiny' is trained for scale 2, not 3"),
        ("rcan_tiny", new, ("--scale", 5), "--scale 5: give 2, 3 or 4"),
        ("rcan_tiny", new, ("--format", "onxx"), "unknown format 'onxx'; did you mean 'onnx'?"),
        ("rcan_tiny", new, ("--format", "safetensors"), "format safetensors needs a name that ends in .safetensors"),
        ("rcan_tiny", tmp_path / "new.pt", (), "give a name that ends in .onnx or .safetensors"),
        ("rcan_tiny", tmp_path / "new.pt", ("--format", "onnx"), "format onnx needs a name that ends in .onnx"),
        ("rcan_tiny", tmp_path / "none" / "new.onnx", (), f"the folder {tmp_path / 'none'} does not exist"),
        ("rcan_tiny", mine / "new.onnx", (), f"the folder {mine} does not exist"),
        ("rcan_tiny", Path("/proc") / "new.onnx", (), "/proc/new.onnx: cannot be written"),
        ("rcan_tiny", tmp_path / f"{'n' * 300}.onnx", (), "cannot be written (File name too long)"),
        ("rcan_tiny", tmp_path / "folder.onnx", ("--replace",), "a folder; give the name of a file"),
        ("rcan_tiny", mine, (), "exists; choose another name, or overwrite it with --replace"),
        ("edsr_tiny", model, ("--replace", "--fp16"), "the file of the model itself; choose another name"),
    ):
        if str(output).startswith("/proc") and not sys.platform.startswith("linux"):
            continue
        scale = () if "--scale" in options else ("--scale", 2)
        said = refused("export", name, "-o", output, *scale, *options)
        assert message in said, said
    assert weights_hash(zoo.load("edsr_tiny", 2))  # still there


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_extra(
    package: str, refused: Callable[..., str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = refused("export", "edsr_tiny", "--scale", 2, "-o", tmp_path / "new.onnx")
    assert said.startswith("this needs the extra 'export': pip install 'mtkd[export]'")
    assert run("export", "edsr_tiny", "--scale", 2, "-o", tmp_path / "new.safetensors").code == 0


# --- the program of the documentation


def test_the_documented_program_needs_neither_mtkd_nor_torch(run: Run, tmp_path: Path) -> None:
    page = PAGE.read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(program.splitlines()) <= 15
    (tmp_path / "upscale.py").write_text(program)
    write_image(tmp_path / "photo.png", EXAMPLES[1].read()[40:83, 30:97])
    command = next(line for line in page.splitlines() if line.startswith("mtkd export") and ".onnx" in line)
    _, _, name, _, file = command.split("#")[0].split()
    outcome = run("export", name, "-o", tmp_path / file, "--json")
    assert outcome.code == 0 and outcome.err == ""
    told = json.loads(outcome.out)
    assert told["format"] == "onnx" and told["opset"] == exporting.OPSET and told["precision"] == "float32"
    assert told["max_difference"] < 1e-5 and [path.name for path in tmp_path.glob("edsr*")] == [file]
    assert run("upscale", tmp_path / "photo.png", "-o", tmp_path / "ours.png", "--model", name).code == 0

    blocked = "import sys, runpy; sys.modules['mtkd'] = sys.modules['torch'] = None; del sys.argv[0]; "
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocked + "runpy.run_path(sys.argv[0], run_name='__main__')",
         "upscale.py", file, "photo.png", "theirs.png"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = (read_image(tmp_path / f"{who}.png").astype(int) for who in ("ours", "theirs"))
    assert theirs.shape == (172, 268, 3)
    assert abs(ours - theirs).max() <= 1
    nearest = np.asarray(Image.open(tmp_path / "photo.png").resize((268, 172), Image.Resampling.NEAREST)).astype(int)
    assert abs(nearest - theirs).max() > 20  # it enlarges, and better than that


# --- slow: what people will take away


def fresh(folder: Path, name: str, scale: int, **options: Any) -> None:
    """The network as it is initialised; an aggregator's last convolution, which starts at 0, gets weights."""
    torch.manual_seed(0)
    module = networks.build(name, scale, **options)
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    save_weights(
        folder / f"{name}_x{scale}.safetensors", module, Header(name, name, scale, options.get("teachers", ()))
    )


PAPER = ("edsr", "edsr_baseline", "rcan", "rcan_lightweight", "swinir", "swinir_lightweight")


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_the_papers_networks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = 2 + PAPER.index(name) % 3
    fresh(tmp_path, name, scale)
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    made = export(name, scale, tmp_path / "out.onnx")
    print(f"{name} x{scale}: {255 * made.difference:.2g} levels, {made.path.stat().st_size:,} bytes")
    sizes = ((1, 1), (9, 12), (17, 5, 2))
    assert max(differences(made.path, zoo.load(name, scale), sizes)) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["", "_v3", "_v4", "_v4_masked"])
def test_aggregators(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's aggregator and those of its ablations, of small teachers."""
    teachers = ("edsr_tiny", "swinir_tiny")
    for name in teachers:
        fresh(tmp_path, name, 3)
    fresh(tmp_path, f"aggregator{variant}", 3, teachers=teachers)
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    made = export(f"aggregator{variant}", 3, tmp_path / "out.onnx")
    assert max(differences(made.path, zoo.load(f"aggregator{variant}", 3), SHIFTED)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["edsr_tiny-mtkd", "rcan_tiny-mtkd", "swinir_tiny-mtkd", "aggregator_mini"])
def test_bundled_models(name: str, half: bool, tmp_path: Path) -> None:
    made = export(name, 4, tmp_path / "out.onnx", half=half)
    print(f"{name} half={half}: {255 * made.difference:.2g} levels, {made.path.stat().st_size:,} bytes")
    assert made.difference < (exporting.HALF_TOLERANCE if half else 2e-6)


def test_an_unknown_format_is_an_error_in_python_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown format 'tflite'"):
        export("edsr_tiny", 2, tmp_path / "a.onnx", format="tflite")
