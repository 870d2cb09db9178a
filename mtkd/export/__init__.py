"""Trained models as one file for other programs: ONNX, or weights as safetensors.

An ONNX file needs neither this project nor PyTorch: ``lr`` (batch, 3, h, w) float32 RGB in [0, 1] goes in, ``sr``
(batch, 3, scale h, scale w) comes out, not clamped, for every batch and size from 1x1 up. An aggregator's holds its
teachers too. A safetensors file has this project's header: ``mtkd models import`` and ``MTKD_ZOO`` take it.
Either is compared with the model on a real image before it gets its name.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

import mtkd
from mtkd import networks, zoo
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError, unknown_name
from mtkd.files import atomic_write
from mtkd.images import to_tensor
from mtkd.zoo.checkpoints import read_state, save_state, weights_hash
from mtkd.zoo.headers import Header

Format = Literal["onnx", "safetensors"]
FORMATS: tuple[Format, ...] = ("onnx", "safetensors")

OPSET = 20
"""Of the ONNX operators; onnxruntime 1.17 and later know it."""
SIZES = ((45, 61), (83, 30), (3, 5))
"""Height and width of the parts of an example image on which a file is compared with the model."""
TOLERANCE = 1e-4
"""Largest difference of a float32 file's image from the model's, in units of [0, 1] (0.03 of 255 levels)."""
HALF_TOLERANCE = 0.02
"""The same for float16 (5 levels): beyond it values overflowed, or the network does not bear the precision."""
_LARGEST = 2**31 - 2**24
"""Bytes of weights that one protobuf file can hold."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how far its images are from the model's own.

    ``difference`` is the largest one over all values of the images of ``SIZES``, in units of [0, 1], not rounded.
    ``teachers`` are those that a safetensors file of an aggregator needs beside it.
    """

    path: Path
    format: Format
    name: str
    network: str
    scale: int
    half: bool
    parameters: int
    difference: float
    teachers: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """What ``mtkd export --json`` prints."""
        return {
            "path": str(self.path),
            "format": self.format,
            "bytes": self.path.stat().st_size,
            "name": self.name,
            "network": self.network,
            "scale": self.scale,
            "precision": "float16" if self.half else "float32",
            "opset": OPSET if self.format == "onnx" else None,
            "parameters": self.parameters,
            "max_difference": self.difference,
            "max_difference_levels": 255 * self.difference,
            "checked_sizes": [list(size) for size in SIZES],
            "needs_teachers": list(self.teachers),
        }


def export(
    name: str, scale: int, path: Path, format: str | None = None, half: bool = False, replace: bool = False
) -> Exported:
    """Write a trained model to ``path``, after comparing what the file computes with what the model does.

    Args:
        name: of the catalogue; an aggregator's ONNX file includes its teachers.
        format: "onnx" or "safetensors"; None: what the file's name says.
        half: weights (ONNX: computation too) in float16; images stay float32.
        replace: write over an existing file.

    Raises:
        UserError: unknown model or format, a path that cannot be written or is taken, a missing extra, or a file
            whose images differ from the model's by more than ``TOLERANCE``. Nothing is left behind.
    """
    kind = _format(path, format)
    if name in networks.baselines():
        raise UserError(f"{name} is an interpolation without weights; export a model from `mtkd models`")
    model = zoo.find(name, scale)
    _check_target(path, model, replace)
    if kind == "onnx":
        _extra()
    network = zoo.load(name, scale)
    # A model on its way (NAME@STEP) becomes one of its own.
    header = Header(name.replace("@", "-"), model.header.network, scale, model.header.teachers)
    with atomic_write(path) as temporary, tempfile.TemporaryDirectory(prefix="mtkd-export-") as folder:
        made = Path(folder) / f"{header.name}_x{scale}.{kind}"
        if kind == "onnx":
            _write_onnx(made, network, half, _about(model, header, network))
            difference = _onnx_difference(made, network, half, name)
        else:
            save_state(made, read_state(model.path), header, torch.float16 if half else torch.float32)
            difference = _difference(zoo.load(header.name, scale, sources=[made.parent]), network, half, name)
        shutil.copyfile(made, temporary)
    return Exported(
        path, kind, header.name, header.network, scale, half, networks.parameter_count(network), difference,
        header.teachers if kind == "safetensors" else (),
    )  # fmt: skip


def _format(path: Path, asked: str | None) -> Format:
    kind = asked or path.suffix.lower().removeprefix(".")
    for known in FORMATS:
        if kind == known:
            if path.suffix.lower() != f".{known}":
                raise UserError(f"{path}: a file of format {known} is called .{known}")
            return known
    if asked:
        raise unknown_name("format", asked, FORMATS)
    raise UserError(f"{path}: give a name that ends in {' or '.join('.' + known for known in FORMATS)}")


def _check_target(path: Path, model: zoo.Model, replace: bool) -> None:
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder; give the name of a file")
        if not path.parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.parent}")
        if path.exists() and path.samefile(model.path):
            raise UserError(f"{path}: is the model itself; choose another name")
        if path.exists() and not replace:
            raise UserError(f"{path}: exists; choose another name, or --replace it")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _extra() -> Any:
    """onnxruntime; the exporter needs the other two.

    Raises:
        UserError: one of them is not installed.
    """
    try:
        for needed in ("onnx", "onnxscript"):
            importlib.import_module(needed)
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UserError(f"this needs the extra 'export': pip install 'mtkd[export]' ({error})") from error


class _AsWritten(nn.Module):
    """A network, its weights named apart from the graph's own values; in float16 between float32 images if asked."""

    def __init__(self, network: nn.Module, in_half: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half() if in_half else network
        self.in_half = in_half

    def forward(self, lr_image: Tensor) -> Tensor:
        image: Tensor = self.network(lr_image.half()).float() if self.in_half else self.network(lr_image)
        return image


def _write_onnx(path: Path, network: nn.Module, half: bool, about: dict[str, str]) -> None:
    size = sum(value.nbytes for value in network.state_dict().values()) // (2 if half else 1)
    if size > _LARGEST:
        raise UserError(f"{about['name']}: {size / 2**30:.1f} GiB of weights; one ONNX file holds 2 (try --fp16)")
    axes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    # Two images of odd sides: what an exporter sees of size 1 it may take for a constant.
    example = torch.rand(2, 3, 19, 29, generator=torch.Generator().manual_seed(0))
    try:
        with _quiet():
            # Captured here: left to itself the exporter tries a failing network again in ways that may take minutes.
            captured = torch.export.export(
                _AsWritten(network, half),
                (example,),
                dynamic_shapes=(axes,),
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            program = torch.onnx.export(
                captured,
                (),
                input_names=["lr"],
                output_names=["sr"],
                opset_version=OPSET,
                dynamic_shapes=(axes,),  # again, for their names
                dynamo=True,
                optimize=False,
                verbose=False,
            )
    except Exception as error:  # of any type: whatever stops the tracing of a network from elsewhere
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        what = "float16 ONNX" if half else "ONNX"
        raise UserError(
            f"{about['name']}: PyTorch cannot write this network as {what} for every size ({reason})"
        ) from error
    assert program is not None  # as it is with dynamo=True
    _tidy(program.model)
    program.model.metadata_props.update(about)
    program.save(path, external_data=False)


def _tidy(graph: Any) -> None:
    """Less of the same: constants computed, nothing twice, no notes on which line of which file made each node.

    The exporter's own optimisation takes several times as long for a graph that onnxruntime runs no faster.
    """
    passes = importlib.import_module("onnx_ir.passes.common")
    importlib.import_module("onnxscript.optimizer").fold_constants(graph)
    for tidy in ("RemoveUnusedNodesPass", "CommonSubexpressionEliminationPass", "ClearMetadataAndDocStringPass"):
        getattr(passes, tidy)()(graph)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without remarks on packages that PyTorch's exporter could use as well, and on what it then raises anyway."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _about(model: zoo.Model, header: Header, network: nn.Module) -> dict[str, str]:
    """The metadata of an ONNX file."""
    return {
        "name": header.name,
        "network": header.network,
        "teachers": ", ".join(header.teachers),
        "scale": str(header.scale),
        "value_range": "RGB in [0, 1], (batch, 3, height, width) float32; the output is not clamped",
        "mtkd": mtkd.__version__,
        "weights": weights_hash(network),
        "licence": "MIT" if model.bundled else str(model.card.get("licence", "not stated; that of its weights")),
    }


def onnx_session(path: Path) -> Callable[[Tensor], Tensor]:
    """A file that :func:`export` wrote as a function of LR images, run by onnxruntime on the CPU."""
    onnxruntime = _extra()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda lr_image: torch.from_numpy(session.run(["sr"], {"lr": lr_image.numpy()})[0])


def _onnx_difference(path: Path, network: nn.Module, half: bool, name: str) -> float:
    try:
        return _difference(onnx_session(path), network, half, name)
    except UserError:
        raise
    except Exception as error:  # onnxruntime's have no common base
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{name}: onnxruntime cannot run the file of this network ({reason})") from error


@torch.inference_mode()
def _difference(run: Callable[[Tensor], Tensor], network: nn.Module, half: bool, name: str) -> float:
    """The largest difference of ``run``'s images from the network's.

    Raises:
        UserError: it is beyond the tolerance, or not a number.
    """
    picture = EXAMPLES[0].read()[60:, 80:]
    differences = []
    for height, width in SIZES:
        lr_image = to_tensor(picture[:height, :width])
        differences.append((run(lr_image) - network(lr_image)).abs().max())
    worst = torch.stack(differences).max().item()
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    if not worst <= tolerance:
        raise UserError(
            f"{name}: the file's images would differ from the model's by {255 * worst:.3g} levels, more than "
            f"{255 * tolerance:.2g}{'; export it without --fp16' if half else ''}. Nothing was written"
        )
    return worst
