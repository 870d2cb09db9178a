"""Export of trained models to one file: ONNX, or weights as safetensors.

An ONNX file needs neither this project nor PyTorch: its input is ``lr`` (batch, 3, h, w), float32 RGB in [0, 1], its
output ``sr`` (batch, 3, scale h, scale w), not clamped, for every batch size and image size from 1x1, or for one image
of one size. That of an aggregator includes the teachers. A safetensors file has this project's header: ``mtkd models
import`` and ``MTKD_ZOO`` accept it. Each file is compared with the model on a real image before it is kept.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError, unknown_name
from mtkd.export import graph, quantise
from mtkd.export.graph import OPSET, extra, metadata, onnx_session, write_onnx
from mtkd.files import atomic_write
from mtkd.images import to_tensor
from mtkd.zoo.checkpoints import read_state, save_state
from mtkd.zoo.headers import Header

Format = Literal["onnx", "safetensors"]
FORMATS: tuple[Format, ...] = ("onnx", "safetensors")

SIZES = ((45, 61), (83, 30), (3, 5))
"""Height and width of the parts of an example image on which a file is compared with the model."""
TOLERANCE = 1e-4
"""Largest difference of a float32 file's image from the model's, in units of [0, 1] (0.03 of 255 levels)."""
HALF_TOLERANCE = 0.02
"""The same for float16 (5 levels): larger differences mean overflow, or a network unsuited to the precision."""
LONGEST = 4096
"""Pixels of the longer side of a file for one size."""
PRECISIONS = {"weights": "int8 weights", "static": "int8"}


@dataclass(frozen=True)
class Exported:
    """The exported file, and how much its images differ from the model's.

    Attributes:
        difference: the largest one over all values of the images of ``sizes``, in units of [0, 1], not rounded. Of a
            file in int8: that of the float32 file that it was made of.
        lost: what int8 costs, in dB on the examples, by kind: ``weights``, and ``static`` where training images are
            here.
        vectors: an input and its output, as ``.npy`` files.
        teachers: those that a safetensors file of an aggregator needs in addition.
    """

    path: Path
    format: Format
    name: str
    network: str
    scale: int
    precision: str
    parameters: int
    difference: float
    teachers: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    lost: dict[str, float] = field(default_factory=dict)
    uncalibrated: str = ""
    vectors: tuple[Path, ...] = ()

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Heights and widths of the images on which the file was compared."""
        return SIZES if self.size is None else (self.size,)

    def row(self) -> dict[str, Any]:
        """What ``mtkd export --json`` prints."""
        return {
            "path": str(self.path),
            "format": self.format,
            "bytes": self.path.stat().st_size,
            "name": self.name,
            "network": self.network,
            "scale": self.scale,
            "precision": self.precision,
            "opset": OPSET if self.format == "onnx" else None,
            "parameters": self.parameters,
            "max_difference": self.difference,
            "max_difference_levels": 255 * self.difference,
            "checked_sizes": [list(size) for size in self.sizes],
            "needs_teachers": list(self.teachers),
            "size": None if self.size is None else list(self.size),
            "int8_lost_db": self.lost,
            "vectors": [str(path) for path in self.vectors],
        }


def export(
    name: str,
    scale: int,
    path: Path,
    format: str | None = None,
    half: bool = False,
    replace: bool = False,
    *,
    size: tuple[int, int] | None = None,
    int8: quantise.Int8 | None = None,
    calibration: Path | None = None,
    vectors: bool = False,
    inside: bool = False,
) -> Exported:
    """Write a trained model to ``path``, after comparing the outputs of the file and the model.

    Args:
        name: name in the catalogue; the ONNX file of an aggregator includes its teachers.
        format: "onnx" or "safetensors"; None: from the file name.
        half: store weights in float16 (ONNX also computes in it); images stay float32.
        replace: overwrite an existing file.
        size: height and width of the only image that an ONNX file takes; its shapes are then constants.
        int8: store the weights of an ONNX file in int8, or (``static``) its activations too.
        calibration: HR images for the ranges of the activations; by default those that the model was trained on.
        vectors: write an input and the output of the ONNX file beside it, as ``.npy`` files.
        inside: the ONNX file of an aggregator gives more outputs after ``sr``: the tensors of :func:`graph.inside`.

    Raises:
        UserError: unknown model or format, a path that cannot be written or is taken, a missing extra, options that do
            not fit together, or a file whose images differ from the model's by more than ``TOLERANCE``. Nothing is left
            behind.
    """
    kind = _format(path, format)
    if name in networks.baselines():
        raise UserError(f"{name}: has no weights to export; choose a model from `mtkd models`")
    model = zoo.find(name, scale)
    beside = tuple(path.with_suffix(f".{part}.npy") for part in ("input", "output")) if vectors else ()
    for file in (path, *beside):
        _check_target(file, model, replace)
    _check_options(kind, half, size, int8, vectors)
    if kind == "onnx":
        extra()
    network = zoo.load(name, scale)
    # A model on its way (NAME@STEP) becomes one of its own.
    header = Header(name.replace("@", "-"), model.header.network, scale, model.header.teachers, model.header.options)
    lost: dict[str, float] = {}
    uncalibrated = ""
    with atomic_write(path) as temporary, tempfile.TemporaryDirectory(prefix="mtkd-export-") as folder:
        draft = Path(folder) / f"{header.name}_x{scale}.{kind}"
        if kind == "onnx":
            written = networks.folded(network)
            outputs = graph.inside(written) if inside else ()
            write_onnx(draft, written, half, metadata(model, header, network), size, outputs)
            difference = _onnx_difference(draft, network, half, name, size)
        else:
            save_state(draft, read_state(model.path), header, torch.float16 if half else torch.float32)
            difference = _difference(zoo.load(header.name, scale, sources=[draft.parent]), network, half, name)
        if int8:
            files = quantise.Files(draft, scale, size)
            files.weights()
            try:
                files.static(quantise.images_for(model.card, scale, calibration))
            except UserError as error:
                if int8 == "static" or calibration is not None:
                    raise UserError(f"{name}: {error}") from error
                uncalibrated = str(error)
            draft, lost = files.made[int8], files.lost
        if beside:
            _write_vectors(draft, beside, size)
        shutil.copyfile(draft, temporary)
    precision = PRECISIONS[int8] if int8 else "float16" if half else "float32"
    return Exported(
        path, kind, header.name, header.network, scale, precision, networks.parameter_count(network), difference,
        header.teachers if kind == "safetensors" else (), size, lost, uncalibrated, beside,
    )  # fmt: skip


