"""Imported models: checkpoints converted to safetensors, with a card that names their source.

They are stored in ``models`` of :func:`mtkd.home.home`, where the catalogue finds them.
"""

from __future__ import annotations

import re
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path

from mtkd import networks
from mtkd.errors import UserError
from mtkd.files import sha256_of, write_json
from mtkd.home import home
from mtkd.zoo import catalogue, community
from mtkd.zoo.checkpoints import load_state, save_state
from mtkd.zoo.detect import Found, inspect, reserved
from mtkd.zoo.headers import Header
from mtkd.zoo.model import Model

__all__ = ["Found", "add", "folder", "inspect", "own", "remove"]

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Pattern of model names, as in recipes."""


def folder() -> Path:
    """The folder of imported models; it need not exist."""
    return home() / "models"


def own() -> list[Model]:
    """The imported models."""
    return [model for model in catalogue.models() if model.path.parent == folder()]


def add(found: Found, name: str | None = None, replace: bool = False) -> Model:
    """Import a checkpoint: write weights (float32) and card. ``replace`` moves an imported model of the same name away.

    Raises:
        UserError: the name is not allowed, is that of a bundled model, or is taken.
    """
    header = changed(found.header, name=name or found.header.name)
    model = Model(header, _path(header), False)
    old = _check_name(header, replace)
    for teacher in header.teachers:
        try:
            catalogue.find(teacher, header.scale)
        except UserError as error:
            raise UserError(f"{found.path}: an aggregator of {', '.join(header.teachers)}: {error}") from error
    state = {key: value.clone() for key, value in found.state.items()}  # safetensors takes no shared memory
    deviations: list[str] = []
    if header.network != community.NETWORK:
        module = model.build()
        load_state(module, state, str(found.path))
        state = module.state_dict()
        deviations += networks.specs()[header.network].deviations
    card = {"deviations": deviations, **found.card, **_card(found, header)}
    if old:
        _set_aside(old)
    write_json(model.path.with_suffix(".json"), card)
    save_state(model.path, state, header)
    return model


def remove(name: str, scale: int) -> Path:
    """Remove an imported model from all lists: its files move to the subfolder ``removed``. Returns the new path.

    Raises:
        UserError: no imported model of that name and scale, or an aggregator needs it.
    """
    model = next((m for m in own() if (m.name, m.scale) == (name, scale)), None)
    if model is None:
        raise UserError(f"no imported model '{name}' at scale {scale}")
    if needing := [m.name for m in catalogue.models(scale) if name in m.header.teachers]:
        raise UserError(f"{name} is a teacher of {', '.join(needing)}; remove that first")
    return _set_aside(model)


def _path(header: Header) -> Path:
    return folder() / f"{header.name}_x{header.scale}.safetensors"


def _check_name(header: Header, replace: bool) -> Model | None:
    """The own model that is to be replaced, if there is one."""
    name = header.name
    if not re.fullmatch(NAME, name):
        raise UserError(f"name '{name}': use letters, digits, '.', '_' and '-', and begin with a letter or digit")
    if name in reserved():
        raise UserError(f"name '{name}' is reserved; choose another")
    namesakes = [model for model in catalogue.models() if model.name == name]
    if any(model.bundled for model in namesakes):
        raise UserError(f"name '{name}' is that of a bundled model; choose another")
    taken = next((model for model in namesakes if model.scale == header.scale), None)
    if taken is None:
        if (path := _path(header)) in folder().glob("*.safetensors"):
            raise UserError(f"{path}: exists, but is not a readable model; move it away")
        return None
    if taken.path.parent != folder():
        raise UserError(f"name '{name}' is that of a model in {taken.path.parent}; choose another")
    if not replace:
        raise UserError(f"a model '{name}' exists at scale {header.scale}; replace it, or choose another name")
    return taken


def _card(found: Found, header: Header) -> dict[str, object]:
    return {
        "name": header.name,
        "network": header.network,
        "scale": header.scale,
        **({"options": dict(header.options)} if header.options else {}),
        "role": found.role,
        "architecture": found.family,
        "parameters": found.parameters,
        "source": {
            "file": found.path.name,
            "sha256": sha256_of(found.path),
            "form": found.form,
            "dropped": list(found.dropped),
        },
        "imported": datetime.now().astimezone().isoformat(timespec="seconds"),
        "notes": list(found.notes),
    }


def _set_aside(model: Model) -> Path:
    removed = folder() / "removed"
    removed.mkdir(parents=True, exist_ok=True)
    stem = f"{model.path.stem}-{datetime.now():%Y%m%d-%H%M%S-%f}"
    for path in (model.path.with_suffix(".json"), model.path):
        if path.exists():
            path.rename(removed / f"{stem}{path.suffix}")
    return removed / f"{stem}.safetensors"
