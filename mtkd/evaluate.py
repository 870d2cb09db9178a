"""Metrics of networks on sets of images, and of image files against ground truth."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtkd import __version__
from mtkd.data.benchmarks import BenchmarkImage
from mtkd.data.pairing import pair
from mtkd.errors import UserError
from mtkd.files import data_hash
from mtkd.images import find_images, read_image, to_tensor
from mtkd.metrics import DEFAULT, PAPER, Protocol, measure
from mtkd.zoo.checkpoints import weights_hash


@dataclass(frozen=True)
class Score:
    """Metrics of one image by name: "psnr" in dB, "ssim", and others on request."""

    image: str
    metrics: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """Image and metrics, for ``--json``."""
        return {"image": self.image, **self.metrics}


@dataclass(frozen=True)
class SetScore:
    """Metrics of a set: means of the per-image values over its images (section 0).

    ``provenance`` holds the hash of the ``weights`` (an aggregator's with its teachers), ``images_hash`` (of the HR
    files) and ``versions``.
    """

    metrics: Mapping[str, float]
    images: int
    protocol: str
    scores: tuple[Score, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """The means, without the values of the images, for ``--json``."""
        return {**self.metrics, "images": self.images, "protocol": self.protocol, **self.provenance}


def versions() -> dict[str, str]:
    """Versions of the software that a number was measured with."""
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
    """Run a network on the LR images of a set, without tiles, and score it by the paper's protocol.

    Where LR images were made from HR images, the protocol says "LR derived".

    Raises:
        UserError: an unreadable image, an LR size that does not fit its HR image, or see :func:`mtkd.metrics.measure`.
    """
    scores = []
    for number, image in enumerate(images):
        lr, hr = image.read()
        sr = network(to_tensor(lr).to(device))
        if tuple(sr.shape[-2:]) != hr.shape[:2]:
            raise UserError(f"{image.lr}: {scale} times its size is not the size of {image.hr.name}")
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


def score_pairs(
    pairs: Sequence[tuple[Path, Path]], scale: int, protocol: Protocol = PAPER, metrics: Sequence[str] = DEFAULT
) -> SetScore:
    """Score SR images against their HR images (:mod:`mtkd.data.pairing`).

    An HR image may be up to ``scale - 1`` pixels larger a side than its SR image: it is cut right and bottom.

    Raises:
        UserError: an image that cannot be read, or of another size.
    """
    scores, cut = [], 0
    for path, reference in pairs:
        sr, hr = read_image(path), read_image(reference)
        surplus = (hr.shape[0] - sr.shape[0], hr.shape[1] - sr.shape[1])
        if not all(0 <= s < scale for s in surplus):
            raise UserError(
                f"{path}: {sr.shape[1]} x {sr.shape[0]}, but {reference.name} is "
                f"{hr.shape[1]} x {hr.shape[0]}; HR may be up to {scale - 1} pixels a side larger, not more"
            )
        cut += any(surplus)
        hr = hr[: sr.shape[0], : sr.shape[1]]
        try:
            scores.append(Score(path.name, measure(sr, hr, scale, metrics, protocol)))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    used = [reference for _, reference in pairs]
    found = summarise(scores, protocol, {"images_hash": data_hash(used), "versions": versions()})
    note = f"{cut} of {len(pairs)} HR images are larger than their SR images and were cut right and bottom"
    return replace(found, notes=(note,) if cut else ())


def score_folders(
    sr_folder: Path, hr_folder: Path, scale: int, protocol: Protocol = PAPER, metrics: Sequence[str] = DEFAULT
) -> SetScore:
    """Score the images of one folder against those of the same name in another; see :func:`mtkd.data.pairing.pair`.

    Raises:
        UserError: names that do not decide, or see :func:`score_pairs`.
    """
    return score_pairs(pair(find_images(sr_folder), find_images(hr_folder)), scale, protocol, metrics)


def by_conventions(pairs: Sequence[tuple[Path, Path]], scale: int) -> list[dict[str, Any]]:
    """PSNR and SSIM of pairs by :data:`mtkd.metrics.conventions.CONVENTIONS`: rows for people and ``--json``.

    Raises:
        UserError: as :func:`score_pairs`.
    """
    from mtkd.metrics.conventions import CONVENTIONS

    score_pairs(pairs, scale)  # the sizes are checked
    values: list[list[float]] = [[] for _ in CONVENTIONS]
    for path, reference in pairs:
        sr = read_image(path)
        hr = read_image(reference)[: sr.shape[0], : sr.shape[1]]
        for of, convention in zip(values, CONVENTIONS, strict=True):
            of.append(convention(sr, hr, scale))
    return [
        {
            "measured": f"{convention.metric}, {convention.name}",
            "value": sum(of) / len(of),
            "digits": 3 if convention.metric == "PSNR" else 4,
            "used by": convention.used_by,
        }
        for of, convention in zip(values, CONVENTIONS, strict=True)
    ]
