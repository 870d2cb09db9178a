"""Which network, and at which scale, a weights file from elsewhere holds; nothing in the file is executed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mtkd import networks
from mtkd.errors import UserError, unknown_name
from mtkd.networks.common import DIV2K_MEAN
from mtkd.networks.convert import constants, is_converted, to_basicsr
from mtkd.zoo import catalogue, community
from mtkd.zoo.checkpoints import read_state
from mtkd.zoo.headers import Header, read_header
from mtkd.zoo.model import Model

SHOWN = 3
"""Differing weights that an error names."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a weights file holds.

    Attributes:
        header: the network and scale that it fits, and a name made of the file's.
        state: the weights under the names used here.
        family: the architecture, for people.
        parameters: as Table 1 counts them.
        form: whose names the file uses.
        dropped: its keys that are no weights (constants of the original programs).
        notes: what the file does not say and is taken as published, in sentences.
        card: the card that lies beside a file of this project.
    """

    path: Path
    header: Header
    state: dict[str, Tensor]
    family: str
    parameters: int
    form: str
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """``teacher``, ``aggregator`` or ``student``: the network's in Table 1; of other architectures teacher."""
        network = self.header.network
        return "teacher" if network == community.NETWORK else networks.specs()[network].role


def _counted(header: Header, path: Path) -> int:
    return networks.parameter_count(Model(header, path, False).skeleton())


def reserved() -> tuple[str, ...]:
    """Names that mean something else beside models."""
    return (*networks.baselines(), "LR")


def candidates() -> list[str]:
    """The networks that a file from elsewhere may hold."""
    return [name for name, spec in networks.specs().items() if spec.weights and spec.inputs == "lr"]


def inspect(path: Path, network: str | None = None, scale: int | None = None) -> Found:
    """Which network and scale the weights of a file fit, exactly, name by name and shape by shape.

    A file of this project is what its header says. ``network`` and ``scale`` leave only that choice; without them the
    published networks come before the minis. Nothing in the file is executed.

    Raises:
        UserError: no readable weights, of none of the networks (the nearest and its differences are named), or not
            of the chosen one; centred on another mean colour than the networks here.
    """
    _check_kind(path)
    if network is not None and network not in candidates():
        raise unknown_name("network", network, candidates())
    if header := _own_header(path):
        found = _as_it_says(path, header)
    else:
        found = _fitting(path, _without_prefix(read_state(path)), network, scale)
    if (network or found.header.network, scale or found.header.scale) != (found.header.network, found.header.scale):
        raise UserError(f"{path}: says that it is {found.header.network} x{found.header.scale}; choose that")
    return found


def suggested_name(text: str) -> str:
    """A model name made of a file's: without scale and checksum, other signs as hyphens, never a bundled one."""
    stem = re.sub(r"[-_.]?x[234](-[0-9a-f]{8})?$", "", text, flags=re.IGNORECASE)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "own"
    taken = {*reserved(), *(model.name for model in catalogue.models() if model.bundled)}
    return f"{name}-own" if name in taken else name


