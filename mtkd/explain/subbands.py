"""What the distillation losses see of two images: by subband, by region, and what they are blind to (Eq. 3, Table 5).

Every loss of the paper is a norm of the difference d of two images, L(t d) = t L(d) for t >= 0. So L(d) = <dL/dd, d>
(Euler), and any way of writing d as a sum writes the loss as a sum: over pixels it is a map, over subbands a table.
For other losses the gradient is its mean along the straight line between the images: then <dL/dd, d> is the loss less
its value for equal images (integrated gradients, Sundararajan et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pywt
import torch
from ptwt.constants import WaveletDetailTuple2d
from ptwt.conv_transform_2 import wavedec2, waverec2
from torch import Tensor, nn

from mtkd.errors import UserError, unknown_name
from mtkd.losses import WaveletLoss


@dataclass(frozen=True)
class Subband:
    """One band of the transform of two images.

    Attributes:
        name: "LL2", "LH1", ...: LH holds horizontal edges, HL vertical ones, HH diagonal ones.
        first, second: coefficients of the images, (C, h, w); ``difference`` is first - second.
        contribution: the band's term of the loss: the terms of all bands add up to it.
    """

    name: str
    level: int
    first: Tensor
    second: Tensor
    contribution: float

    @property
    def difference(self) -> Tensor:
        return self.first - self.second


def names(levels: int) -> list[str]:
    """The bands of K levels, coarse to fine: LL of level K, then LH, HL, HH of every level."""
    return [f"LL{levels}", *(f"{band}{level}" for level in range(levels, 0, -1) for band in ("LH", "HL", "HH"))]


def transform(image: Tensor, levels: int, wavelet: str) -> dict[str, Tensor]:
    """The bands of an image (C, H, W) by name, (C, h, w) each, orthonormal, symmetric padding.

    Raises:
        UserError: unknown wavelet, no level, or an image that is too small.
    """
    _check(image, levels, wavelet)
    low, *details = wavedec2(image[None], wavelet, mode="symmetric", level=levels)
    bands = [low, *(band for triple in details for band in triple)]
    return {name: band[0] for name, band in zip(names(levels), bands, strict=True)}


def subbands(first: Tensor, second: Tensor, levels: int = 1, wavelet: str = "haar") -> list[Subband]:
    """The bands of two images (C, H, W) of one size, with their terms of ``WaveletLoss(levels, wavelet)``.

    Raises:
        UserError: unequal sizes, unknown wavelet, no level, or images that are too small.
    """
    terms = WaveletLoss(levels, wavelet).bands(first[None], second[None])
    a, b = transform(first, levels, wavelet), transform(second, levels, wavelet)
    return [Subband(name, int(name[2:]), a[name], b[name], float(terms[name])) for name in names(levels)]


def loss_map(first: Tensor, second: Tensor, loss: nn.Module) -> Tensor:
    """Where a loss comes from: (H, W) whose sum is the loss, d * dL/dd summed over channels.

    A pixel may count negatively: where the difference runs against what the loss would have it do.
    """
    difference, gradient = _gradient(first, second, loss)
    return (difference * gradient).sum(0)


def loss_by_band(
    first: Tensor, second: Tensor, loss: nn.Module, levels: int = 1, wavelet: str = "haar"
) -> dict[str, float]:
    """How much of any of the losses each subband of the difference carries: values that add up to the loss.

    A band that carries nothing is one against which the loss does not push, at this difference and to first order. The
    bands of the difference are the pictures that each of them alone gives back; of longer wavelets, with symmetric
    padding, they differ a little from the terms of :class:`~mtkd.losses.WaveletLoss`.

    Raises:
        UserError: as :func:`transform`.
    """
    difference, gradient = _gradient(first, second, loss)
    bands = transform(difference, levels, wavelet)
    height, width = difference.shape[-2:]
    found = {}
    for name in bands:
        kept = {other: band if other == name else torch.zeros_like(band) for other, band in bands.items()}
        details = [
            WaveletDetailTuple2d(*(kept[f"{kind}{level}"][None] for kind in ("LH", "HL", "HH")))
            for level in range(levels, 0, -1)
        ]
        part = waverec2((kept[f"LL{levels}"][None], *details), wavelet)[0, :, :height, :width]
        found[name] = float((part * gradient).sum())
    return found


def energies(image: Tensor, levels: int = 1, wavelet: str = "haar") -> dict[str, float]:
    """The mean square of each band of an image (C, H, W).

    Raises:
        UserError: as :func:`transform`.
    """
    return {name: float(band.double().square().mean()) for name, band in transform(image, levels, wavelet).items()}


def energies_over(image: Tensor, reference: Tensor, levels: int = 1, wavelet: str = "haar") -> dict[str, float]:
    """The energy of each band of an image (C, H, W) over that of a reference, in dB; below 0: less of it.

    Raises:
        UserError: as :func:`transform`.
    """
    own, other = energies(image, levels, wavelet), energies(reference, levels, wavelet)
    return {band: 10 * float(np.log10(max(own[band], _LEAST) / max(other[band], _LEAST))) for band in own}


def wavelets() -> list[str]:
    """Wavelets to choose from: Haar and the shorter ones of each orthogonal and biorthogonal family."""
    return ["haar", "db2", "db4", "sym4", "coif1", "bior2.2", "bior4.4"]


_LEAST = 1e-20
"""Of an energy in dB: a band may be empty."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


def _gradient(first: Tensor, second: Tensor, loss: nn.Module) -> tuple[Tensor, Tensor]:
    """The difference d, and dL/dd: where L is no norm of d, its mean on the way from the second image to the first."""
    if first.shape != second.shape:
        raise UserError(f"images of unequal size: {tuple(first.shape)} and {tuple(second.shape)}")
    difference = (first - second).detach()

    def at(image: Tensor) -> tuple[float, Tensor]:
        leaf = image.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = loss(leaf[None], second.detach()[None])
            (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient

    value, gradient = at(first)
    if abs(float((difference * gradient).sum()) - value) > 1e-3 * abs(value):
        steps = zip((_NODES + 1) / 2, _WEIGHTS / 2, strict=True)  # Gauss-Legendre on [0, 1]
        gradient = torch.stack([float(weight) * at(second + float(t) * difference)[1] for t, weight in steps]).sum(0)
    return difference, gradient


def _check(image: Tensor, levels: int, wavelet: str) -> None:
    if levels < 1:
        raise UserError(f"levels (K) must be 1 or more, not {levels}")
    known = pywt.wavelist(kind="discrete")
    if wavelet not in known:
        raise unknown_name("wavelet", wavelet, known)
    height, width = image.shape[-2:]
    if min(height, width) < 2**levels:
        raise UserError(f"an image of {width} x {height} is too small for {levels} wavelet levels")
