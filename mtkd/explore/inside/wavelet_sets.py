"""Error and energy of models by subband, averaged over many pictures, and along a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mtkd import zoo
from mtkd.data.benchmarks import DerivedImage, benchmark, present
from mtkd.data.examples import PICTURES
from mtkd.errors import UserError, unknown_name
from mtkd.explain.subbands import energies_over, subbands
from mtkd.explore.comparison.outputs import outputs
from mtkd.home import found_data
from mtkd.images import UInt8Image, chw

EXAMPLES = "Examples"
"""The bundled pictures, as a set."""
Progress = Callable[[int, int], None]
"""Called with how many results are measured, of how many."""


@dataclass(frozen=True)
class Bands:
    """What is measured of a model: band -> a number for each picture.

    Attributes:
        error: the band's term of the wavelet loss (Eq. 3) to the ground truth.
        energy: the band's energy over that of the ground truth, in dB; below 0 the result has less detail.
    """

    error: Mapping[str, Sequence[float]]
    energy: Mapping[str, Sequence[float]]

    def means(self) -> tuple[dict[str, float], dict[str, float]]:
        """Error and energy, mean over pictures; every picture counts once."""
        error, energy = ({band: float(np.mean(v)) for band, v in of.items()} for of in (self.error, self.energy))
        return error, energy


@dataclass(frozen=True)
class Pictures:
    """The pictures of a set, LR and HR, and their scale."""

    name: str
    scale: int
    pairs: Sequence[tuple[UInt8Image, UInt8Image]]

    @property
    def pixels(self) -> int:
        """Of the largest HR image."""
        return max(int(hr.shape[0] * hr.shape[1]) for _, hr in self.pairs)


def sets(scale: int) -> list[str]:
    """The sets that are here: the examples, and the benchmark sets (``MTKD_DATA``, or fetched)."""
    root = found_data()
    return [EXAMPLES, *(present(root, scale) if root and root.is_dir() else [])]


def pictures(name: str, scale: int) -> Pictures:
    """Read a set of :func:`sets`.

    Raises:
        UserError: there is no such set here.
    """
    if name not in (known := sets(scale)):
        raise unknown_name("set of pictures", name, known)
    if name == EXAMPLES:
        images = [DerivedImage(one.name, one.path, one.path, scale) for one in PICTURES]
        return Pictures(name, scale, [image.read() for image in images])
    root = found_data()
    assert root is not None
    return Pictures(name, scale, [image.read() for image in benchmark(root, name, scale)])


def measure(model: str, of: Pictures, levels: int, wavelet: str, tell: Progress = lambda done, count: None) -> Bands:
    """Subbands of a model's results, neither clamped nor rounded, against the ground truth.

    Raises:
        UserError: unknown model or wavelet, or a picture that is too small for the levels.
    """
    error: dict[str, list[float]] = {}
    energy: dict[str, list[float]] = {}
    for done, (lr_image, hr_image) in enumerate(of.pairs, 1):
        sr, hr = outputs(model, lr_image, of.scale).sr[0], chw(hr_image).float() / 255
        if sr.shape != hr.shape:
            raise UserError(f"{of.name}: a result of {model} is {tuple(sr.shape)}, its ground truth {tuple(hr.shape)}")
        for band in subbands(torch.clone(sr), hr, levels, wavelet):
            error.setdefault(band.name, []).append(band.contribution)
        for name, over in energies_over(sr, hr, levels, wavelet).items():
            energy.setdefault(name, []).append(over)
        tell(done, len(of.pairs))
    return Bands(error, energy)


def steps(model: str, scale: int) -> dict[int, str]:
    """The model on its way, by the number of steps: names of its snapshots, its own last; empty where none was kept."""
    if model not in {one.name for one in zoo.models(scale)}:
        return {}
    found = zoo.find(model, scale)
    kept = {step: snapshot.name for step, snapshot in found.snapshots().items()}
    end = found.card.get("iterations")
    return {**kept, int(end): model} if kept and end else {}
