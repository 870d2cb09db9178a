"""Loading of plugins: each is loaded once, named in cards, and passed on to child processes."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

from mtkd.errors import UserError
from mtkd.plugins.registry import REGISTRIES, Source, on_registration

VARIABLE = "MTKD_PLUGINS"
"""Environment variable with files or modules, joined as in PATH; child processes (workers, trainings) inherit it."""
GROUP = "mtkd.plugins"
"""Group of entry points in installed packages."""


@dataclass
class Plugin:
    """One loaded plugin.

    Attributes:
        name: path of the file, or name of the module.
        path: its file.
        sha256: of the file, 16 hex digits.
        declares: (kind, name) of its declarations.
    """

    name: str
    path: Path
    sha256: str
    declares: list[tuple[str, str]] = field(default_factory=list)

    def record(self) -> dict[str, object]:
        """The record of the plugin in a card."""
        return {"file": self.path.name, "sha256": self.sha256, "declares": [" ".join(pair) for pair in self.declares]}


_loaded: dict[str, Plugin] = {}
_loading: list[Plugin] = []


def _note(source: Source, kind: str, name: str) -> None:
    for plugin in _loading[-1:]:
        plugin.declares.append((kind, name))


on_registration(_note)


def load(names: Iterable[str | Path], beside: Path | None = None, pass_on: bool = False) -> list[Plugin]:
    """Load plugins that are not loaded yet.

    Args:
        names: files (``.py``), or importable modules.
        beside: folder to search first for relative files: that of the recipe or plan that names them.
        pass_on: load them in child processes, too.

    Raises:
        UserError: no such file or module, or it fails (file and line are named). A failed plugin declares nothing.
    """
    plugins = [_load(name, beside) for name in map(str, names) if name]
    if pass_on and plugins:
        before = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
        os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*before, *(plugin.name for plugin in plugins)]))
    return plugins


def load_environment() -> list[Plugin]:
    """Load the plugins named by ``MTKD_PLUGINS`` and by the entry points of installed packages.

    Raises:
        UserError: as :func:`load`.
    """
    plugins = load(os.environ.get(VARIABLE, "").split(os.pathsep))
    return plugins + load(point.value for point in entry_points(group=GROUP))


def unload(names: Iterable[str]) -> None:
    """Remove plugins and their declarations from this process."""
    for name in list(names):
        _forget(_loaded.pop(name))


def loaded() -> Sequence[Plugin]:
    """The loaded plugins, in order."""
    return tuple(_loaded.values())


def providers(*wanted: tuple[str, object]) -> list[Plugin]:
    """The plugins that declare any of the (kind, name) pairs."""
    return [plugin for plugin in _loaded.values() if set(plugin.declares) & set(wanted)]


def _load(name: str, beside: Path | None) -> Plugin:
    if name.endswith(".py") or os.sep in name:
        path = Path(name).expanduser()
        path = (beside / path if beside and not path.is_absolute() and (beside / path).is_file() else path).resolve()
        if not path.is_file():
            raise UserError(f"plugin {name}: no such file")
        key = str(path)
    else:
        spec = importlib.util.find_spec(name.partition(":")[0])
        if spec is None or spec.origin is None:
            raise UserError(f"plugin {name}: no such file or module")
        path, key = Path(spec.origin), name.partition(":")[0]
    if key in _loaded:
        return _loaded[key]
    plugin = Plugin(key, path, hashlib.sha256(path.read_bytes()).hexdigest()[:16])
    _loading.append(plugin)
    try:
        _run(plugin)
    except BaseException as error:
        _forget(plugin)
        if isinstance(error, UserError):
            raise
        if not isinstance(error, Exception):
            raise
        raise UserError(f"plugin {_place(error, path)}: {type(error).__name__}: {error}") from error
    finally:
        _loading.pop()
    _loaded[key] = plugin
    return plugin


def _run(plugin: Plugin) -> None:
    if plugin.name != str(plugin.path):
        importlib.import_module(plugin.name)
        return
    module_name = f"mtkd_plugin_{plugin.path.stem}_{plugin.sha256}"
    spec = importlib.util.spec_from_file_location(module_name, plugin.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # as an import does: classes in it can be pickled and inspected
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise


def _forget(plugin: Plugin) -> None:
    for registry in REGISTRIES:
        for kind, name in plugin.declares:
            if registry.kind == kind:
                registry.remove(name)


def _place(error: Exception, path: Path) -> str:
    """``FILE, line N``: the last line of the plugin that the error came through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)
