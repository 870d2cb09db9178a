"""Local attribution maps (Gu and Dong, 2021; the paper's Sec. 5.3.1 and Fig. 4) as a Captum attribution method.

How much did each input pixel do for the detail in a window of the SR image? The detail F is the gradient magnitude
there; the input is unblurred along a path, and the gradient of F is integrated along it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

os.environ.setdefault("MPLBACKEND", "Agg")  # captum imports pyplot

from captum.attr import GradientAttribution
from captum.log import log_usage

from mtkd.errors import UserError

Rule = Literal["midpoint", "gauss-legendre"]
RULES: tuple[Rule, ...] = ("midpoint", "gauss-legendre")
Progress = Callable[[int, int], None]
"""Called with how many steps of the path are done, of how many; an exception that it raises stops the work."""


@dataclass(frozen=True)
class Window:
    """A square of ``size`` pixels a side of the SR image whose corner is ``top``, ``left``."""

    top: int
    left: int
    size: int = 16

    @classmethod
    def around(cls, row: int, column: int, size: int = 16) -> Window:
        """The window whose middle is a pixel."""
        return cls(row - size // 2, column - size // 2, size)


class Detail(nn.Module):
    """The objective: a network whose output is F, the detail in a window of its SR image, one number an image (N,).

    F is the sum over channels and window pixels of sqrt(dx^2 + dy^2), the magnitude of the forward differences, which
    reach one pixel beyond the window. Where both differences are 0, so is the gradient.
    """

    def __init__(self, network: nn.Module, window: Window) -> None:
        super().__init__()
        self.network, self.window = network, window

    def forward(self, *images: Tensor) -> Tensor:
        """One tensor for a network with LR input; one a teacher for an aggregator.

        Raises:
            UserError: the window leaves the SR image.
        """
        sr: Tensor = self.network(images[0] if len(images) == 1 else images)
        top, left, size = self.window.top, self.window.left, self.window.size
        height, width = sr.shape[-2:]
        if not (size > 0 <= min(top, left) and top + size < height and left + size < width):
            raise UserError(
                f"window of {size} x {size} at {top}, {left} leaves the SR image of {height} rows x {width} columns "
                "(one pixel is needed below and to the right of it)"
            )
        part = sr[..., top : top + size + 1, left : left + size + 1]
        corner = part[..., :-1, :-1]
        squared = (part[..., 1:, :-1] - corner).square() + (part[..., :-1, 1:] - corner).square()
        edge = squared > 0
        magnitude = torch.where(edge, torch.where(edge, squared, torch.ones_like(squared)).sqrt(), 0.0)
        return magnitude.flatten(1).sum(1)


@dataclass(frozen=True)
class BlurPath:
    """Gaussian unblurring: g(a) = blur(image, sigma (1 - a)), from a = 0, blurred, to a = 1, the image itself.

    The border is reflected, or repeated where the image is smaller than the kernel's radius.
    """

    name: ClassVar[str] = "blur"
    sigma: float = 1.2
    radius: int = 4

    @classmethod
    def for_hr(cls, scale: int, sigma: float = 1.2) -> Self:
        """As wide in the HR image as ``sigma`` is in the LR image."""
        return cls(sigma * scale, math.ceil(3.33 * sigma * scale))

    def kernel(self, sigma: float) -> tuple[Tensor, Tensor]:
        """The kernel k, 2 radius + 1 values that add up to 1, and dk / dsigma; float64."""
        i = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        if sigma < 1e-6:
            return (i == 0).double(), torch.zeros_like(i)
        k = torch.softmax(-i.square() / (2 * sigma**2), 0)
        return k, k * (i.square() - (k * i.square()).sum()) / sigma**3

    def __call__(self, image: Tensor, a: float) -> tuple[Tensor, Tensor]:
        """g(a) and its exact derivative dg / da, both (N, C, H, W)."""
        k, dk = (part.to(image) for part in self.kernel(self.sigma * (1 - a)))
        mode = "reflect" if min(image.shape[-2:]) > self.radius else "replicate"
        padded = F.pad(image, (self.radius,) * 4, mode=mode)
        point = _separable(padded, k, k)
        return point, -self.sigma * (_separable(padded, dk, k) + _separable(padded, k, dk))

    def start(self, image: Tensor) -> Tensor:
        """g(0): the blurred image."""
        return self(image, 0.0)[0]


@dataclass(frozen=True)
class StraightPath(BlurPath):
    """The straight line from the blurred image to the image: on it, LAM is integrated gradients with that baseline.

    Its points are mixtures of sharp and blurred; those of :class:`BlurPath` are images of less and less blur.
    """

    name: ClassVar[str] = "straight"

    def __call__(self, image: Tensor, a: float) -> tuple[Tensor, Tensor]:
        """start + a (image - start) and its derivative, image - start."""
        start = super().__call__(image, 0.0)[0]
        return start + a * (image - start), image - start


PATHS: dict[str, type[BlurPath]] = {path.name: path for path in (BlurPath, StraightPath)}


def _separable(padded: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    channels = padded.shape[1]
    across = F.conv2d(padded, columns.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, rows.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def _rule(rule: str, steps: int) -> tuple[list[float], list[float]]:
    """Where on the path gradients are taken, and their weights, which add up to 1."""
    if steps < 1:
        raise UserError(f"{steps} steps: give one or more")
    if rule == "midpoint":
        return [(k + 0.5) / steps for k in range(steps)], [1 / steps] * steps
    if rule == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return [float(x) for x in (nodes + 1) / 2], [float(w) for w in weights / 2]
    raise UserError(f"unknown rule '{rule}'; known: {', '.join(RULES)}")


class LocalAttributionMap(GradientAttribution):  # type: ignore[misc]
    """LAM: A = integral over a of (dF / dg)(g(a)) * dg / da, of the size of the input.

    The sum of A is F(image) - F(blurred image): completeness, up to the rule's error. Works with Captum's
    ``NoiseTunnel``; ``forward_func`` gives one number an example, e.g. :class:`Detail`.

    Example:
        >>> lam = LocalAttributionMap(Detail(network, Window.around(100, 80)))
        >>> attribution = lam.attribute(lr_image)  # (N, 3, h, w), like lr_image
    """

    @log_usage()  # type: ignore[untyped-decorator]
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        path: BlurPath | None = None,
        n_steps: int = 50,
        rule: Rule = "midpoint",
        compat: Literal["official"] | None = None,
        batch: int | None = None,
        additional_forward_args: Any = None,
        progress: Progress | None = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        """Attributions of the inputs' shapes: (N, C, H, W) each, all unblurred together.

        Args:
            inputs: the LR image, or the teachers' images.
            path: by default that of LR images.
            rule: how the integral is taken. Captum's trapezoid is not among the choices: its weights do not add up
                to 1.
            compat: "official": the published code's finite differences, gradients at the right end of each step, in
                place of a rule.
            batch: steps of the path that go through the network together; by default one on a CPU, where more are
                slower, and 16 elsewhere.
            return_convergence_delta: also give sum(A) - (F(image) - F(blurred image)), (N,).

        Raises:
            UserError: an unknown rule or compat, a rule beside "official", no steps, or a window outside of the SR
                image.
        """
        images = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        images = tuple(image.detach() for image in images)
        path = path or BlurPath()
        nodes, weights = _rule(rule, n_steps)
        if compat not in (None, "official"):
            raise UserError(f"unknown compat '{compat}'; known: official")
        if compat and rule != "midpoint":  # weights of another rule belong to its own nodes
            raise UserError(f"official is the published code's own rule: leave --rule {rule} out")
        if compat:
            nodes = [(k + 1) / n_steps for k in range(n_steps)]
        together = batch or (1 if images[0].device.type == "cpu" else 16)
        totals = [torch.zeros_like(image) for image in images]
        for first in range(0, n_steps, together):
            chunk = range(first, min(first + together, n_steps))
            walked = [[self._step(path, image, nodes[k], n_steps, compat) for k in chunk] for image in images]
            points = tuple(torch.cat([point for point, _ in walk]).requires_grad_() for walk in walked)
            gradients = self.gradient_func(
                self.forward_func, points, additional_forward_args=_repeated(additional_forward_args, len(chunk))
            )
            for total, gradient, walk in zip(totals, gradients, walked, strict=True):
                for k, part, (_, slope) in zip(chunk, gradient.chunk(len(chunk)), walk, strict=True):
                    total += weights[k] * part * slope
            if progress:
                progress(chunk.stop, n_steps)
        result = totals[0] if isinstance(inputs, Tensor) else tuple(totals)
        if not return_convergence_delta:
            return result
        started = tuple(path.start(image) for image in images)
        return result, self.compute_convergence_delta(
            tuple(totals), started, images, additional_forward_args=additional_forward_args
        )

    @staticmethod
    def _step(path: BlurPath, image: Tensor, a: float, steps: int, compat: str | None) -> tuple[Tensor, Tensor]:
        point, slope = path(image, a)
        if compat == "official":
            slope = (point - path(image, a - 1 / steps)[0]) * steps
        return point, slope

    def has_convergence_delta(self) -> bool:
        """Captum: ``attribute`` can return its own check."""
        return True

    @property
    def multiplies_by_inputs(self) -> bool:
        """Captum: the attribution is a share of F, not a slope."""
        return True


def _repeated(arguments: Any, count: int) -> Any:
    if arguments is None:
        return None
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    return tuple(torch.cat([a] * count) if isinstance(a, Tensor) else a for a in arguments)


# --- what maps say


def attribution_maps(attributions: Sequence[Tensor]) -> list[Tensor]:
    """|sum over channels| of each (N, C, H, W) or (C, H, W), scaled by the largest value of all: 0 to 1.

    Maps that are shown together are scaled together; all zero stays zero.
    """
    maps = [attribution.sum(-3).abs() for attribution in attributions]
    largest = max(float(one.max()) for one in maps)
    return [one / largest if largest > 0 else one for one in maps]


def diffusion_index(one: Tensor) -> float | None:
    """DI = 100 (1 - Gini) of a map: 100 for a uniform one, 100 / n for one pixel of n. None where all is zero.

    It depends on the size of the map: compare DIs of equal sizes alone. It says how spread the used pixels are, not how
    much they contribute.
    """
    values = one.detach().double().flatten().sort().values
    total = float(values.sum())
    if total == 0:
        return None
    count = values.numel()
    ranks = torch.arange(1, count + 1, dtype=torch.float64, device=values.device)
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
