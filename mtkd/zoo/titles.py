"""What people read in place of a model's name: "RCAN student, with MTKD". The name stays what programs call it.

A folder of models may hold a file of titles by name, as the bundled zoo and the runs of a plan do: a plan says what its
models are (:mod:`mtkd.experiments.titles`). A published model is called as its authors call it; any other by its name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtkd.zoo.model import Model

FILE = "titles.json"
"""In a folder of models, or of their run folders: titles by name."""


def title(model: Model) -> str:
    """The title of a model; one that was kept on its way is called as its end, with the step. Needs no torch."""
    of = model.ends_as
    text = next((known[of] for folder in _folders(model.path) if of in (known := _titles(folder / FILE))), of)
    if text == of and "public" in model.card:
        from mtkd.zoo import published

        text = published.entry(of).title if of in published.names() else text
    return text if model.step is None else f"{text}, after {model.step:,} steps"


def distinct(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles by name, each once: those that several models share are followed by the name."""
    often = Counter(titles.values())
    return {name: title if often[title] == 1 else f"{title} [{name}]" for name, title in titles.items()}


def _folders(weights: Path) -> list[Path]:
    """Where a file of titles may lie: beside the weights, or beside the run folder; snapshots lie one deeper."""
    folder = weights.parent.parent if weights.parent.name == "snapshots" else weights.parent
    return [folder, folder.parent]


def _titles(path: Path) -> dict[str, str]:
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return {}
    return _read(path, changed)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> dict[str, str]:
    """The titles in a file; none where it is damaged, or the card of a model of that name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {k: v for k, v in content.items() if isinstance(v, str)} if isinstance(content, dict) else {}
