"""The networks in a checkpoint: dicts of tensors at any depth, under any prefix, whatever program wrote them.

A trainer's file may hold a network's weights several times (an average, EMA, among them), those of other networks,
an optimizer's state and plain data. A network is found by names that its keys end with, e.g. ``conv_first.weight``:
what comes before them, in all keys of the same network, is a prefix of the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import UserError

DEEPEST = 50
MOST = 100_000
"""Limits on the containers in a file."""
_AVERAGES = {"ema", "swa", "avg", "average", "averaged", "shadow"}
_WRAPPERS = {"module", "_orig_mod", "model", "net", "net_g", "netg", "generator", "network", "ema_model", "state_dict"}


@dataclass(frozen=True, eq=False)
class Part:
    """Tensors that may be the weights of one network.

    Attributes:
        place: keys of the dicts that they lie in, from the outside.
        prefix: what all of its keys began with, e.g. ``module.``.
        state: the tensors by key, without the prefix.
    """

    place: tuple[str, ...]
    prefix: str
    state: dict[str, Tensor]

    @cached_property
    def name(self) -> str:
        """What ``--key`` calls it: the keys and the prefix, joined by dots; empty for the whole of the file."""
        return ".".join([*self.place, *([self.prefix.rstrip(".")] if self.prefix else [])])

    @property
    def averaged(self) -> bool:
        """Whether a key says that it is an average of the weights (EMA)."""
        return any(word in _AVERAGES for word in _words(self.name))

    def overlaps(self, other: Part) -> bool:
        """Whether they share tensors."""
        mine, theirs = ({self.prefix + key for key in self.state}, {other.prefix + key for key in other.state})
        return self.place == other.place and bool(mine & theirs)

    def answers(self, key: str) -> bool:
        """Whether a key given by a user means it: its name, one of its keys, or several in a row."""
        return f".{key.strip('.')}." in f".{self.name}."


def parts(content: Any, marks: Iterable[str]) -> list[Part]:
    """The parts that hold one of the ``marks`` (patterns of the beginning of a key), averages first, else in order;
    where there is none, all dicts of tensors, the largest first."""
    pattern = re.compile(rf"(?:^|(?<=\.))(?:{'|'.join(marks)})")
    dicts = [(place, state) for place, state in _dicts(content) if state] if _is_container(content) else []
    marked = [part for place, state in dicts for part in _marked(place, state, pattern)]
    if marked:
        return sorted(marked, key=lambda part: not part.averaged)
    unmarked = [Part(place, prefix, rest) for place, state in dicts for prefix, rest in [_unwrapped(state)]]
    return sorted(unmarked, key=lambda part: -len(part.state))


def chosen(found: list[Part], key: str, path: Path) -> list[Part]:
    """Those parts that a user's ``--key`` means.

    Raises:
        UserError: none; those in the file are listed.
    """
    if exact := [part for part in found if part.name == key.strip(".")]:
        return exact
    if matching := [part for part in found if part.answers(key)]:
        return matching
    names = ", ".join(part.name or "(the whole file)" for part in found)
    raise UserError(f"{path}: --key {key}: no weights under it; those in the file: {names or 'none'}")


def said(part: Part, others: Sequence[Part]) -> tuple[str, ...]:
    """What a person should know of the choice, in sentences."""
    notes = []
    where = f"Weights under '{'.'.join(part.place)}' in the file" if part.place else "Weights"
    if part.place or part.prefix:
        notes.append(f"{where}{f', without the prefix {part.prefix!r} of their keys' if part.prefix else ''}.")
    if rest := dict.fromkeys(other.name or "the rest of the file" for other in others if not other.overlaps(part)):
        why = (
            "an average (EMA) of the weights is preferred"
            if part.averaged
            else f"{part.name or 'the outermost one'} is taken"
        )
        notes.append(f"Also in the file: {', '.join(rest)}; {why}; `mtkd models import --key` chooses.")
    return tuple(notes)


def _words(name: str) -> list[str]:
    """The words of a name: netEma_1 -> net, ema."""
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())


def _dicts(content: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Every dict in a file with the tensors directly in it, from the outside, with the keys that lead to it."""
    left, stack = MOST, [(content, place)]
    while stack and (left := left - 1):
        value, place = stack.pop()
        if len(place) > DEEPEST:
            continue
        if isinstance(value, Mapping):
            tensors = {k: _as_tensor(v) for k, v in value.items() if isinstance(k, str)}
            yield place, {k: v for k, v in tensors.items() if v is not None}
            inner = list(value.items())
        else:
            inner = list(enumerate(value))
        containers = [(v, (*place, str(k))) for k, v in inner if _is_container(v)]
        stack += reversed(containers)


def _is_container(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(value))
    return value if isinstance(value, Tensor) else None


def _marked(place: tuple[str, ...], state: Mapping[str, Tensor], pattern: re.Pattern[str]) -> Iterator[Part]:
    """The parts of one dict. A mark deeper in the names of another part is one of a network of its own only where it
    begins both: that part then comes whole, and once more without it."""
    marks: dict[str, set[str]] = {}
    for key in state:
        if match := pattern.search(key):
            marks.setdefault(key[: match.start()], set()).add(key[match.start() :])
    outer = {p: next((q for q in marks if q != p and p.startswith(q)), None) for p in marks}
    inner = {p for p, q in outer.items() if q is not None and marks[p] & marks[q]}
    for prefix in marks:
        if outer[prefix] is not None and prefix not in inner:
            continue
        keys = [key for key in state if key.startswith(prefix)]
        yield _part(place, prefix, state, keys)
        nested = tuple(p for p in inner if p != prefix and p.startswith(prefix))
        if nested:
            yield _part(place, prefix, state, [key for key in keys if not key.startswith(nested)])
        counters = {key for key in keys if state[key].dim() == 0 and "." not in key.removeprefix(prefix)}
        if counters:  # a trainer's, where no network has them
            yield _part(place, prefix, state, [key for key in keys if key not in counters])


def _part(place: tuple[str, ...], prefix: str, state: Mapping[str, Tensor], keys: Iterable[str]) -> Part:
    return Part(place, prefix, {key.removeprefix(prefix): state[key] for key in keys})


def _unwrapped(state: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Without the prefixes of programs that all keys share; those of an unknown network may be a part of its names."""
    prefix = ""
    while len(firsts := {key[len(prefix) :].partition(".")[0] for key in state}) == 1:
        (first,) = firsts
        if first.lower() not in _WRAPPERS or any(key == prefix + first for key in state):
            break
        prefix += f"{first}."
    return prefix, {key[len(prefix) :]: value for key, value in state.items()}
