"""Which network has weights of these names and shapes: one that is declared, or one of its family of any size."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mtkd import networks
from mtkd.errors import UserError, unknown_name
from mtkd.networks.common import DIV2K_MEAN
from mtkd.networks.convert import to_basicsr
from mtkd.plugins import Configuration
from mtkd.zoo.architectures import looks_like

SHOWN = 3
"""Number of differing weights that a message lists."""
Shapes = Mapping[str, tuple[int, ...]]


class NoFit(UserError):  # noqa: N818
    """Weights of no network that is known here."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A network that weights fit exactly.

    Attributes:
        network, scale: by which it is built, with ``options`` besides.
        state: the weights under the names used here.
        text: its size for people, where that is not the declared one.
        notes: what the weights do not tell and is assumed, in sentences.
        untold: what the weights do not tell, with the values that are taken.
    """

    network: str
    scale: int
    state: dict[str, Tensor]
    options: Mapping[str, Any]
    text: str
    notes: tuple[str, ...]
    untold: Mapping[str, Any] = field(default_factory=dict)


def candidates() -> list[str]:
    """The networks that are considered for a checkpoint."""
    return [name for name, spec in networks.specs().items() if spec.weights and spec.inputs == "lr"]


def marks() -> list[str]:
    """Patterns of the beginning of a key, one of which the weights of every candidate have."""
    patterns: dict[str, None] = {}
    for name in candidates():
        spec = networks.specs()[name]
        patterns[f"{re.escape(next(iter(_shapes(name, spec.scales[0])), name))}$"] = None
        patterns |= {rf"{re.escape(prefix)}\d": None for prefix in spec.converts}
    return list(patterns)


def fitting(state: Mapping[str, Tensor], network: str | None, scale: int | None, options: Mapping[str, Any]) -> Fit:
    """The network of weights; ``network`` and ``scale`` restrict the search, ``options`` replace usual values.

    Raises:
        NoFit: they are of no network here.
        UserError: of another one than chosen, of a scale that is not supported, or an unknown option.
    """
    family, converted = _likely(state)
    shapes = shapes_of(converted)
    problems = {
        (name, of): differences(_shapes(name, of), shapes)
        for name in candidates()
        for of in networks.specs()[name].scales
        if name == network or networks.specs()[name].family == family
    }

    def distance(choice: tuple[str, int]) -> tuple[int, int, bool]:
        name, of = choice
        mini = networks.specs()[name].size == "mini"
        return len(problems[choice]), len(_shapes(name, of).keys() ^ shapes.keys()), mini

    order = sorted(problems, key=distance)
    allowed = [c for c in order if c[0] == (network or c[0]) and c[1] == (scale or c[1])]
    if not allowed:
        raise UserError(f"{network or 'no network'} does not support scale {scale}")
    sized = _sized(family, shapes)
    if not problems[allowed[0]]:
        return _declared(*allowed[0], state, converted, sized and sized[1], options)
    fits = [c for c in order if not problems[c]]
    if sized and not fits and network is None:
        return _of_its_size(*sized, scale, state, converted, options)
    nearest = allowed[0]
    almost = min(_sizes(family, shapes), key=lambda size: len(size[2]), default=None)
    text = _no_fit(converted, nearest, problems[nearest], fits, sized, almost)
    raise UserError(text) if fits or sized else NoFit(text)


def _likely(state: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The family whose names are most like those of weights, and the weights under its names."""
    converted: dict[str, dict[str, Tensor]] = {}
    for family, name in _families().items():
        with contextlib.suppress(UserError):  # two of its keys mean the same weight there: not of this family
            converted[family] = to_basicsr(state, name)
    family = max(converted, key=lambda f: _likeness(converted[f], f))
    return family, converted[family]


