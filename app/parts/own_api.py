"""What the Models view does, for programs: by files and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from mtkd.zoo import imports

from ..state import errors_shown
from .own_models import DETECT, found, label, remove, table


def connect() -> None:
    """Give the functions below to programs, by their names without the underscore."""
    for function in (_inspect_checkpoint, _add_checkpoint, _remove_model):
        api(function, api_name=function.__name__.removeprefix("_"))


def _inspect_checkpoint(
    file: dict[str, Any] | None = None,
    path: str = "",
    network: str = DETECT,
    scale: int = 0,
    key: str = "",
    settings: str = "",
) -> tuple[str, str]:
    """What a checkpoint holds as an HTML table, and a name for it: an uploaded file or a path on this computer.

    Of several networks in it, key chooses; settings are options that weights do not tell, one NAME=VALUE a line."""
    inspected = _found(file, path, network, scale, key, settings)
    return table(inspected), inspected.header.name


def _add_checkpoint(
    file: dict[str, Any] | None = None,
    path: str = "",
    network: str = DETECT,
    scale: int = 0,
    name: str = "",
    replace: bool = False,
    key: str = "",
    settings: str = "",
) -> str:
    """Add a checkpoint under a name (else the file's), as a model of all views; gives NAME ×SCALE."""
    inspected = _found(file, path, network, scale, key, settings)
    with errors_shown(str(inspected.path)):
        return label(imports.add(inspected, name.strip() or None, replace))


def _remove_model(model: str) -> str:
    """Remove one of your models, named NAME ×SCALE; gives the path that its file is kept at."""
    with errors_shown():
        return str(remove(model))


def _found(file: dict[str, Any] | None, path: str, network: str, scale: int, key: str, settings: str) -> imports.Found:
    source = path.strip() or (file or {}).get("path", "")
    if not source:
        raise gr.Error("Give a file or its path.", print_exception=False)
    with errors_shown(source):
        return found(Path(source), network, scale, key or None, settings)
