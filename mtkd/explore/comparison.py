"""Several networks on one image: results, numbers and pictures of the differences."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.explore import colours
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image, chw, crop_to_multiple, to_tensor, to_uint8
from mtkd.infer import upscale
from mtkd.metrics import PAPER, psnr, ssim
from mtkd.networks.aggregator import MultiTeacher
from mtkd.resize import imresize

SaveImage = Callable[[str, UInt8Image], str]
"""Stores a picture under a name and returns its address (a URL or a data URI)."""


@dataclass(frozen=True)
class Result:
    """One model's output: ``image`` (sH, sW, 3) uint8; PSNR and SSIM where there is a ground truth.

    ``seconds`` is the time of one run on this machine; an aggregator's includes its teachers', its
    ``parameters`` do not.
    """

    name: str
    role: str
    parameters: int
    seconds: float
    image: UInt8Image
    psnr: float | None = None
    ssim: float | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results of several models on one LR image (H, W, 3) uint8, in the order that they were asked for.

    Two are equal only if they are the same object.
    """

    scale: int
    lr_image: UInt8Image
    hr_image: UInt8Image | None
    results: tuple[Result, ...]
    protocol: str = str(PAPER)

    def __getitem__(self, name: str) -> Result:
        """The result of one model.

        Raises:
            KeyError: it was not among the compared models.
        """
        return {result.name: result for result in self.results}[name]

    def table(self) -> list[dict[str, Any]]:
        """One row a model: name, role, parameters, seconds, psnr, ssim."""
        keys = ("name", "role", "parameters", "seconds", "psnr", "ssim")
        return [{key: getattr(result, key) for key in keys} for result in self.results]

    def markdown(self) -> str:
        """The table as markdown, with the protocol under it."""
        lines = ["| model | role | parameters | seconds | PSNR-Y | SSIM-Y |", "|---|---|--:|--:|--:|--:|"]
        for r in self.results:
            numbers = f"{r.parameters:,} | {r.seconds:.2f} | {_decibel(r.psnr)} | {_four(r.ssim)}"
            lines.append(f"| {r.name} | {r.role} | {numbers} |")
        return "\n".join([*lines, "", f"PSNR and SSIM: {self.protocol}, x{self.scale}."])

    def best_teacher(self) -> tuple[UInt8Image, dict[str, float]] | None:
        """Which teacher is nearest to the ground truth at each pixel, as a picture and shares by name.

        None without ground truth or with fewer than two teachers.
        """
        teachers = [r for r in self.results if r.role == "teacher"]
        if self.hr_image is None or len(teachers) < 2:
            return None
        picture, shares = colours.best_model_map([r.image for r in teachers], self.hr_image)
        return picture, {r.name: share for r, share in zip(teachers, shares, strict=True)}

    def panes(self, save: SaveImage) -> list[Pane]:
        """Panes of the synchronised viewer: LR, every result with its error maps, the ground truth."""
        enlarged = self.lr_image.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
        height, width = self.lr_image.shape[:2]
        panes: list[Pane] = [
            {
                "name": "LR",
                "caption": f"{width} × {height}, nearest",
                "layers": {"image": save("LR", enlarged)},
            }
        ]
        for result in self.results:
            layers = {"image": save(result.name, result.image)}
            caption = f"{result.seconds:.2f} s"
            if self.hr_image is not None:
                caption = f"{_decibel(result.psnr)} · {_four(result.ssim)}"
                layers["error"] = save(f"{result.name}-error", colours.error_map(result.image, self.hr_image))
                layers["signed error"] = save(
                    f"{result.name}-signed-error", colours.signed_error_map(result.image, self.hr_image)
                )
            download = {"href": layers["image"], "filename": f"{result.name}_x{self.scale}.png"}
            panes.append({"name": result.name, "caption": caption, "layers": layers, "download": download})
        if self.hr_image is not None:
            image = save("ground-truth", self.hr_image)
            panes.append({"name": "ground truth", "caption": "", "layers": {"image": image}})
        return panes


def _decibel(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} dB"


