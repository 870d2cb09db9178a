"""The one way to add a thing: declare it with a decorator, in this package or in a file of your own.

Built-in networks, losses, methods, metrics and attribution methods are declared with the same decorators; their
packages are scanned for modules when a kind is first asked for. Files of users are loaded by :func:`load`: from the
command line (``mtkd --plugin FILE``), the environment (``MTKD_PLUGINS``), a recipe or plan (``plugins: [FILE]``), or
the entry points ``mtkd.plugins`` of installed packages. Nothing else loads one: not the page, not a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from mtkd.plugins.loading import Plugin, load, load_environment, loaded, providers, unload
from mtkd.plugins.registry import ATTRIBUTIONS, LOSSES, METHODS, METRICS, NETWORKS, Registry, caller
from mtkd.plugins.specs import AttributionSpec, KeyRule, LossSpec, MethodSpec, MetricSpec, NetworkSpec, NoOptions, Role

__all__ = [
    "ATTRIBUTIONS",
    "LOSSES",
    "METHODS",
    "METRICS",
    "NETWORKS",
    "AttributionSpec",
    "KeyRule",
    "LossSpec",
    "MethodSpec",
    "MetricSpec",
    "NetworkSpec",
    "NoOptions",
    "Plugin",
    "Registry",
    "Role",
    "attribution",
    "load",
    "load_environment",
    "loaded",
    "loss",
    "method",
    "metric",
    "network",
    "providers",
    "unload",
]

F = TypeVar("F", bound=Callable[..., Any])


def network(
    name: str,
    *,
    role: Role = "student",
    scales: Sequence[int] = (2, 3, 4),
    family: str | None = None,
    size: Literal["paper", "mini"] = "mini",
    title: str | None = None,
    deviations: Sequence[str] = (),
    weights: bool = True,
    inputs: Literal["lr", "teachers"] = "lr",
    features: int = 0,
    padding: int = 1,
    exact_tiling: bool | None = None,
    convert: Sequence[KeyRule] = (),
    converts: Sequence[str] = (),
    facts: Sequence[str] = (),
) -> Callable[[F], F]:
    """Declare a network: decorates what builds it, ``(scale: int) -> nn.Module``.

    The module maps LR ``(N, 3, h, w)`` in [0, 1] to SR ``(N, 3, s h, s w)``. Arguments are those of
    :class:`~mtkd.plugins.specs.NetworkSpec`.

    Raises:
        UserError: the name is taken.
    """
    source = caller()

    def register(build: F) -> F:
        spec = NetworkSpec(
            name, role, family or name, build, tuple(scales), size, title or family or name, tuple(deviations),
            weights, inputs, features, padding, exact_tiling, tuple(convert), tuple(converts), tuple(facts),
        )  # fmt: skip
        NETWORKS.register(spec, source)
        return build

    return register


def loss(name: str, *, title: str | None = None) -> Callable[[F], F]:
    """Declare a distillation loss: decorates an ``nn.Module`` class, ``(B, 3, H, W)`` twice -> scalar.

    Usable as MTKD's L_dis (``method: {name: mtkd, options: {loss: NAME}}``), in the wavelet view and the ablations.

    Raises:
        UserError: the name is taken.
    """
    source = caller()

    def register(build: F) -> F:
        LOSSES.register(LossSpec(name, build, title or name), source)
        return build

    return register


def method(name: str, *, title: str | None = None) -> Callable[[type], type]:
    """Declare a training method: decorates a subclass of :class:`mtkd.Method`.

    Raises:
        UserError: the name is taken.
    """
    source = caller()

    def register(build: type) -> type:
        METHODS.register(MethodSpec(name, build, title or name), source)
        return build

    return register


def metric(
    name: str,
    *,
    unit: str = "",
    better: Literal["higher", "lower"] = "higher",
    digits: int = 4,
    title: str | None = None,
) -> Callable[[F], F]:
    """Declare a metric: decorates ``(sr_image, hr_image) -> float``, planes as the protocol prepares them.

    It is then a column wherever numbers are shown: score, benchmark, tables, CSV and page.

    Raises:
        UserError: the name is taken.
    """
    source = caller()

    def register(measure: F) -> F:
        METRICS.register(MetricSpec(name, measure, unit, better, digits, title or name.upper()), source)
        return measure

    return register


def attribution(name: str, *, options: type = NoOptions, title: str | None = None) -> Callable[[F], F]:
    """Declare an attribution method: decorates ``(question, options, progress) -> one tensor an input``.

    ``options`` is a frozen dataclass; its fields are the method's options, on the command line
    (``mtkd explain --method NAME --option key=value``) and the page. See :mod:`mtkd.explain`.

    Raises:
        UserError: the name is taken, or an option cannot be.
    """
    source = caller()

    def register(attribute: F) -> F:
        ATTRIBUTIONS.register(AttributionSpec(name, attribute, options, title or name), source)
        return attribute

    return register
