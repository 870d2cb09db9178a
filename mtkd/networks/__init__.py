"""The networks: teachers, students and the aggregator, found by looking at the modules of this package.

Adding a network is adding a module here that ends with ``NETWORKS = (NetworkSpec(...), ...)``.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from torch import nn

from mtkd.errors import UserError, unknown_name
from mtkd.networks.spec import NetworkSpec

__all__ = ["NetworkSpec", "build", "parameter_count", "specs"]


@cache
def _catalogue() -> tuple[NetworkSpec, ...]:
    found: dict[str, NetworkSpec] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for spec in getattr(module, "NETWORKS", ()):
            if spec.name in found:
                raise RuntimeError(f"two networks are called '{spec.name}', one in {module.__name__}")
            found[spec.name] = spec
    return tuple(found.values())


def specs() -> dict[str, NetworkSpec]:
    """Every network by name, ordered by module, then as in its ``NETWORKS``; the first call imports them."""
    return {spec.name: spec for spec in _catalogue()}


def build(name: str, scale: int, **options: object) -> nn.Module:
    """A freshly initialised network of the catalogue (SPEC section 1).

    Its forward takes LR ``(N, 3, h, w)`` in [0, 1] and gives ``(N, 3, scale * h, scale * w)``, not clamped;
    an aggregator's takes its teachers' HR images instead. ``options`` go to the network's own builder
    (aggregators: ``teachers``).

    Raises:
        UserError: no network has this name, or it does not come in this scale.
    """
    known = specs()
    if name not in known:
        raise unknown_name("network", name, known)
    spec = known[name]
    if scale not in spec.scales:
        scales = ", ".join(f"x{s}" for s in spec.scales)
        raise UserError(f"network '{name}' does not come in scale {scale}; it has {scales}")
    return spec.build(scale=scale, **options)


def parameter_count(module: nn.Module) -> int:
    """Number of values in the module's parameters (buffers do not count), as Table 1 counts them."""
    return sum(parameter.numel() for parameter in module.parameters())
