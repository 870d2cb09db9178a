"""Metrics of networks on whole sets of images, and of image files against others."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtkd import __version__
from mtkd.data.benchmarks import BenchmarkImage
from mtkd.errors import UserError
from mtkd.files import data_hash
from mtkd.images import find_images, read_image, to_tensor
from mtkd.metrics import DEFAULT, PAPER, Protocol, measure
from mtkd.zoo.checkpoints import weights_hash


@dataclass(frozen=True)
class Score:
    """One image's metrics by name: "psnr" in dB, "ssim", others that were asked for."""

    image: str
    metrics: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """Image and metrics, for ``--json``."""
        return {"image": self.image, **self.metrics}


@dataclass(frozen=True)
class SetScore:
    """A set's numbers: the means over its images of the per-image values (section 0).

    ``provenance`` says what was measured with what: ``weights`` (of the network, with an aggregator's teachers),
    ``images_hash`` (of the HR files) and ``versions``.
    """

    metrics: Mapping[str, float]
    images: int
    protocol: str
    scores: tuple[Score, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The numbers without the single images, for ``--json``."""
        return {**self.metrics, "images": self.images, "protocol": self.protocol, **self.provenance}


def versions() -> dict[str, str]:
    """What a stored number was made with."""
    return {"mtkd": __version__, "torch": str(torch.__version__), "python": platform.python_version()}


def summarise(
    scores: Sequence[Score], protocol: Protocol = PAPER, provenance: Mapping[str, Any] | None = None
) -> SetScore:
    """The means of per-image scores."""
    count = len(scores)
    return SetScore(
        {name: sum(s.metrics[name] for s in scores) / count for name in scores[0].metrics},
        count,
        str(protocol),
        tuple(scores),
        provenance or {},
    )


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    images: Sequence[BenchmarkImage],
    scale: int,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    metrics: Sequence[str] = DEFAULT,
) -> SetScore:
    """Run a network on a set's LR images, whole, and score it by the paper's protocol.

    Where LR images were made from HR images, the protocol says "LR derived".

    Raises:
        UserError: an unreadable image, an LR size that does not fit its HR image, or see :func:`mtkd.metrics.measure`.
    """
    scores = []
    for number, image in enumerate(images):
        lr, hr = image.read()
        sr = network(to_tensor(lr).to(device))
        if tuple(sr.shape[-2:]) != hr.shape[:2]:
            raise UserError(f"{image.lr}: x{scale} of it is not the size of {image.hr.name}")
        try:
            scores.append(Score(image.name, measure(sr, hr, scale, metrics)))
        except UserError as error:
            raise UserError(f"{image.hr}: {error}") from error
        if progress:
            progress(number + 1, len(images))
    provenance = {
        "weights": weights_hash(network),
        "images_hash": data_hash(image.hr for image in images),
        "versions": versions(),
    }
    derived = any(image.derived for image in images)
    return summarise(scores, replace(PAPER, lr="derived") if derived else PAPER, provenance)


def _stem(path: Path, scale: int) -> str:
    """A file's name without the marks that tools add: ``img_001_SRF_4_LR_x4`` and ``0001x4`` -> img_001, 0001."""
    return re.sub(rf"(_SRF_{scale}_(HR|LR|SR))?(_?x{scale})*$", "", path.stem)


def score_folders(
    sr_folder: Path, hr_folder: Path, scale: int, protocol: Protocol = PAPER, metrics: Sequence[str] = DEFAULT
) -> SetScore:
    """Score the images of one folder against those of the same name in another.

    Names are compared without ``_SRF_s_HR``, ``_xs`` and the like; HR files named ``*_LR`` are skipped. An HR
    image may be up to ``scale - 1`` pixels larger a side than its SR image: it is cut right and bottom.

    Raises:
        UserError: an SR image without an HR image, or of another size.
    """
    references = {_stem(p, scale): p for p in find_images(hr_folder) if not p.stem.endswith("_LR")}
    scores, used = [], []
    for path in find_images(sr_folder):
        reference = references.get(_stem(path, scale))
        if reference is None:
            raise UserError(f"{path}: no image of that name in {hr_folder}")
        sr, hr = read_image(path), read_image(reference)
        surplus = (hr.shape[0] - sr.shape[0], hr.shape[1] - sr.shape[1])
        if not all(0 <= s < scale for s in surplus):
            raise UserError(
                f"{path}: {sr.shape[1]} x {sr.shape[0]}, but {reference.name} is "
                f"{hr.shape[1]} x {hr.shape[0]}; SR and HR must have equal sizes"
            )
        used.append(reference)
        hr = hr[: sr.shape[0], : sr.shape[1]]
        try:
            scores.append(Score(path.name, measure(sr, hr, scale, metrics, protocol)))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return summarise(scores, protocol, {"images_hash": data_hash(used), "versions": versions()})
