"""The exceptions for mistakes that a user can correct: one clear line, exit code 2, no traceback."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

SHOWN = 40
"""Maximum number of known names in a message."""
LONGEST = 400
"""Characters of a word, as a path, in a message."""
_WORD = re.compile(rf"\S{{{LONGEST + 1},}}")


class UserError(ValueError):
    """A mistake in a user's input. The message says what is wrong, where, and what to do, in one line.

    Quoted input may contain anything: line ends become spaces, other control characters are escaped, the middle of a
    word of more than :data:`LONGEST` characters is left out.
    """

    def __init__(self, message: str) -> None:
        line = "".join(map(_shown, message))
        super().__init__(_WORD.sub(lambda word: f"{word[0][:200]}...{word[0][-100:]}", line))


class TooSmall(UserError):  # noqa: N818
    """An image has too few pixels for an operation."""


class Unwritable(UserError):  # noqa: N818
    """A file could not be written."""


def _shown(sign: str) -> str:
    if sign.isprintable():
        return sign
    return " " if sign.isspace() else sign.encode("unicode_escape").decode()


def check_format(found: object, known: str, source: object) -> None:
    """Check the format of a file, e.g. ``mtkd/1``.

    Raises:
        UserError: the format differs from ``known``.
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
