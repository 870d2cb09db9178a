"""The networks: teachers, students and the aggregator, found by looking at the modules of this package.

Adding a network is adding a module here, or a plugin, that declares it with :func:`mtkd.plugins.network`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mtkd.errors import UserError
from mtkd.plugins import NETWORKS, NetworkSpec

__all__ = ["NetworkSpec", "build", "parameter_count", "specs"]


def specs() -> dict[str, NetworkSpec]:
    """Every network by name: those of this package, ordered by module, then those of plugins.

    The first call imports them.
    """
    return dict(NETWORKS.items())


def build(name: str, scale: int, **options: object) -> nn.Module:
    """A freshly initialised network of the catalogue (SPEC section 1).

    Its forward takes LR ``(N, 3, h, w)`` in [0, 1] and gives ``(N, 3, scale * h, scale * w)``, not clamped;
    an aggregator's takes its teachers' HR images instead. ``options`` go to the network's own builder
    (aggregators: ``teachers``).

    Raises:
        UserError: no network has this name, or it does not come in this scale.
    """
    spec = NETWORKS[name]
    if scale not in spec.scales:
        scales = ", ".join(f"x{s}" for s in spec.scales)
        raise UserError(f"network '{name}' does not come in scale {scale}; it has {scales}")
    module = spec.build(scale=scale, **options)
    if not NETWORKS.source(name).built_in:
        _check(module, spec, scale)
    return module


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
        teachers: Any = module.teachers
        image = (hr_image,) * len(teachers)
    training = module.training
    try:
        with torch.no_grad():
            output = module.eval()(image)
    except Exception as error:
        raise UserError(f"{where}: network '{name}' fails on an image of 12 x 16 pixels ({error})") from error
    module.train(training)
    wanted = (1, 3, scale * height, scale * width)
    if getattr(output, "shape", None) != wanted:
        made = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UserError(f"{where}: network '{name}' at scale {scale} makes {made} of (1, 3, 16, 12), not {wanted}")


def parameter_count(module: nn.Module) -> int:
    """Number of values in the module's parameters (buffers do not count), as Table 1 counts them."""
    return sum(parameter.numel() for parameter in module.parameters())
