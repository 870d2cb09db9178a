"""How similar the errors of several networks are, and what a merge of their images can gain.

With residuals e_i = SR_i - GT and their second moments M_ij = E[e_i e_j], the weighted sum of images with weights w
that add up to 1 has the mean squared error w^T M w: everything here follows from M.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mtkd.data.benchmarks import BenchmarkImage
from mtkd.errors import UserError
from mtkd.images import to_tensor
from mtkd.metrics import Protocol

PROTOCOL = Protocol(quantise=False)
"""Luma, ``scale`` pixels cropped, not rounded: sums of images stay sums."""


def gain_of_averaging(count: int, correlation: float) -> float:
    """Gain of the mean of ``count`` equally good images over one of them, in dB: 10 log10(n / (1 + (n - 1) r)).

    ``correlation`` is that of any two residuals.
    """
    return 10 * math.log10(count / (1 + (count - 1) * correlation))


def _psnr(mse: NDArray[np.float64]) -> float:
    """Mean over the images, in dB."""
    return float(np.mean(10 * np.log10(255**2 / mse)))


@dataclass(frozen=True)
class Agreement:
    """Several networks on one set of images; PSNR in dB is the mean over the images, gains are over the best network.

    Attributes:
        models: their names.
        moments: (images, n, n), M of each image, in squared levels (0..255).
        oracle: (images,) mean squared error if at every pixel the nearest of the networks were taken.
        others: PSNR of other networks, for comparison: the aggregator.
        derived: LR images of the set were made from its HR images.
    """

    models: tuple[str, ...]
    moments: NDArray[np.float64]
    oracle: NDArray[np.float64]
    others: Mapping[str, float]
    derived: bool = False

    @property
    def psnr(self) -> dict[str, float]:
        """Of each network."""
        return {name: _psnr(self.moments[:, i, i]) for i, name in enumerate(self.models)}

    @property
    def best(self) -> float:
        """PSNR of the best network."""
        return max(self.psnr.values())

    @property
    def correlation(self) -> NDArray[np.float64]:
        """(n, n): M_ij / sqrt(M_ii M_jj) of the moments' mean over the images."""
        mean = self.moments.mean(0)
        size = np.sqrt(np.diag(mean))
        return np.asarray(mean / np.outer(size, size))

    @property
    def mean_correlation(self) -> float:
        """The mean over all pairs."""
        return float(np.mean(self.correlation[np.triu_indices(len(self.models), 1)]))

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights, adding up to 1, whose sum of images has the least error on this very set."""
        mean = self.moments.mean(0)
        solved = np.linalg.lstsq(mean, np.ones(len(mean)), rcond=1e-10)[0]
        return np.asarray(solved / solved.sum())

    def weighted(self, weights: NDArray[np.float64]) -> float:
        """PSNR of a weighted sum of the networks' images."""
        return _psnr(np.einsum("i,bij,j->b", weights, self.moments, weights))

    def gains(self) -> dict[str, float]:
        """In dB over the best network: what the correlation predicts for equals, and what merging really gives."""
        count = len(self.models)
        return {
            "predicted": gain_of_averaging(count, self.mean_correlation),
            "mean": self.weighted(np.full(count, 1 / count)) - self.best,
            "best weights": self.weighted(self.weights) - self.best,
            "best of each pixel": _psnr(self.oracle) - self.best,
            **{name: psnr - self.best for name, psnr in self.others.items()},
        }

    def row(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "models": list(self.models),
            "images": len(self.moments),
            "protocol": str(replace(PROTOCOL, lr="derived") if self.derived else PROTOCOL),
            "psnr": {name: round(value, 4) for name, value in (self.psnr | dict(self.others)).items()},
            "correlation": [[round(float(r), 4) for r in row] for row in self.correlation],
            "mean_correlation": round(self.mean_correlation, 4),
            "weights": [round(float(w), 4) for w in self.weights],
            "gains": {name: round(value, 4) for name, value in self.gains().items()},
        }


@torch.inference_mode()
def agreement(
    networks: Mapping[str, nn.Module],
    images: Sequence[BenchmarkImage],
    scale: int,
    others: Mapping[str, nn.Module] | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Run ``networks``, two or more, and ``others`` on the LR images and compare their residuals.

    Raises:
        UserError: fewer than two networks, an unreadable image, or an LR size that does not fit its HR image.
    """
    if len(networks) < 2:
        raise UserError("agreement: fewer than two networks; give two or more")
    moments, oracle, beside = [], [], []
    for number, image in enumerate(images):
        lr, hr = image.read()
        truth = PROTOCOL.planes(hr, scale)

        def residual(
            network: nn.Module, lr: Any = lr, truth: torch.Tensor = truth, image: BenchmarkImage = image
        ) -> torch.Tensor:
            plane = PROTOCOL.planes(network(to_tensor(lr).to(device)).clamp(0, 1).cpu(), scale)
            if plane.shape != truth.shape:
                raise UserError(f"{image.lr}: {scale} times its size is not the size of {image.hr.name}")
            return (plane - truth).flatten()

        residuals = torch.stack([residual(network) for network in networks.values()])
        moments.append((residuals @ residuals.T / residuals.shape[1]).numpy())
        oracle.append(float(residuals.square().amin(0).mean()))
        beside.append([float(residual(network).square().mean()) for network in (others or {}).values()])
        if progress:
            progress(number + 1, len(images))
    columns = np.asarray(beside).T
    return Agreement(
        tuple(networks),
        np.stack(moments),
        np.asarray(oracle),
        {name: _psnr(column) for name, column in zip(others or {}, columns, strict=True)},
        any(image.derived for image in images),
    )
