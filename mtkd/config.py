"""Configuration that people write: YAML files, ``--set key=value``, strict models, and errors for their author."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mtkd.errors import UserError, unknown_name

MAX_CHARACTERS = 1_000_000
"""Maximum length of a YAML file; those of this project have some thousands of characters."""
MAX_NODES = 100_000
"""Maximum number of keys and values after aliases are expanded: a few nested aliases can exceed any memory."""
MAX_DEPTH = 100
"""Maximum nesting depth; PyYAML's C composer needs stack for it, and has no limit of its own."""
MAX_DIGITS = 30
"""Maximum number of digits of an integer; Python refuses to print very long ones."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C eight times as fast; a PyYAML without libyaml lacks it


class Strict(BaseModel):
    """A pydantic model that refuses unknown keys and is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that contains one mapping.

    Raises:
        UserError: unreadable, not YAML, or not a mapping.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not a readable YAML file ({error})") from error
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"{path}: more than {MAX_CHARACTERS:,} characters; give a recipe or plan file")
    content = _loaded(text, str(path), "not a readable YAML file")
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a mapping of keys to values")
    return content


def to_yaml(content: Any) -> str:
    """The YAML text of a mapping, in its order."""
    return str(yaml.safe_dump(content, sort_keys=False))


def assign(content: dict[str, Any], assignment: str) -> None:
    """Apply one ``key=value`` of the command line to a nested mapping; ``a.b=1`` sets key b of a.

    Raises:
        UserError: not of this form, or a key below a plain value.
    """
    key, sign, text = assignment.partition("=")
    if not sign or not key:
        raise UserError(f"--set {assignment}: write key=value, e.g. --set iterations=1000 or --set data.train=photos")
    *parents, last = key.split(".")
    for parent in parents:
        child = content.setdefault(parent, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {assignment}: '{parent}' is a value; it has no keys")
        content = child
    content[last] = _loaded(text, f"--set {assignment}", "not a YAML value")


def explain(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """The first validation error of a YAML file, as one line for its author."""
    first = error.errors()[0]
    where = _short(".".join(str(part) for part in first["loc"]))
    if first["type"] == "extra_forbidden":
        *parents, key = map(str, first["loc"])
        known = _keys(model, parents)
        return f"{source}: {unknown_name(' of '.join(['key', *reversed(parents)]), key, known)}"
    if isinstance(cause := first.get("ctx", {}).get("error"), Exception):
        return f"{source}: {cause}"
    if first["type"] == "missing":
        return f"{source}: key '{where}' is missing"
    return f"{source}: {where}: {first['msg']} (got {short_repr(first['input'])})"


def short_repr(value: object) -> str:
    """A value as an error names it: a line, whatever it holds."""
    return _short(reprlib.repr(value))


def _keys(model: Any, parents: Sequence[str]) -> list[str]:
    """The keys that a file of this form may have under ``parents``."""
    rest = iter(parents)
    for part in rest:
        annotation = next((f.annotation for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        nested = (annotation, *get_args(annotation))  # of Optional[Model] or dict[str, Model]: the model
        model = next((a for a in nested if hasattr(a, "model_fields")), None)
        if model is None:
            return []
        if get_origin(annotation) is dict:
            next(rest, None)  # the mapping's own key
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def _loaded(text: str, source: str, problem: str) -> Any:
    """A YAML text; dates, numbers and nesting that its reader cannot cope with are the author's mistakes too."""
    try:
        _check_depth(text)
        node = yaml.compose(text, _LOADER)
        if node is not None and _nodes(node, {}) > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES:,} values after its aliases (*name) are expanded")
        return None if node is None else _LOADER("").construct_document(node)
    except Exception as error:
        why = " ".join(str(error).split())
        raise UserError(f"{source}: {problem} ({_short(why, 200)})") from error


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"more than {MAX_DEPTH} nested mappings and lists")


def _nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """How many nodes there are with all aliases written out; one that holds itself counts as too many."""
    if id(node) not in counted:
        counted[id(node)] = MAX_NODES + 1
        if isinstance(node, yaml.ScalarNode):
            if node.tag.endswith(":int") and len(node.value) > MAX_DIGITS:
                raise yaml.YAMLError(f"a number of more than {MAX_DIGITS} digits")
            children = []
        else:
            children = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        counted[id(node)] = 1 + sum(_nodes(child, counted) for child in children)
    return counted[id(node)]


def _short(text: str, characters: int = 80) -> str:
    """The beginning of what may be of any length."""
    return text if len(text) <= characters else f"{text[:characters]}..."
