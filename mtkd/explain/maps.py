"""What attributions say: maps, the diffusion index, shares, a density (Sec. 5.3.1, Fig. 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import UserError


def attribution_maps(attributions: Sequence[Tensor]) -> list[Tensor]:
    """|sum over channels| of each (N, C, H, W) or (C, H, W), scaled by the largest value of all: 0 to 1.

    Maps that are shown together are scaled together; all zero stays zero.
    """
    return [one.abs() for one in signed_maps(attributions)]


def signed_maps(attributions: Sequence[Tensor]) -> list[Tensor]:
    """The sum over channels of each, scaled by the largest absolute value of all: -1 to 1."""
    maps = [attribution.sum(-3) for attribution in attributions]
    largest = max(float(one.abs().max()) for one in maps)
    return [one / largest if largest > 0 else one for one in maps]


def diffusion_index(one: Tensor) -> float | None:
    """DI = 100 (1 - Gini) of a map: 100 for a uniform one, 100 / n for one pixel of n. None where all is zero.

    It depends on the size of the map: compare DIs of equal sizes alone. It says how spread the used pixels are, not how
    much they contribute.
    """
    every = one.detach().flatten()
    values = (
        every[every != 0].double().sort().values
    )  # zeros come first and add nothing: a photo's map holds few others
    total = float(values.sum())
    if total == 0:
        return None
    count = every.numel()
    ranks = torch.arange(count - len(values) + 1, count + 1, dtype=torch.float64, device=values.device)
    gini = float(((2 * ranks - count - 1) * values).sum()) / (count * total)
    return 100 * (1 - gini)


def shares(attributions: Sequence[Tensor]) -> list[float] | None:
    """Each input's part of all attribution, sum |A_k| / sum_j sum |A_j|; None where all is zero."""
    sums = [float(attribution.double().abs().sum()) for attribution in attributions]
    return [one / sum(sums) for one in sums] if sum(sums) > 0 else None


def density(one: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The map (H, W) smoothed to a density: a Gaussian kernel estimate over its pixels with Scott's bandwidth, by FFT.

    Equal to ``scipy.stats.gaussian_kde`` with the map as weights, at every pixel.

    Raises:
        UserError: the map has weight on fewer than two rows or columns: no density exists.
    """
    weights = one.detach().double().cpu().numpy()
    height, width = weights.shape
    weights = weights / weights.sum() if weights.sum() > 0 else weights
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([rows.ravel(), columns.ravel()])
    covariance = np.cov(places, aweights=weights.ravel()) if weights.sum() > 0 else np.zeros((2, 2))
    if not np.linalg.det(covariance) > 0:
        raise UserError("the map has no spread; a density needs weight on two rows and two columns")
    covariance = covariance * (1 / np.square(weights).sum()) ** (-1 / 3)  # Scott: n_eff^(-1 / (d + 4)), squared
    offsets = np.stack(np.meshgrid(np.arange(1 - height, height), np.arange(1 - width, width), indexing="ij"), -1)
    inverse, norm = np.linalg.inv(covariance), 2 * math.pi * math.sqrt(np.linalg.det(covariance))
    kernel = np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", offsets, inverse, offsets)) / norm
    shape = (3 * height - 2, 3 * width - 2)
    spread = np.fft.irfft2(np.fft.rfft2(weights, shape) * np.fft.rfft2(kernel, shape), shape)
    return np.maximum(spread[height - 1 : 2 * height - 1, width - 1 : 2 * width - 1], 0)
