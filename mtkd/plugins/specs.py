"""Declarations of networks, losses, methods, metrics and attribution methods.

They do not import torch: a declaration holds a callable and describes it by data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

Role = Literal["baseline", "teacher", "aggregator", "student"]
KeyRule = tuple[str, str | None]
"""(pattern of a whole state-dict key, its new form); None: a constant of the original program, not a weight."""


@dataclass(frozen=True)
class Configuration:
    """What the shapes of a network's weights say about it.

    Attributes:
        scale: the upscaling factor.
        options: those of the builder that shapes tell.
        assumed: those that shapes do not tell, with their usual values.
        text: the size for people.
    """

    scale: int
    options: Mapping[str, Any]
    assumed: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class NetworkSpec:
    """One network (SPEC section 1, Table 1 of the paper).

    Attributes:
        name: unique name, as in recipes, cards and weights files.
        role: purpose; decides the group in which it is listed.
        family: architecture shared with networks of other sizes; its name by default.
        build: takes ``scale: int`` by keyword (a network with several inputs also ``teachers``, the names in their
            fixed order) and gives a module: LR ``(N, 3, h, w)`` in [0, 1] -> SR ``(N, 3, s h, s w)``, not clamped.
        scales: supported scales.
        size: "paper" for the published configuration, "mini" for one that trains in minutes on a CPU.
        title: name of the family for readers, e.g. "EDSR".
        deviations: differences from the published network, as sentences for users.
        weights: whether it has weights; without them it needs no training (bicubic).
        inputs: "lr" for an LR image; "teachers" for its teachers' HR images (an aggregator).
        features: the number of feature points that ``network(lr, with_features=True)`` returns; 0: none.
        padding: the LR height and width are padded to a multiple of this inside the network (windows); 1: none.
        exact_tiling: tiles whose overlap covers the receptive field give what the whole image gives; None: as
            the module says (``reach``).
        convert: rules that bring the keys of other public files to the names used here.
        converts: key prefixes that mark such files; empty: the rules are tried on every file.
        facts: sentences about what a weights file does not hold and is taken as published.
        configuration: the builder's options from the shapes of weights, for networks of the family of any size; shapes
            by key (names used here) -> :class:`Configuration`; a KeyError where a layer is missing.
    """

    name: str
    role: Role
    family: str
    build: Callable[..., nn.Module]
    scales: tuple[int, ...] = (2, 3, 4)
    size: Literal["paper", "mini"] = "paper"
    title: str = ""
    deviations: tuple[str, ...] = ()
    weights: bool = True
    inputs: Literal["lr", "teachers"] = "lr"
    features: int = 0
    padding: int = 1
    exact_tiling: bool | None = None
    convert: tuple[KeyRule, ...] = ()
    converts: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    configuration: Callable[[Mapping[str, tuple[int, ...]]], Configuration] | None = None


@dataclass(frozen=True)
class LossSpec:
    """One distillation loss: a module that maps two batches ``(B, 3, H, W)`` in [0, 1] to a scalar.

    Attributes:
        build: the module's class; its keyword arguments are the options that a recipe may give.
        title: name for readers, e.g. "Wavelet loss (Eq. 3)".
    """

    name: str
    build: Callable[..., nn.Module]
    title: str = ""


@dataclass(frozen=True)
class MethodSpec:
    """One training method: a subclass of :class:`mtkd.Method`, whose attributes declare what it needs."""

    name: str
    build: type[Any]
    title: str = ""


@dataclass(frozen=True)
class MetricSpec:
    """One measure of an SR image against the ground truth.

    Attributes:
        measure: ``(sr_image, hr_image) -> float``; float64 planes ``(C, H, W)`` in 0..255 as the protocol prepares
            them (channel, rounding, crop).
        unit: e.g. "dB"; empty for a plain number.
        better: which direction is better.
        digits: number of decimals in tables.
        title: column heading; the name in capitals by default.
    """

    name: str
    measure: Callable[..., float]
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"
    digits: int = 4
    title: str = ""


Progress = Callable[[int, int], None]
"""Called with (steps done, of how many); an exception that it raises stops the work."""


@dataclass(frozen=True)
class NoOptions:
    """The options of an attribution method that has none."""


@dataclass(frozen=True)
class AttributionSpec:
    """One attribution method.

    Attributes:
        attribute: ``(question, options, progress) -> attributions``: a :class:`mtkd.explain.Question`, an object of
            ``options``, a :data:`Progress`; one tensor an input, of its image's shape, or a
            :class:`mtkd.explain.Attributions` with them and the method's check.
        options: a frozen dataclass whose fields are the method's options; command line and page make their controls
            of them (:mod:`mtkd.explain.options`).
        title: name for readers, e.g. "Local attribution map".
        signed: maps are drawn with their signs (of their sum over channels); else without.
    """

    name: str
    attribute: Callable[..., Any]
    options: type[Any] = NoOptions
    title: str = ""
    signed: bool = False
