"""Check a plugin's loss before training: it must return a finite number with a gradient."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.plugins import LOSSES, LossSpec


def _fault(spec: LossSpec) -> str | None:
    """What is wrong with the declaration of a loss."""
    if not (isinstance(spec.build, type) and issubclass(spec.build, nn.Module)):
        return "is no torch.nn.Module; derive a class from it, with forward(student_image, target_image) -> scalar"
    for option in inspect.signature(spec.build).parameters.values():
        if option.default is option.empty and option.kind in (option.POSITIONAL_OR_KEYWORD, option.KEYWORD_ONLY):
            return f"has the option '{option.name}' without a default; give it one"
    return None


LOSSES.check = _fault


def try_loss(name: str, options: Mapping[str, Any], side: int) -> None:
    """Try a plugin's loss on random images ``(2, 3, side, side)`` in [0, 1]; built-in losses are not tried.

    Raises:
        UserError: it fails, or returns no finite scalar, or has no gradient with respect to the first image. File and
            line of the plugin are named.
    """
    if LOSSES.source(name).built_in:
        return
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.enable_grad():
        torch.manual_seed(0)
        student, target = torch.rand(2, 3, side, side).requires_grad_(), torch.rand(2, 3, side, side)
        with LOSSES.blaming(name):
            value = LOSSES[name].build(**options)(student, target)
        if not isinstance(value, Tensor) or value.dim():
            kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{LOSSES.label(name)} returns {kind}; return a scalar tensor, e.g. its mean")
        if not value.isfinite():
            raise UserError(f"{LOSSES.label(name)} returns {value.item()} for random images; return a finite number")
        gradient: Tensor | None = None
        if value.requires_grad:
            with LOSSES.blaming(name):
                (gradient,) = torch.autograd.grad(value, student, allow_unused=True)
        if gradient is None or not gradient.any():
            raise UserError(
                f"{LOSSES.label(name)} has no gradient to its first image, so that nothing is learned from it; "
                "use tensor operations only, without detach, item, round or numpy"
            )
        if not gradient.isfinite().all():
            raise UserError(f"{LOSSES.label(name)} has a gradient that is not finite for random images")