def _four(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def data_uri(name: str, image: UInt8Image) -> str:
    """A picture as a PNG data URI, for notebooks (``save`` of :meth:`Comparison.panes`)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@lru_cache(maxsize=64)
def _loaded(name: str, scale: int) -> nn.Module:
    return zoo.load(name, scale)


OWN = 6
"""Of a user's own models, so many are compared without being asked for."""


def default_models(scale: int) -> list[str]:
    """What a comparison opens with, of what may be dozens of models.

    Bicubic, the teachers, the aggregator of most of them, and one student without distillation, under kd and under
    mtkd: that of RCAN, which the paper's ablations take, where there are several; then the user's own, the first few.
    """
    bundled = [model for model in zoo.models(scale) if model.bundled]
    teachers = [model.name for model in bundled if model.role == "teacher"]
    aggregators = [model for model in bundled if model.role == "aggregator"]
    merged = sorted(aggregators, key=lambda model: (-len(model.header.teachers), len(model.name)))[:1]
    trained: dict[str, list[str]] = {}
    for method in ("scratch", "kd", "mtkd"):
        for model in bundled:
            if model.name == f"{model.header.network}-{method}":
                trained.setdefault(model.header.network, []).append(model.name)
    specs = networks.specs()
    students = max(trained, key=lambda n: (len(trained[n]), specs[n].family == "rcan"), default=None)
    own = [model.name for model in zoo.models(scale) if not model.bundled]
    return ["bicubic", *teachers, *(m.name for m in merged), *(trained[students] if students else []), *own[:OWN]]


def _role(name: str, scale: int) -> str:
    return "interpolation" if name == "bicubic" else zoo.find(name, scale).role


def _parameters(network: nn.Module) -> int:
    """Of the network itself: an aggregator without its teachers, as ``mtkd models`` counts."""
    return networks.parameter_count(network.aggregator if isinstance(network, MultiTeacher) else network)


def compare(
    image: UInt8Image,
    models: Sequence[str],
    scale: int = 4,
    ground_truth: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Run several models on one image.

    Args:
        image: (H, W, 3) uint8. With ``ground_truth`` it is the HR image, cut to a multiple of ``scale``, and
            its LR image is made with the MATLAB kernel; else it is the LR image.
        models: names of the catalogue, or ``bicubic``.
        progress: called with the model that runs, how many are done, of how many.

    Raises:
        UserError: unknown model or scale, or an image that is too small.
    """
    hr_image = crop_to_multiple(image, scale) if ground_truth else None
    if hr_image is None:
        lr_image = image
    else:
        lr_image = imresize(chw(hr_image), 1 / scale).permute(1, 2, 0).contiguous().numpy()
    lr = to_tensor(lr_image)
    outputs: dict[str, tuple[Tensor, float]] = {}

    def run(name: str) -> tuple[Tensor, float]:
        if name not in outputs:
            network = _loaded(name, scale)
            shared = network.aggregator.teachers if isinstance(network, MultiTeacher) else ()
            seconds = sum(run(teacher)[1] for teacher in shared)
            began = time.perf_counter()
            if isinstance(network, MultiTeacher):
                with torch.inference_mode():
                    sr = network.aggregator([outputs[teacher][0] for teacher in shared])
            else:
                sr = upscale(network, lr, scale)
            outputs[name] = sr, seconds + time.perf_counter() - began
        return outputs[name]

    results = []
    for number, name in enumerate(models):
        role = _role(name, scale)
        if progress:
            progress(name, number, len(models))
        sr, seconds = run(name)
        picture = to_uint8(sr)
        quality = _quality(picture, hr_image, scale)
        results.append(Result(name, role, _parameters(_loaded(name, scale)), seconds, picture, *quality))
    if progress:
        progress("", len(models), len(models))
    return Comparison(scale, lr_image, hr_image, tuple(results))


def _quality(sr: UInt8Image, hr: UInt8Image | None, scale: int) -> tuple[float | None, float | None]:
    """PSNR and SSIM; None where there is no ground truth or the image is too small for the measure."""
    values: list[float | None] = []
    for measure in (psnr, ssim):
        try:
            values.append(None if hr is None else measure(sr, hr, scale))
        except UserError:
            values.append(None)
    return values[0], values[1]
