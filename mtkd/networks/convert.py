"""Other public forms of EDSR, RCAN and SwinIR weights, brought to the names used here (SPEC section 1).

Each conversion is a map of keys and leaves every tensor as it is. What a map does not know keeps its key, so
that strict loading reports it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mtkd.errors import UserError, unknown_name

_WRAPPERS = ("params_ema", "params")

# (pattern of the whole key, its new form); None: a constant of the original program, not a weight.
_Rule = tuple[str, str | None]

_HEAD_AND_TAIL: tuple[_Rule, ...] = (
    (r"(sub_mean|add_mean)\.(weight|bias)", None),
    (r"head\.0\.(weight|bias)", r"conv_first.\1"),
    (r"tail\.0\.(\d+)\.(weight|bias)", r"upsample.\1.\2"),
    (r"tail\.1\.(weight|bias)", r"conv_last.\1"),
    (r"body\.\d+\.(weight|bias)", r"conv_after_body.\1"),
)

_RULES: dict[str, tuple[_Rule, ...]] = {
    "edsr": (
        *_HEAD_AND_TAIL,
        (r"body\.(\d+)\.body\.0\.(weight|bias)", r"body.\1.conv1.\2"),
        (r"body\.(\d+)\.body\.2\.(weight|bias)", r"body.\1.conv2.\2"),
    ),
    "rcan": (
        *_HEAD_AND_TAIL,
        (r"body\.(\d+)\.body\.(\d+)\.body\.([02])\.(weight|bias)", r"body.\1.residual_group.\2.rcab.\3.\4"),
        (
            r"body\.(\d+)\.body\.(\d+)\.body\.3\.conv_du\.0\.(weight|bias)",
            r"body.\1.residual_group.\2.rcab.3.attention.1.\3",
        ),
        (
            r"body\.(\d+)\.body\.(\d+)\.body\.3\.conv_du\.2\.(weight|bias)",
            r"body.\1.residual_group.\2.rcab.3.attention.3.\3",
        ),
        (r"body\.(\d+)\.body\.\d+\.(weight|bias)", r"body.\1.conv.\2"),
    ),
    "swinir": (
        (r"layers\.\d+\.residual_group\.blocks\.\d+\.attn_mask", None),
        (r"layers\.\d+\.residual_group\.blocks\.\d+\.attn\.relative_position_index", None),
    ),
    "aggregator": (),
}


def to_basicsr(state: Mapping[str, object], family: str) -> dict[str, Tensor]:
    """The state dict under the names used here, from any known public form of the family (SPEC section 1).

    Known forms: those of BasicSR and of this package (names unchanged), the original EDSR and RCAN ``.pt``
    files, SwinIR's ``.pth``; each may sit under "params_ema" (taken first) or "params". Dropped are only
    EDSR's and RCAN's mean-shift layers and SwinIR's two computed buffers, which follow from the configuration.

    Raises:
        UserError: the family is unknown, something is no tensor, or two keys mean the same weight.
    """
    if family not in _RULES:
        raise unknown_name("network family", family, _RULES)
    rules = _RULES[family]
    original = any(key.startswith(("head.", "tail.")) for key in _unwrap(state))
    result: dict[str, Tensor] = {}
    for key, value in _unwrap(state).items():
        if not isinstance(value, Tensor):
            raise UserError(f"'{key}' in the weights is no tensor but {type(value).__name__}")
        new = _rename(key, rules) if original or family == "swinir" else key
        if new is None:
            continue
        if new in result:
            raise UserError(f"two keys of the weights mean '{new}'; the second is '{key}'")
        result[new] = value
    return result


def _unwrap(state: Mapping[str, object]) -> Mapping[str, object]:
    """The weights themselves; a file that holds anything beside its wrappers is refused."""
    wrapper = next((name for name in _WRAPPERS if isinstance(state.get(name), Mapping)), None)
    if wrapper is None:
        return state
    surplus = sorted(set(state) - set(_WRAPPERS))
    if surplus:
        raise UserError(f"beside '{wrapper}' the weights hold unknown entries: {', '.join(surplus)}")
    inner = state[wrapper]
    assert isinstance(inner, Mapping)
    return inner


def _rename(key: str, rules: tuple[_Rule, ...]) -> str | None:
    """The key's new form, None if it is to be dropped, or the key itself where no rule knows it."""
    for pattern, new in rules:
        match = re.fullmatch(pattern, key)
        if match:
            return None if new is None else match.expand(new)
    return key
