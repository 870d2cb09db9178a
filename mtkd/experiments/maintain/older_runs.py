"""Run folders of before cards said the role and rows of metrics had ``parts``: brought to today's form, in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtkd.errors import UserError
from mtkd.files import write_text
from mtkd.plugins import NETWORKS


def update_all(out: Path) -> list[Path]:
    """Rewrite ``card.json`` and ``metrics.jsonl`` of the finished runs in ``out`` that need it; returns their folders.

    Runs that are still being trained are left alone. Weights, recipes and scores stay as they are, byte for byte.

    Raises:
        UserError: a damaged or unwritable file.
    """
    return [path.parent for path in sorted(out.glob("*/finished.json")) if _update(path.parent)]


def _update(run: Path) -> bool:
    changed = False
    for name, form in (("card.json", _card), ("metrics.jsonl", _metrics)):
        path = run / name
        if not path.is_file():
            continue
        old = path.read_text(encoding="utf-8")
        try:
            new = form(old)
        except (ValueError, AttributeError) as error:
            raise UserError(f"{path}: damaged ({error}); move {run.name} away") from error
        if new != old:
            changed = True
            write_text(path, new)
    return changed


def _card(text: str) -> str:
    """With the role, after the network."""
    card: dict[str, Any] = json.loads(text)
    if "role" in card:
        return text
    new: dict[str, Any] = {}
    for name, value in card.items():
        new[name] = value
        if name == "network":
            new["role"] = NETWORKS[value].role
    return json.dumps(new, indent=1) + "\n"


def _metrics(text: str) -> str:
    """With the subbands of L_dis, once called ``band LL1``, under ``parts``."""
    return "".join(_row(line) if '"band ' in line else line for line in text.splitlines(keepends=True))


def _row(line: str) -> str:
    row: dict[str, Any] = json.loads(line)
    bands = {name.removeprefix("band "): value for name, value in row.items() if name.startswith("band ")}
    rest = {name: value for name, value in row.items() if not name.startswith("band ")}
    return json.dumps(rest | {"parts": {"L_dis": bands}}) + "\n"