def _check_kind(path: Path) -> None:
    """What is plainly no weights file is told in plain words."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder; give the weights file in it")
        with path.open("rb") as file:
            start = file.read(1)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not start:
        raise UserError(f"{path}: an empty file")
    if path.suffix != ".safetensors" and start not in (b"P", b"\x80"):  # zip, pickle
        raise UserError(f"{path}: not a weights file (a safetensors file must be called .safetensors)")


def _own_header(path: Path) -> Header | None:
    """The header of a file that this project wrote; a file that cannot be read is left to ``read_state``."""
    if path.suffix == ".safetensors":
        with contextlib.suppress(SafetensorError, OSError), safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format", "").startswith("mtkd/"):
                return read_header(path)
    return None


def _as_it_says(path: Path, header: Header) -> Found:
    state = read_state(path)
    if header.network == community.NETWORK:
        return _of_the_community(path, state, "brought by another installation of this project")
    if header.network not in networks.specs():
        raise UserError(f"{path}: {unknown_name('network', header.network, networks.specs())}")
    shapes = _shapes_of(Model(header, path, False).skeleton().state_dict())
    if problems := _differences(shapes, _shapes_of(state)):
        raise UserError(f"{path}: says that it is {header.network} x{header.scale}, but {_first(problems)}")
    named = Header(suggested_name(header.name), header.network, header.scale, header.teachers)
    title = networks.specs()[header.network].title
    form, card = "this project's, with a header", Model(header, path, False).card
    return Found(path, named, state, title, _counted(header, path), form, card=card)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the ``module.`` that PyTorch's DataParallel puts before every key."""
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _fitting(path: Path, state: dict[str, Tensor], network: str | None, scale: int | None) -> Found:
    converted: dict[str, dict[str, Tensor]] = {}
    for family, name in _families().items():
        with contextlib.suppress(UserError):  # two of its keys mean the same weight there: not of this family
            converted[family] = to_basicsr(state, name)
    family = max(converted, key=lambda f: _likeness(converted[f], f))
    problems = {
        (name, of): _differences(_shapes(name, of), _shapes_of(converted[family]))
        for name in candidates()
        for of in networks.specs()[name].scales
        if name == network or networks.specs()[name].family == family
    }
    keys = converted[family].keys()

    def distance(choice: tuple[str, int]) -> tuple[int, int, bool]:
        network, scale = choice
        return (
            len(problems[choice]),
            len(_shapes(network, scale).keys() ^ keys),
            networks.specs()[network].size == "mini",
        )

    order = sorted(problems, key=distance)
    chosen = [c for c in order if c[0] == (network or c[0]) and c[1] == (scale or c[1])]
    if not chosen:
        raise UserError(f"{path}: {network or 'no network'} does not come in scale {scale}")
    best = chosen[0]
    if problems[best]:
        fits = [c for c in order if not problems[c]]
        why = _no_fit(converted[family], best, problems[best], fits)
        if fits or network:
            raise UserError(f"{path}: {why}")
        return _of_the_community(path, state, why)
    _check_mean_shift(path, state)
    spec = networks.specs()[best[0]]
    original = bool(spec.converts) and is_converted(state, spec.name)
    header = Header(suggested_name(path.stem), *best)
    return Found(
        path,
        header,
        converted[family],
        spec.title,
        _counted(header, path),
        "the original program's (head, body, tail)" if original else "BasicSR's, as here",
        constants(state, spec.name),
        spec.facts,
    )


def _of_the_community(path: Path, state: dict[str, Tensor], why: str) -> Found:
    """What spandrel makes of it; ``why`` it is none of the networks here is said where that is nothing either."""
    try:
        module = community.build(state)
    except UserError as error:
        raise UserError(f"{path}: {why}; {error}") from error
    header = Header(suggested_name(path.stem), community.NETWORK, module.scale)
    parameters = networks.parameter_count(module)
    return Found(path, header, state, module.architecture, parameters, "its own, kept as they are")


def _no_fit(
    state: Mapping[str, Tensor], nearest: tuple[str, int], problems: list[str], fits: list[tuple[str, int]]
) -> str:
    """Why no network fits, for the person who brought the file."""
    name, scale = nearest
    if fits:
        return f"is not {name} x{scale} but {fits[0][0]} x{fits[0][1]}: {_first(problems)}"
    if len(state.keys() & _shapes(name, scale).keys()) < len(state) / 2:
        known = ", ".join(dict.fromkeys(networks.specs()[of].title for of in candidates()))
        return f"weights of another architecture than {known}; its first ones are {', '.join(list(state)[:SHOWN])}"
    return (
        f"looks like {networks.specs()[name].title}, but fits no network here; "
        f"nearest is {name} x{scale}: {_first(problems)}"
    )


def _check_mean_shift(path: Path, state: Mapping[str, Tensor]) -> None:
    """The original programs' first and last layers must be ``x -+ 255 mean``, which the networks here compute."""
    for layer, sign in (("sub_mean", -255), ("add_mean", 255)):
        weight, bias = state.get(f"{layer}.weight"), state.get(f"{layer}.bias")
        if weight is None or bias is None:
            continue
        expected = sign * torch.tensor(DIV2K_MEAN)
        if weight.numel() != 9 or bias.numel() != 3 or not (
            torch.allclose(weight.float().view(3, 3), torch.eye(3), atol=1e-4)
            and torch.allclose(bias.float().view(3), expected, atol=0.05)
        ):  # fmt: skip
            raise UserError(
                f"{path}: made for another value range or mean colour ({layer}.bias is "
                f"{', '.join(f'{v:.2f}' for v in bias.flatten()[:3].tolist())}, that of DIV2K in 0..255 is "
                f"{', '.join(f'{v:.2f}' for v in expected.tolist())}); its colours would be wrong"
            )


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
    return _shapes_of(networks.skeleton(network, scale).state_dict())


def _shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _differences(expected: dict[str, tuple[int, ...]], given: dict[str, tuple[int, ...]]) -> list[str]:
    """Every weight that is missing, surplus or of another shape, in the network's order."""
    wrong = [f"{k} is {given[k]}, should be {shape}" for k, shape in expected.items() if given.get(k, shape) != shape]
    missing = [f"{key} is missing" for key in expected if key not in given]
    return wrong + missing + [f"{key} is surplus" for key in given if key not in expected]


def _first(problems: list[str]) -> str:
    more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more
