"""A network as an ONNX graph: for every size, or for one size with all shapes folded."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mtkd
from mtkd import zoo
from mtkd.errors import UserError
from mtkd.networks.aggregator import with_teachers
from mtkd.zoo.checkpoints import weights_hash
from mtkd.zoo.headers import Header

OPSET = 20
"""Version of the ONNX operators; supported by onnxruntime 1.17 and later."""
_LARGEST = 2**31 - 2**24
"""Maximum size of the weights in one protobuf file, in bytes."""


def extra() -> Any:
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


class _Mean(nn.Module):
    """The mean of each channel, ``(N, C, h, w) -> (N, C, 1, 1)``: one operator, where the exporter makes three of an
    adaptive pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


class _AsWritten(nn.Module):
    """A network, its weights named apart from the graph's own values; in float16 between float32 images if asked."""

    def __init__(self, network: nn.Module, in_half: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        for part in [*self.network.modules()]:
            for name, child in part.named_children():
                if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size in (1, (1, 1)):
                    setattr(part, name, _Mean())
        if in_half:
            self.network.half()
        self.in_half = in_half

    def forward(self, lr_image: Tensor) -> Tensor | tuple[Tensor, ...]:
        image: Tensor = self.network(lr_image.half()).float() if self.in_half else self.network(lr_image)
        return image


class _WithInside(_AsWritten):
    """An aggregator with its teachers; after its image it gives the tensors of :func:`parts_of`."""

    def forward(self, lr_image: Tensor) -> tuple[Tensor, ...]:
        network, parts = with_teachers(self.network), parts_of(self.network)
        assert network is not None
        found: dict[str, Tensor] = {}

        def keeper(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
            return lambda _, __, result: found.update({name: result})

        handles = [part.register_forward_hook(keeper(name)) for name, part in parts.items()]
        merged = network.aggregator.upsample.register_forward_pre_hook(lambda _, inputs: found.update(merged=inputs[0]))
        image: Tensor = network(lr_image)
        for handle in (*handles, merged):
            handle.remove()
        return (image, *(found[name] for name in inside(network)))


def parts_of(network: nn.Module) -> dict[str, nn.Module]:
    """The modules of an aggregator with its teachers whose outputs a file with ``inside`` gives, by their names there;
    none of another network."""
    merged = with_teachers(network)
    if merged is None:
        return {}
    return {
        **{f"teacher_{number}": teacher for number, teacher in enumerate(merged.teachers, 1)},
        "shallow": merged.aggregator.conv_first,
        **{f"block_{number}": block for number, block in enumerate(merged.aggregator.body, 1)},
    }


def inside(network: nn.Module) -> tuple[str, ...]:
    """Names of the outputs, after the image, of a file with ``inside``: the teachers' images, then ``(1, C, H, W)``
    features F_s, F_d^1 ... F_d^B and F_s + F_d, H and W padded to whole windows (Sec. 3.1)."""
    parts = parts_of(network)
    return (*parts, "merged") if parts else ()


def write_onnx(
    path: Path,
    network: nn.Module,
    half: bool,
    about: dict[str, str],
    size: tuple[int, int] | None = None,
    outputs: tuple[str, ...] = (),
) -> None:
    """Write the graph of a network.

    Args:
        half: in float16 between float32 images.
        about: the metadata of the file.
        size: height and width of its only input, one image; without, any number of images of any size.
        outputs: those of :func:`inside` after the image, or none.

    Raises:
        UserError: PyTorch cannot trace the network, or its weights do not fit into one file.
    """
    nbytes = sum(value.nbytes for value in network.state_dict().values()) // (2 if half else 1)
    if nbytes > _LARGEST:
        raise UserError(
            f"{about['name']}: {nbytes / 2**30:.1f} GiB of weights, but an ONNX file holds at most 2; try --fp16"
        )
    axes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    # Two images of odd sides: what an exporter sees of size 1 it may take for a constant.
    shape = (2, 3, 19, 29) if size is None else (1, 3, *size)
    example = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    try:
        with quiet():
            # Captured here: left to itself the exporter tries a failing network again in ways that may take minutes.
            captured = torch.export.export(
                _WithInside(network, False) if outputs else _AsWritten(network, half),
                (example,),
                dynamic_shapes=(axes,) if size is None else None,
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            program = torch.onnx.export(
                captured,
                (),
                input_names=["lr"],
                output_names=["sr", *outputs],
                opset_version=OPSET,
                dynamic_shapes=(axes,) if size is None else None,  # again, for their names
                dynamo=True,
                optimize=False,
                verbose=False,
            )
            assert program is not None  # as it is with dynamo=True
            if size is not None:  # quick here; it leaves no operator on shapes
                importlib.import_module("onnxscript.optimizer").optimize(program.model)
            _tidy(program.model)
    except Exception as error:  # of any type: whatever stops the tracing of a network from elsewhere
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        what = "float16 ONNX" if half else "ONNX"
        which = "every size" if size is None else f"{size[1]} x {size[0]} pixels"
        raise UserError(
            f"{about['name']}: PyTorch cannot write this network as {what} for {which} ({reason})"
        ) from error
    program.model.metadata_props.update(about)
    program.save(path, external_data=False)


def _tidy(graph: Any) -> None:
    """Less of the same: constants computed, nothing twice, no notes on which line of which file made each node.

    The exporter's own optimisation takes several times as long for a graph of every size that onnxruntime runs no
    faster.
    """
    passes = importlib.import_module("onnx_ir.passes.common")
    importlib.import_module("onnxscript.optimizer").fold_constants(graph)
    for tidy in ("RemoveUnusedNodesPass", "CommonSubexpressionEliminationPass", "ClearMetadataAndDocStringPass"):
        getattr(passes, tidy)()(graph)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without remarks on packages that PyTorch's exporter could use as well, and on what it then raises anyway."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def metadata(model: zoo.Model, header: Header, network: nn.Module) -> dict[str, str]:
    """The metadata of an ONNX file."""
    return {
        "name": header.name,
        "network": header.network,
        **({"options": json.dumps(dict(header.options))} if header.options else {}),
        "teachers": ", ".join(header.teachers),
        "scale": str(header.scale),
        "value_range": "RGB in [0, 1], (batch, 3, height, width) float32; the output is not clamped",
        "mtkd": mtkd.__version__,
        "weights": weights_hash(network),
        "licence": "MIT" if model.bundled else str(model.card.get("licence", "not stated; that of its weights")),
    }


def onnx_session(path: Path) -> Callable[[Tensor], Tensor]:
    """Open a file written by :func:`export` as a function of LR images, run by onnxruntime on the CPU."""
    onnxruntime = extra()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda lr_image: torch.from_numpy(session.run(["sr"], {"lr": lr_image.numpy()})[0])
