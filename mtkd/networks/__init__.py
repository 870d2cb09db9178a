"""The networks: teachers, students and the aggregator. All modules of this package are scanned for declarations.

To add a network, declare it with :func:`mtkd.plugins.network` in a module here or in a plugin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mtkd.errors import UserError
from mtkd.plugins import NETWORKS, NetworkSpec

__all__ = ["NetworkSpec", "baselines", "build", "folded", "parameter_count", "skeleton", "specs", "teacher_names"]


def specs() -> dict[str, NetworkSpec]:
    """All networks by name: those of this package, ordered by module, then those of plugins.

    The first call imports them.
    """
    return dict(NETWORKS.items())


def baselines() -> list[str]:
    """The networks without weights, which need no training: bicubic interpolation."""
    return [name for name, spec in NETWORKS.items() if not spec.weights]


def family_title(family: str) -> str:
    """The title of a family, e.g. "EDSR"; its name if no network declares one."""
    return next((spec.title for spec in NETWORKS.values() if spec.family == family), family)


def build(name: str, scale: int, teachers: Sequence[str] = (), **options: object) -> nn.Module:
    """Build a network with fresh weights (SPEC section 1).

    Its forward maps LR ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, scale * h, scale * w)``, not clamped; that of an
    aggregator takes its teachers' images instead. ``options`` are passed to the builder of the network.

    Args:
        teachers: names of an aggregator's teachers, in order, instead of the declared ones; ignored for networks with
            LR input.

    Raises:
        UserError: unknown network, or a scale that it does not support.
    """
    spec = NETWORKS[name]
    if scale not in spec.scales:
        scales = ", ".join(f"x{s}" for s in spec.scales)
        raise UserError(f"network '{name}' does not support scale {scale}; choose from {scales}")
    if teachers and spec.inputs == "teachers":
        options["teachers"] = tuple(teachers)
    with NETWORKS.blaming(name):
        module = spec.build(scale=scale, **options)
    if not NETWORKS.source(name).built_in:
        _check(module, spec, scale)
        declared = {"scale": scale, "exact_tiling": bool(spec.exact_tiling), "feature_count": spec.features}
        for key, value in declared.items():
            if not hasattr(module, key):
                setattr(module, key, value)
    return module


def skeleton(name: str, scale: int, teachers: Sequence[str] = ()) -> nn.Module:
    """:func:`build` without memory for the weights: shapes, names and counts only.

    Raises:
        UserError: as :func:`build`.
    """
    with torch.device("meta"):
        return build(name, scale, teachers)


def teacher_names(network: nn.Module) -> tuple[str, ...]:
    """The teachers of an aggregator, in order; empty for networks with LR input."""
    names = getattr(network, "teachers", ())
    return names if isinstance(names, tuple) else ()


def _check(module: Any, spec: NetworkSpec, scale: int) -> None:
    """A plugin's network: run on a few pixels before anything is trained or loaded with it.

    Raises:
        UserError: it is no module, fails, or its output has another size than ``scale`` times its input.
    """
    name, where = spec.name, NETWORKS.source(spec.name)
    if not isinstance(module, nn.Module):
        raise UserError(f"{where}: network '{name}' must return an nn.Module, not {type(module).__name__}")
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    height, width = 16, 12
    image: Any = torch.zeros(1, 3, height, width, device=device)
    if spec.inputs == "teachers":
        hr_image = torch.zeros(1, 3, scale * height, scale * width, device=device)
        if not teacher_names(module):
            raise UserError(f"{where}: aggregator '{name}' must keep its teachers' names in self.teachers, a tuple")
        image = (hr_image,) * len(teacher_names(module))
    training = module.training
    try:
        with torch.no_grad():
            output = module.eval()(image)
    except Exception as error:
        raise UserError(f"{where}: network '{name}' fails on an image of 12 x 16 pixels ({error})") from error
    module.train(training)
    expected = (1, 3, scale * height, scale * width)
    if spec.features:
        _check_features(module, spec, image)
    if getattr(output, "shape", None) != expected:
        returned = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UserError(
            f"{where}: network '{name}' at scale {scale} returns {returned} for (1, 3, 16, 12), not {expected}"
        )


def _check_features(module: nn.Module, spec: NetworkSpec, image: Any) -> None:
    """A plugin's network with feature points gives them: (SR image, maps) with ``with_features=True``.

    Raises:
        UserError: it does not.
    """
    where = f"{NETWORKS.source(spec.name)}: network '{spec.name}' declares features={spec.features}"
    try:
        with torch.no_grad():
            _, maps = module(image, with_features=True)
        shapes = [tuple(features.shape) for features in maps]
    except Exception as error:
        raise UserError(
            f"{where}, but network(lr, with_features=True) does not return (image, maps) ({error})"
        ) from error
    if len(shapes) != spec.features or any(len(shape) != 4 for shape in shapes):
        raise UserError(
            f"{where}, but returns maps of shapes {shapes}; return {spec.features} maps of shape (N, C, h, w)"
        )


def folded(module: nn.Module) -> nn.Module:
    """The network as it is run elsewhere: what only training needs is folded away. Others are returned as they are."""
    alone: nn.Module = module.folded() if hasattr(module, "folded") else module  # type: ignore[operator]
    return alone


def parameter_count(module: nn.Module) -> int:
    """Number of values in the module's parameters (buffers do not count), as Table 1 counts them.

    Parameters that training alone needs (``surplus`` of a part) do not count.
    """
    surplus = sum(int(getattr(part, "surplus", 0)) for part in module.modules())
    return sum(parameter.numel() for parameter in module.parameters()) - surplus
