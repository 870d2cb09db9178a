"""The one exception that means "the user can mend this": one clear line, exit code 2, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 40
"""Known names that an error lists at most."""


class UserError(ValueError):
    """A mistake in what the user gave: says what was wrong, where, and what to do."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not among ``known``; suggests the nearest one.

    >>> str(unknown_name("network", "edsr_mimi", ["edsr_mini", "rcan_mini"]))
    "unknown network 'edsr_mimi'; did you mean 'edsr_mini'? Known: edsr_mini, rcan_mini"
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    shown = ", ".join(names[:SHOWN]) + (f", ... ({len(names)} in all)" if len(names) > SHOWN else "")
    return UserError(f"unknown {kind} '{name}'{hint} Known: {shown or 'none'}")
