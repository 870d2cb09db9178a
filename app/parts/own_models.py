"""A user's own models as the page shows them: what a checkpoint holds, the list, and what cannot be read."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

from mtkd.config import assign
from mtkd.errors import UserError
from mtkd.zoo import imports
from mtkd.zoo.catalogue import catalogue
from mtkd.zoo.model import Model

DETECT = "detect"
"""The network that is to be detected; of the scales, 0 is."""


def found(source: Path, network: str, scale: int, key: str | None = None, settings: str | None = "") -> imports.Found:
    """What a checkpoint holds; nothing of it is kept.

    Args:
        key: where in the file the weights are.
        settings: options of the network that weights do not tell, one NAME=VALUE a line.

    Raises:
        UserError: see :func:`mtkd.zoo.detect.inspect`.
    """
    options: dict[str, Any] = {}
    for line in filter(None, map(str.strip, (settings or "").splitlines())):
        assign(options, line)
    return imports.inspect(source.expanduser(), None if network == DETECT else network, scale or None, key, options)


def settings_of(inspected: imports.Found) -> str:
    """Options that weights do not tell, as :func:`found` takes them."""
    return "\n".join(f"{option}={json.dumps(value)}" for option, value in inspected.untold.items())


def places(inspected: imports.Found) -> list[tuple[str, str]]:
    """Where in the file weights are, with names for people."""
    return [(key or "The file itself", key) for key in inspected.keys]


def label(model: Model) -> str:
    """How one of the models is named, on the page and by programs."""
    return f"{model.name} ×{model.scale}"


def choices() -> list[tuple[str, str]]:
    """The models with what is known of them, and their labels."""
    return [(_line(model), label(model)) for model in imports.own()]


def remove(chosen: str) -> Path:
    """Move the model of a label out of all lists; returns its file's new path.

    Raises:
        UserError: there is none, or another model needs it.
    """
    model = next((model for model in imports.own() if label(model) == chosen), None)
    if model is None:
        raise UserError(f"no model of your own is called '{chosen}'; name it as NAME ×4")
    return imports.remove(model.name, model.scale)


def unreadable() -> str:
    """The files among your models that are none, and why, as HTML."""
    left_out = {path: error for path, error in catalogue().unreadable.items() if path.parent == imports.folder()}
    reasons = (str(error).replace(f"{path.parent}{os.sep}", "") for path, error in left_out.items())
    return "".join(f"<p>Cannot be read: {html.escape(reason)}</p>" for reason in reasons)


def table(inspected: imports.Found) -> str:
    """What was detected, for people."""
    dropped = inspected.dropped
    names = f"{len(dropped)}: {', '.join(dropped[:4])}{' …' if len(dropped) > 4 else ''}"
    rows = {
        "Architecture": inspected.family,
        "Network": f"{inspected.header.network} ({inspected.role})",
        "Scale": f"×{inspected.header.scale}",
        "Parameters": f"{inspected.parameters:,}",
        "Format": inspected.form,
        "Ignored keys": names if dropped else "none",
        "Notes": " ".join(inspected.notes)
        .replace("`mtkd models import --key` chooses", "choose below")
        .replace("`mtkd models import --set` gives others", "change them below"),
    }
    cells = "".join(f'<tr><th scope="row">{k}</th><td>{html.escape(v)}</td></tr>' for k, v in rows.items() if v)
    return f'<table class="own-table">{cells}</table>'


def _line(model: Model) -> str:
    card, summary = model.card, model.summary()
    facts = [label(model), f"{model.role} {summary['network']}", f"{summary['parameters']:,} parameters"]
    origin, day = card.get("source", {}).get("file", ""), card.get("imported", "")[:10]
    return " · ".join([*facts, *(f"from {origin}" for _ in [origin] if origin), *([f"added {day}"] if day else [])])
