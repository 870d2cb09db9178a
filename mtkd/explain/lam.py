"""Local attribution maps (Gu and Dong, 2021; the paper's Sec. 5.3.1 and Fig. 4) as a Captum attribution method.

How much did each input pixel do for the detail in a window of the SR image? The detail F is the gradient magnitude
there; the input is unblurred along a path, and the gradient of F is integrated along it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explain._captum import GradientAttribution, log_usage
from mtkd.explain.answer import Attributions
from mtkd.explain.question import Question
from mtkd.plugins import attribution
from mtkd.plugins.specs import Progress

Rule = Literal["midpoint", "gauss-legendre"]
RULES: tuple[Rule, ...] = get_args(Rule)


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
    ``NoiseTunnel``; ``forward_func`` gives one number an example, e.g.
    :class:`~mtkd.explain.question.Detail`.

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


@dataclass(frozen=True)
class LamOptions:
    """The options of :func:`lam`; teachers' HR images are blurred ``scale`` times as wide."""

    path: Literal["blur", "straight"] = field(
        default="blur", metadata={"label": "Path", "help": "blur: less and less blur; straight: integrated gradients"}
    )
    sigma: float = field(
        default=1.2,
        metadata={
            "label": "Blur σ, LR pixels",
            "help": "of the image that the path starts from",
            "maximum": 100,
            "usual": (0.2, 4),
        },
    )
    steps: int = field(
        default=50,
        metadata={"label": "Steps", "help": "of the path", "minimum": 1, "usual": (5, 500)},
    )
    rule: Rule = field(default="midpoint", metadata={"label": "Rule", "help": "how the integral is taken"})
    compat: Literal["official"] | None = field(
        default=None,
        metadata={"label": "Compatibility", "help": "official: finite differences, as the published code"},
    )

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise UserError(f"sigma {self.sigma:g}: give more than 0, at most 100")

    def walk(self, question: Question) -> BlurPath:
        """The path from the blurred images of a question to the images."""
        return PATHS[self.path].for_hr(question.input_scale, self.sigma)


@attribution("lam", options=LamOptions, title="Local attribution map (LAM)")
def lam(question: Question, options: LamOptions, progress: Progress) -> Attributions:
    """LAM of all inputs, unblurred together; with the blurred images as baselines its attributions are complete.

    Raises:
        UserError: a rule beside "official", or a window outside of the SR image.
    """
    path = options.walk(question)
    attributions = LocalAttributionMap(question.objective).attribute(
        question.images, path, options.steps, options.rule, options.compat, progress=progress
    )
    details = {"sigma": path.sigma, "radius": path.radius}
    return Attributions(attributions, tuple(path.start(image) for image in question.images), details)


def _repeated(arguments: Any, count: int) -> Any:
    if arguments is None:
        return None
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    return tuple(torch.cat([a] * count) if isinstance(a, Tensor) else a for a in arguments)