def _declared(
    network: str,
    scale: int,
    state: Mapping[str, Tensor],
    converted: dict[str, Tensor],
    sized: Configuration | None,
    options: Mapping[str, Any],
) -> Fit:
    """A network whose declaration the weights fit."""
    spec, range_ = networks.specs()[network], _value_range(state)
    told = {**({} if range_ in (None, 255.0) else {"value_range": range_}), **options}
    _check_options(told, sized)
    facts = () if "res_scale" in options else spec.facts
    return Fit(network, scale, converted, told, "", (*facts, *_given(told)))


def _sized(family: str, shapes: Shapes) -> tuple[str, Configuration] | None:
    """A network of the family whose builder makes one of exactly these shapes, and how."""
    return next(((name, size) for name, size, problems in _sizes(family, shapes) if not problems), None)


def _sizes(family: str, shapes: Shapes) -> Iterator[tuple[str, Configuration, list[str]]]:
    """Networks of the family of the size that these shapes speak of, and where the shapes differ from theirs."""
    for name, spec in networks.specs().items():
        if spec.family != family or spec.configuration is None:
            continue
        try:
            size = spec.configuration(shapes)
            if size.scale not in spec.scales:
                if size.scale > 1 and looks_like(shapes) is None:
                    yield name, size, []
                return
            with torch.device("meta"):
                built = networks.build(name, size.scale, **{**size.assumed, **size.options})
        except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError, RuntimeError):  # another network's
            continue
        yield name, size, differences(shapes_of(built.state_dict()), shapes)


def _of_its_size(
    network: str,
    size: Configuration,
    scale: int | None,
    state: Mapping[str, Tensor],
    converted: dict[str, Tensor],
    options: Mapping[str, Any],
) -> Fit:
    """A network of any size."""
    spec, range_ = networks.specs()[network], _value_range(state)
    what = f"{spec.title} x{size.scale} ({size.text})"
    if size.scale not in spec.scales:
        raise UserError(f"looks like {what}; give a network of scale {', '.join(map(str, spec.scales))}")
    if scale not in (None, size.scale):
        raise UserError(f"is not x{scale}, but {what}")
    _check_options(options, size)
    told = {**({} if range_ is None else {"value_range": range_}), **options}
    assumed = {option: value for option, value in size.assumed.items() if option not in told}
    notes = (f"Assumed, as usual: {_listed(assumed)}; `mtkd models import --set` gives others.",) if assumed else ()
    settings = {**size.options, **size.assumed, **told}
    untold = {option: settings[option] for option in size.assumed if option in {**assumed, **options}}
    return Fit(network, size.scale, converted, settings, size.text, (*notes, *_given(options)), untold)


def _given(options: Mapping[str, Any]) -> tuple[str, ...]:
    return (f"As given: {_listed(options)}.",) if options else ()


