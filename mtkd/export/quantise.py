"""ONNX files in int8: of the weights alone, or of the activations too, and the dB that this costs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.export.graph import onnx_session, quiet
from mtkd.images import UInt8Image, find_images, read_image, to_tensor, to_uint8
from mtkd.metrics import psnr
from mtkd.resize import imresize
from mtkd.training.dataset import Dataset
from mtkd.training.recipe import parse

Int8 = Literal["weights", "static"]
KINDS: tuple[Int8, ...] = ("weights", "static")
LOSS = 0.1
"""dB; a file that loses more is told so."""
IMAGES = 16
"""Training images from which the ranges of the activations are taken."""
SIDE = 64
"""Height and width of the LR images of a file for every size, in calibration and in measuring what it loses."""
_SMALLEST = 64
"""Values of a tensor of weights below which it stays as it is."""
_OPERATORS = {"Conv": 0, "MatMul": -1, "Gemm": -1}
"""Those whose weights are quantised, and the dimension of their outputs, each with a scale of its own."""


class Files:
    """The int8 files of a float32 file, in a folder of their own, and what each loses.

    Attributes:
        made: the files, by kind.
        lost: dB on the examples, by kind.
    """

    def __init__(self, source: Path, scale: int, size: tuple[int, int] | None) -> None:
        self.source, self.scale, self.size = source, scale, size or (SIDE, SIDE)
        self.made: dict[str, Path] = {}
        self.lost: dict[str, float] = {}

    @cached_property
    def whole(self) -> float:
        """PSNR of the float32 file on the examples."""
        return self._quality(self.source)

    def weights(self) -> None:
        """Make the file whose weights alone are in int8."""
        weights_only(self.source, self._place("weights"))
        self._measure("weights")

    def static(self, files: Sequence[Path]) -> None:
        """Make the file whose activations are in int8 too, calibrated on HR images."""
        static(self.source, self._place("static"), files, self.scale, self.size)
        self._measure("static")

    def _place(self, kind: Int8) -> Path:
        return self.source.with_name(f"{self.source.stem}.{kind}.onnx")

    def _measure(self, kind: Int8) -> None:
        self.made[kind] = self._place(kind)
        self.lost[kind] = self.whole - self._quality(self.made[kind])

    def _quality(self, path: Path) -> float:
        return quality(onnx_session(path), self.scale, self.size)


def images_for(card: Mapping[str, Any], scale: int, folder: Path | None) -> list[Path]:
    """HR images to calibrate on: of a folder, or those that a model was trained on.

    Raises:
        UserError: an empty folder, or training images that are not on this computer.
    """
    if folder is not None:
        files = find_images(folder)
    elif not card.get("recipe"):
        raise UserError("its training images are not known; give a folder of HR images with --calibration")
    else:
        recipe = parse(card["recipe"], "card")
        try:
            files = Dataset(recipe.data, scale).split()[0]
        except UserError as error:
            raise UserError(f"its training images are not here ({error}); give others with --calibration") from error
    if not files:
        raise UserError(f"{folder}: holds no images to calibrate on")
    return [files[int(i)] for i in np.linspace(0, len(files) - 1, min(IMAGES, len(files)))]


def lr_of(hr_image: UInt8Image, scale: int, size: tuple[int, int]) -> tuple[UInt8Image, Tensor]:
    """The middle of an image, mirrored where it is too small, and the LR image (1, 3, h, w) of that size."""
    pads, cuts = [], []
    for length, wanted in zip(hr_image.shape[:2], (scale * side for side in size), strict=True):
        start = max(0, (length - wanted) // 2)
        cuts.append(slice(start, start + wanted))
        pads.append((0, max(0, wanted - length)))
    hr_image = np.pad(hr_image[cuts[0], cuts[1]], (*pads, (0, 0)), mode="symmetric")
    lr_image = imresize(torch.from_numpy(hr_image).permute(2, 0, 1), 1 / scale)
    return hr_image, to_tensor(np.ascontiguousarray(lr_image.permute(1, 2, 0).numpy()))


def quality(run: Callable[[Tensor], Tensor], scale: int, size: tuple[int, int]) -> float:
    """Mean PSNR of the colour examples, in dB on luma."""
    values = []
    for one in EXAMPLES[:4]:
        hr_image, lr_image = lr_of(one.read(), scale, size)
        values.append(float(psnr(to_uint8(run(lr_image)), hr_image, scale)))
    return sum(values) / len(values)


def weights_only(source: Path, target: Path) -> None:
    """Store the weights of convolutions and matrix products in int8, symmetric, one scale an output channel.

    They become float32 when the file is loaded or run: the file is a quarter, its computation is as before.
    """
    onnx = importlib.import_module("onnx")
    model = onnx.load(source)
    graph, stored = model.graph, {}
    tensors = {one.name: one for one in graph.initializer}
    tensors |= {
        n.output[0]: n.attribute[0].t for n in graph.node if n.op_type == "Constant" and n.attribute[0].HasField("t")
    }
    nodes = []
    for node in graph.node:
        name = node.input[1] if node.op_type in _OPERATORS else ""
        values = onnx.numpy_helper.to_array(tensors[name]) if name in tensors else np.zeros(0)
        if values.dtype == np.float32 and values.size >= _SMALLEST and values.ndim > 1:
            axis = _OPERATORS[node.op_type] % values.ndim
            if (name, axis) not in stored:
                stored[name, axis] = f"{name}.int8.{axis}"
                nodes.append(_dequantised(onnx, graph, values, axis, stored[name, axis]))
            node.input[1] = stored[name, axis]
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [node for node in nodes if node.op_type != "Constant" or node.output[0] in used]
    rest = [one for one in graph.initializer if one.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(rest)
    onnx.save(model, target)


def _dequantised(onnx: Any, graph: Any, values: Any, axis: int, name: str) -> Any:
    others = tuple(d for d in range(values.ndim) if d != axis)
    scale = np.maximum(np.abs(values).max(axis=others) / 127, 1e-12).astype(np.float32)
    shape = [-1 if d == axis else 1 for d in range(values.ndim)]
    stored = np.clip(np.rint(values / scale.reshape(shape)), -127, 127).astype(np.int8)
    for part, array in (("values", stored), ("scale", scale)):
        graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}.{part}"))
    inputs = [f"{name}.values", f"{name}.scale"]
    return onnx.helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}.node", axis=axis)


def static(source: Path, target: Path, files: Sequence[Path], scale: int, size: tuple[int, int]) -> None:
    """Store weights and activations of convolutions and matrix products in int8 (QDQ).

    The ranges of the activations are those on the LR images of ``files``, HR images.
    """
    quantisation = importlib.import_module("onnxruntime.quantization")

    class Reader(quantisation.CalibrationDataReader):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.images: Iterator[Path] = iter(files)

        def get_next(self) -> dict[str, Any] | None:
            path = next(self.images, None)
            return None if path is None else {"lr": lr_of(read_image(path), scale, size)[1].numpy()}

    with quiet():
        quantisation.quantize_static(
            source,
            target,
            Reader(),
            quant_format=quantisation.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=list(_OPERATORS),
        )