def _check_options(
    kind: Format, half: bool, size: tuple[int, int] | None, int8: quantise.Int8 | None, vectors: bool
) -> None:
    for option, given in (("--size", size), ("--int8", int8), ("--vectors", vectors)):
        if given and kind != "onnx":
            raise UserError(f"{option} is for ONNX files; give a name that ends in .onnx")
    if int8 and half:
        raise UserError("--int8 and --fp16: choose one of them")
    if size and not 1 <= min(size) <= max(size) <= LONGEST:
        raise UserError(f"--size {size[1]}x{size[0]}: each side needs 1 to {LONGEST} LR pixels")


def _write_vectors(file: Path, targets: tuple[Path, ...], size: tuple[int, int] | None) -> None:
    lr_image = _pictures(size)[0]
    for target, image in zip(targets, (lr_image, onnx_session(file)(lr_image)), strict=True):
        with atomic_write(target) as temporary, temporary.open("wb") as opened:
            np.save(opened, image.numpy())


def _format(path: Path, asked: str | None) -> Format:
    kind = asked or path.suffix.lower().removeprefix(".")
    for known in FORMATS:
        if kind == known:
            if path.suffix.lower() != f".{known}":
                raise UserError(f"{path}: format {known} needs a name that ends in .{known}")
            return known
    if asked:
        raise unknown_name("format", asked, FORMATS)
    raise UserError(f"{path}: give a name that ends in {' or '.join('.' + known for known in FORMATS)}")


def _check_target(path: Path, model: zoo.Model, replace: bool) -> None:
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder; give the name of a file")
        if not path.parent.is_dir():
            raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
        if path.exists() and path.samefile(model.path):
            raise UserError(f"{path}: the file of the model itself; choose another name")
        if path.exists() and not replace:
            raise UserError(f"{path}: exists; choose another name, or overwrite it with --replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _onnx_difference(path: Path, network: nn.Module, half: bool, name: str, size: tuple[int, int] | None) -> float:
    try:
        return _difference(onnx_session(path), network, half, name, size)
    except UserError:
        raise
    except Exception as error:  # onnxruntime's have no common base
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{name}: onnxruntime cannot run the file of this network ({reason})") from error


def _pictures(size: tuple[int, int] | None) -> list[Tensor]:
    """Parts of an example image, ``(1, 3, h, w)`` in [0, 1]: of ``SIZES``, or one of that size."""
    picture = EXAMPLES[0].read()[60:, 80:]
    if size is not None:
        short = [(0, max(0, side - length)) for side, length in zip(size, picture.shape, strict=False)]
        picture = np.pad(picture, (*short, (0, 0)), mode="symmetric")
    return [to_tensor(np.ascontiguousarray(picture[:height, :width])) for height, width in ([size] if size else SIZES)]


@torch.inference_mode()
def _difference(
    run: Callable[[Tensor], Tensor], network: nn.Module, half: bool, name: str, size: tuple[int, int] | None = None
) -> float:
    """The largest difference of ``run``'s images from the network's.

    Raises:
        UserError: it is beyond the tolerance, or not a number.
    """
    differences = [(run(lr_image) - network(lr_image)).abs().max() for lr_image in _pictures(size)]
    worst = torch.stack(differences).max().item()
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    if not worst <= tolerance:
        raise UserError(
            f"{name}: the file's images would differ from the model's by {255 * worst:.3g} levels, more than "
            f"{255 * tolerance:.2g}{'; export it without --fp16' if half else ''}. Nothing was written"
        )
    return worst
