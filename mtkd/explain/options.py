"""The options of an attribution method: the fields of its dataclass, and nothing else, define them.

Each field has a default and one of the types ``bool``, ``int``, ``float``, ``str`` or a ``Literal`` of texts, with
``| None`` for a choice that may be left out. Its metadata may say more: ``label`` and ``help`` for people, ``minimum``
and ``maximum`` of a number, and ``usual``, the pair of numbers between which the page lets people choose. What else
must hold is for ``__post_init__`` to check. Command line, page and Python read options through this file.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mtkd.errors import UserError, unknown_name
from mtkd.plugins import ATTRIBUTIONS, AttributionSpec

RESERVED = frozenset(
    {"model", "scale", "weights", "window", "method", "before", "after", "completeness_error"}
    | {"completeness_error_relative", "inputs", "image", "at", "device", "output", "json", "progress", "sources"}
    | {"part", "whole", "curves", "no_curves", "hr", "hr_image"}
)
"""Names that an answer or the caller of a method uses."""
_TYPES: tuple[type, ...] = (bool, int, float, str)
_ABOUT = ("label", "help", "minimum", "maximum", "usual")


@dataclass(frozen=True)
class Option:
    """One option, as its field defines it.

    Attributes:
        kind: bool, int, float or str.
        choices: the texts to choose from; empty for any value.
        optional: None is a value, too; ``""`` and ``"none"`` stand for it in texts.
        usual: between which numbers the page lets people choose.
    """

    name: str
    kind: type
    default: Any
    choices: tuple[str, ...] = ()
    optional: bool = False
    label: str = ""
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    usual: tuple[float | None, float | None] = (None, None)

    def read(self, value: Any) -> Any:
        """The value that a text, or a value of the page or of Python, stands for.

        Raises:
            UserError: it is of another type, not among the choices, or out of range.
        """
        if self.optional and value in (None, "", "none"):
            return None
        if self.choices:
            if value not in self.choices:
                raise unknown_name(self.name, value, self.choices)
            return value
        given = self._convert(value)
        low, high = self.minimum, self.maximum
        if given is None or (low is not None and given < low) or (high is not None and given > high):
            given_text = "is empty" if value in (None, "") else str(value)
            raise UserError(f"{self.name} {given_text}: give {self._wanted()}")
        return given

    def _convert(self, value: Any) -> Any:
        """The value in the option's type; None where it is none."""
        if self.kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
                str(value).lower()
            )
        if self.kind is str:
            return value if isinstance(value, str) else None
        if isinstance(value, bool) or not isinstance(value, (str, Real)):
            return None
        try:
            number = float(value)
            whole = int(value if isinstance(value, str) else number) if self.kind is int else 0
        except (ValueError, OverflowError):
            return None
        if not math.isfinite(number) or (self.kind is int and not number.is_integer()):
            return None
        return whole if self.kind is int else number

    def _wanted(self) -> str:
        noun = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[self.kind]
        low, high = (None if bound is None else f"{bound:g}" for bound in (self.minimum, self.maximum))
        if low and high:
            return f"{noun} from {low} to {high}"
        return f"{noun} of {low} or more" if low else f"{noun} of at most {high}" if high else noun

    @property
    def text(self) -> str:
        """The default, as a text that :meth:`read` takes."""
        return "none" if self.default is None else str(self.default)

    @property
    def about(self) -> str:
        """Label and help."""
        return f"{self.label} ({self.help})" if self.help else self.label

    @property
    def values(self) -> str:
        """What may be given, for people."""
        return " or ".join(self.choices) + (" or none" if self.optional else "") if self.choices else self._wanted()


def options_of(method: str) -> tuple[Option, ...]:
    """The options of an attribution method, in the order of its fields.

    Raises:
        UserError: no such method.
    """
    return _options(ATTRIBUTIONS[method].options)


def read_options(method: str, values: Mapping[str, Any]) -> Any:
    """The options of a method: an object of its dataclass.

    Raises:
        UserError: no such method or option, or a value that the option does not take.
    """
    options = {option.name: option for option in options_of(method)}
    for name in values:
        if name not in options:
            raise unknown_name(f"option of {method}", name, options)
    given = {name: options[name].read(value) for name, value in values.items()}
    with ATTRIBUTIONS.blaming(method):
        return ATTRIBUTIONS[method].options(**given)


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """``key=value`` each, of a command line.

    Raises:
        UserError: not of that form, or a key that comes twice.
    """
    values: dict[str, str] = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign or not name:
            raise UserError(f"--option {assignment}: write key=value, e.g. --option steps=20")
        if name in values:
            raise UserError(f"--option {assignment}: {name} is given twice")
        values[name] = value
    return values


def _options(cls: type[Any]) -> tuple[Option, ...]:
    hints = get_type_hints(cls)
    return tuple(_option(field, hints[field.name]) for field in dataclasses.fields(cls))


def _option(field: dataclasses.Field[Any], hint: Any) -> Option:
    """An option as its field defines it.

    Raises:
        UserError: it has no default, a type that cannot be chosen, or a default that it does not take itself.
    """
    optional = get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)
    kinds = [part for part in get_args(hint) if part is not type(None)] if optional else [hint]
    choices = get_args(kinds[0]) if get_origin(kinds[0]) is Literal else ()
    kind = str if choices else kinds[0]
    texts = all(isinstance(choice, str) for choice in choices)
    if kind not in _TYPES or len(kinds) > 1 or not texts or (optional and not choices):
        raise UserError(f"option '{field.name}': use bool, int, float, str, or a Literal of texts (| None)")
    if field.default is dataclasses.MISSING:
        raise UserError(f"option '{field.name}' needs a default")
    about = {key: value for key, value in field.metadata.items() if key in _ABOUT}
    about = {"label": field.name.replace("_", " ").capitalize(), **about}
    if not isinstance(about.get("usual", ()), tuple) or len(about.get("usual", (None, None))) != 2:
        raise UserError(f"option '{field.name}': usual is a pair of numbers, not {about['usual']!r}")
    option = Option(field.name, kind, field.default, choices, optional, **about)
    option.read(option.default)
    return option


def _fault(spec: AttributionSpec) -> str | None:
    """What is wrong with the options that a method declares."""
    cls: Any = spec.options
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return f"has options that are no dataclass: {cls!r}"
    try:
        options = _options(cls)
    except (UserError, NameError) as error:
        return f"has options that cannot be: {error}"
    taken = next((option.name for option in options if option.name in RESERVED), None)
    return f"has an option '{taken}', a name that answers use; choose another" if taken else None


ATTRIBUTIONS.check = _fault
