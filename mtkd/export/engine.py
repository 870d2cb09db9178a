"""Networks run by onnxruntime in place of PyTorch; the exported files are kept for the next time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

import mtkd
from mtkd import zoo
from mtkd.errors import UserError
from mtkd.export import export
from mtkd.export.graph import OPSET, onnx_session
from mtkd.home import home
from mtkd.networks.aggregator import MultiTeacher, with_teachers
from mtkd.zoo.checkpoints import weights_hash

TILING = ("scale", "reach", "window", "wraps", "exact_tiling", "pools")
"""What :mod:`mtkd.infer` asks of a network."""


class InOnnxruntime(nn.Module):
    """LR ``(N, 3, h, w)`` -> SR ``(N, 3, sh, sw)`` by an exported file; it is tiled as the network that it is of."""

    def __init__(self, network: nn.Module, run: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run
        for name in TILING:
            if hasattr(network, name):
                setattr(self, name, getattr(network, name))

    def forward(self, lr_image: Tensor) -> Tensor:
        return self.run(lr_image)


def load(name: str, scale: int) -> nn.Module:
    """As :func:`mtkd.zoo.load`, run by onnxruntime on the CPU.

    An aggregator's teachers are: it is run by PyTorch itself, so that each is tiled in its own way.

    Raises:
        UserError: unknown model, one without weights, a missing extra, or a network that cannot be exported.
    """
    network = zoo.load(name, scale)
    if (merged := with_teachers(network)) is not None:
        names = merged.aggregator.teachers
        return MultiTeacher([load(teacher, scale) for teacher in names], merged.aggregator).eval()
    path = kept(name, scale, network)
    if path.is_file():
        try:
            return InOnnxruntime(network, onnx_session(path))
        except UserError:
            raise
        except Exception:  # onnxruntime's have no common base: a damaged file is made anew
            path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    export(name, scale, path, replace=True)
    return InOnnxruntime(network, onnx_session(path))


def kept(name: str, scale: int, network: nn.Module) -> Path:
    """Where the file of a network with these weights is kept, in the user's folder."""
    told = f"{name}_x{scale}-{weights_hash(network)}-{mtkd.__version__}-opset{OPSET}".replace("@", "-")
    return home() / "onnx" / f"{told}.onnx"
