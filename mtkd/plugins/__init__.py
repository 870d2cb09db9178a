"""Extensions: declare a network, loss, method, metric or attribution method with a decorator.

Built-in ones are declared with the same decorators; their packages are scanned when a kind is first needed. Plugins are
loaded by :func:`load`: from the command line (``mtkd --plugin FILE``), the environment (``MTKD_PLUGINS``), a recipe or
plan (``plugins: [FILE]``), or the entry points ``mtkd.plugins`` of installed packages. Neither the page nor a
checkpoint can load one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from mtkd.plugins.loading import Plugin, load, load_environment, loaded, providers, unload
from mtkd.plugins.registry import ATTRIBUTIONS, LOSSES, METHODS, METRICS, NETWORKS, Registry, caller
from mtkd.plugins.specs import (
    AttributionSpec,
    Configuration,
    KeyRule,
    LossSpec,
    MethodSpec,
    MetricSpec,
    NetworkSpec,
    NoOptions,
    Role,
)

__all__ = [
    "ATTRIBUTIONS",
    "LOSSES",
    "METHODS",
    "METRICS",
    "NETWORKS",
    "AttributionSpec",
    "Configuration",
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
    configuration: Callable[[Mapping[str, tuple[int, ...]]], Configuration] | None = None,
) -> Callable[[F], F]:
    """Declare a network: decorates its builder, ``(scale: int) -> nn.Module``.

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
            configuration,
        )  # fmt: skip
        NETWORKS.register(spec, source)
        return build

    return register


def loss(name: str, *, title: str | None = None) -> Callable[[F], F]:
    """Declare a distillation loss: decorates an ``nn.Module`` class, ``(B, 3, H, W)`` twice -> scalar.

    It can be used as L_dis of MTKD (``method: {name: mtkd, options: {loss: NAME}}``), in the wavelet view and in
    ablations.

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

    The metric becomes a column wherever metrics are shown: score, benchmark, tables, CSV and page.

    Raises:
        UserError: the name is taken.
    """
    source = caller()

    def register(measure: F) -> F:
        METRICS.register(MetricSpec(name, measure, unit, better, digits, title or name.upper()), source)
        return measure

    return register


def attribution(
    name: str, *, options: type = NoOptions, title: str | None = None, signed: bool = False
) -> Callable[[F], F]:
    """Declare an attribution method: decorates ``(question, options, progress) -> one tensor an input``.

    ``options`` is a frozen dataclass; its fields are the method's options, on the command line
    (``mtkd explain --method NAME --option key=value``) and the page. Maps of a ``signed`` method are drawn with their
    signs. See :mod:`mtkd.explain`.

    Raises:
        UserError: the name is taken, or an option is not supported.
    """
    source = caller()

    def register(attribute: F) -> F:
        ATTRIBUTIONS.register(AttributionSpec(name, attribute, options, title or name, signed), source)
        return attribute

    return register
