"""Local attribution maps (Gu and Dong, 2021; the paper's Sec. 5.3.1 and Fig. 4) as a Captum attribution method.

The input is unblurred along a path, and the gradient of F is integrated along it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.explain._captum import GradientAttribution, log_usage
from mtkd.explain.blur import BlurPath
from mtkd.explain.lam import RULES, Rule
from mtkd.plugins.specs import Progress


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


def _repeated(arguments: Any, count: int) -> Any:
    if arguments is None:
        return None
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    return tuple(torch.cat([a] * count) if isinstance(a, Tensor) else a for a in arguments)
