"""Conversion of other public checkpoint formats to the names used here (SPEC section 1).

A network declares the rules (``convert``). They map keys and do not change tensors. A key that matches no rule is kept,
so that strict loading reports it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mtkd.errors import UserError
from mtkd.plugins import NETWORKS, KeyRule

_WRAPPERS = ("params_ema", "params")


def is_converted(state: Mapping[str, object], network: str) -> bool:
    """Whether the rules of the network apply to a file, by the key prefixes that it declares.

    Raises:
        UserError: unknown network.
    """
    spec = NETWORKS[network]
    return not spec.converts or any(key.startswith(spec.converts) for key in _unwrap(state))


def constants(state: Mapping[str, object], network: str) -> tuple[str, ...]:
    """The keys that :func:`to_basicsr` drops: constants of the original code.

    Raises:
        UserError: unknown network.
    """
    if not is_converted(state, network):
        return ()
    rules = NETWORKS[network].convert
    return tuple(key for key in _unwrap(state) if _rename(key, rules) is None)


def to_basicsr(state: Mapping[str, object], network: str) -> dict[str, Tensor]:
    """Convert a state dict of any public format that the network's rules cover to the names used here.

    Built in: BasicSR's names (unchanged), the original EDSR and RCAN ``.pt`` files, SwinIR's ``.pth`` files, each
    optionally under "params_ema" (preferred) or "params".

    Raises:
        UserError: unknown network, an entry that is not a tensor, or two keys for the same weight.
    """
    rules = NETWORKS[network].convert if is_converted(state, network) else ()
    result: dict[str, Tensor] = {}
    for key, value in _unwrap(state).items():
        if not isinstance(value, Tensor):
            raise UserError(f"'{key}' in the weights is not a tensor but {type(value).__name__}")
        new = _rename(key, rules)
        if new is None:
            continue
        if new in result:
            raise UserError(f"two keys of the weights stand for '{new}', the second of them is '{key}'")
        result[new] = value
    return result


def _unwrap(state: Mapping[str, object]) -> Mapping[str, object]:
    """The weights themselves; a file that holds anything beside its wrappers is refused."""
    wrapper = next((name for name in _WRAPPERS if isinstance(state.get(name), Mapping)), None)
    if wrapper is None:
        return state
    surplus = sorted(set(state) - set(_WRAPPERS))
    if surplus:
        raise UserError(f"unknown entries next to '{wrapper}' in the weights: {', '.join(surplus)}")
    inner = state[wrapper]
    assert isinstance(inner, Mapping)
    return inner


def _rename(key: str, rules: tuple[KeyRule, ...]) -> str | None:
    """The key's new form, None if it is to be dropped, or the key itself where no rule knows it."""
    for pattern, new in rules:
        match = re.fullmatch(pattern, key)
        if match:
            return None if new is None else match.expand(new)
    return key
