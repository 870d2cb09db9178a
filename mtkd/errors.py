"""The one exception that means "the user can mend this": one clear line, exit code 2, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 40
"""Known names that an error lists at most."""


class UserError(ValueError):
    """A mistake in what the user gave: says what was wrong, where, and what to do, in one line.

    What it quotes may hold anything: line ends become spaces, other signs that a terminal would obey are written out.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_shown, message)))


class TooSmall(UserError):  # noqa: N818
    """An image has too few pixels for what is asked of it."""


class Unwritable(UserError):  # noqa: N818
    """A file could not be written."""


def _shown(sign: str) -> str:
    if sign.isprintable():
        return sign
    return " " if sign.isspace() else sign.encode("unicode_escape").decode()


def check_format(found: object, known: str, source: object) -> None:
    """Refuse a file of another form than this program knows; ``known`` looks like ``mtkd/1``.

    Raises:
        UserError: another form.
    """
    if found != known:
        raise UserError(f"{source}: format {str(found)[:40]!r}, this version reads {known}; update mtkd")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not among ``known``; suggests the nearest one.

    >>> str(unknown_name("network", "edsr_mimi", ["edsr_mini", "rcan_mini"]))
    "unknown network 'edsr_mimi'; did you mean 'edsr_mini'? Known: edsr_mini, rcan_mini"
    """
    names, name = sorted(known), str(name)[:80]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    shown = ", ".join(names[:SHOWN]) + (f", ... ({len(names)} in all)" if len(names) > SHOWN else "")
    return UserError(f"unknown {kind} '{name}'{hint} Known: {shown or 'none'}")