def _listed(options: Mapping[str, Any]) -> str:
    """Options with their values, for people: "res_scale 1, mean 0.4488 0.4371 0.404"."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return " ".join(f"{one:g}" for one in value) if isinstance(value, (list, tuple)) else f"{value:g}"

    return ", ".join(f"{option} {text(value)}" for option, value in options.items())


def _check_options(options: Mapping[str, Any], size: Configuration | None) -> None:
    """Options of the right kind, that weights do not tell."""
    known = size.assumed if size else {}
    for option, value in options.items():
        if option not in known:
            raise unknown_name("option of the network (--set)", option, known)
        usual = known[option]
        if isinstance(usual, bool):
            good = isinstance(value, bool)
        elif isinstance(usual, tuple):
            good = isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_is_number, value))
        else:
            good = _is_number(value) and value > 0
        if not good:
            raise UserError(f"--set {option}={value}: give a value such as {usual}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _no_fit(
    state: Mapping[str, Tensor],
    nearest: tuple[str, int],
    problems: list[str],
    fits: list[tuple[str, int]],
    sized: tuple[str, Configuration] | None,
    almost: tuple[str, Configuration, list[str]] | None,
) -> str:
    """Why no network fits, for the person who brought the file."""
    name, scale = nearest
    title = networks.specs()[name].title
    if fits:
        return f"is not {name} x{scale} but {fits[0][0]} x{fits[0][1]}: {few(problems)}"
    if sized:
        size = f"{networks.specs()[sized[0]].title} x{sized[1].scale} of {sized[1].text}"
        return f"is not {name} x{scale} but {size}: {few(problems)}; leave the network out"
    if other := looks_like(state):
        return f"not weights of {_known()}; looks like {other}"
    if almost and len(almost[2]) < min(len(problems), len(state) / 2):
        title = networks.specs()[almost[0]].title
        return f"looks like {title} x{almost[1].scale} ({almost[1].text}), but {few(almost[2])}"
    if len(state.keys() & _shapes(name, scale).keys()) < len(state) / 2:
        return f"not weights of {_known()}; its first keys are {', '.join(list(state)[:SHOWN])}"
    return f"looks like {title}, but with other layers; the closest is {name} x{scale}: {few(problems)}"


def _known() -> str:
    return ", ".join(dict.fromkeys(networks.specs()[of].title for of in candidates()))


def _value_range(state: Mapping[str, Tensor]) -> float | None:
    """The value range inside the network by the original programs' first and last layers ``x -+ range * mean``.

    Raises:
        UserError: they shift by another colour than the mean of DIV2K, or scale.
    """
    ranges = set()
    for layer, sign in (("sub_mean", -1), ("add_mean", 1)):
        weight, bias = state.get(f"{layer}.weight"), state.get(f"{layer}.bias")
        if weight is None or bias is None:
            continue
        mean = sign * torch.tensor(DIV2K_MEAN)
        if weight.numel() == 9 and bias.numel() == 3 and torch.allclose(
            weight.float().view(3, 3), torch.eye(3), atol=1e-4
        ):  # fmt: skip
            found = float((bias.float().view(3) @ mean) / (mean @ mean))
            near = next((r for r in (255.0, 1.0) if abs(found - r) < 2e-3 * r), round(found, 4))
            if near > 0 and torch.allclose(bias.float().view(3), near * mean, atol=2e-4 * near):
                ranges.add(near)
                continue
        raise UserError(
            f"made for another mean colour ({layer}.bias is "
            f"{', '.join(f'{v:.2f}' for v in bias.flatten()[:3].tolist())}, that of DIV2K in 0..255 is "
            f"{', '.join(f'{255 * v:.2f}' for v in mean.tolist())}); its colours would be wrong"
        )
    if len(ranges) > 1:
        raise UserError("its first and last layers are for different value ranges; its colours would be wrong")
    return next(iter(ranges), None)


def _families() -> dict[str, str]:
    """Each family of the candidates, with the first of its networks: they share their key rules."""
    families: dict[str, str] = {}
    for name in candidates():
        families.setdefault(networks.specs()[name].family, name)
    return families


def _likeness(state: Mapping[str, Tensor], family: str) -> float:
    """Which share of the names is common to the weights and a network of the family; numbers in names do not count."""
    spec = next(networks.specs()[name] for name in reversed(candidates()) if networks.specs()[name].family == family)
    given, known = ({re.sub(r"\d+", "#", key) for key in keys} for keys in (state, _shapes(spec.name, spec.scales[0])))
    return len(given & known) / len(given | known)


@cache
def _shapes(network: str, scale: int) -> dict[str, tuple[int, ...]]:
    return shapes_of(networks.skeleton(network, scale).state_dict())


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of a state dict by key."""
    return {key: tuple(value.shape) for key, value in state.items()}


def differences(expected: Shapes, given: Shapes) -> list[str]:
    """Every weight that is missing, surplus or of another shape, in the network's order."""
    wrong = [f"{k} is {given[k]}, should be {shape}" for k, shape in expected.items() if given.get(k, shape) != shape]
    missing = [f"{key} is missing" for key in expected if key not in given]
    return wrong + missing + [f"{key} is unexpected" for key in given if key not in expected]


def few(problems: list[str]) -> str:
    """The first of many differences."""
    more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more
