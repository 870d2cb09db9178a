"""A registry: all declarations of one kind, by name, from the package and from plugins."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Generic, Protocol, TypeVar

from mtkd.errors import UserError, unknown_name
from mtkd.plugins.specs import AttributionSpec, LossSpec, MethodSpec, MetricSpec, NetworkSpec


class Named(Protocol):
    """A declaration: what a decorator of :mod:`mtkd.plugins` makes."""

    @property
    def name(self) -> str: ...


SpecT = TypeVar("SpecT", bound=Named)


@dataclass(frozen=True)
class Source:
    """Where something was declared.

    Attributes:
        module: name of the module whose code declared it.
        path: its file.
        line: the line of the declaration.
    """

    module: str
    path: Path
    line: int

    @property
    def built_in(self) -> bool:
        """Whether it is part of this package."""
        return self.module.partition(".")[0] == "mtkd"

    @property
    def typed(self) -> bool:
        """Whether it was typed into a notebook or a console."""
        return self.module == "__main__" and hasattr(sys.modules["__main__"], "get_ipython")

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


def caller(depth: int = 2) -> Source:
    """The place in the code from which the function that calls this one was called (``depth`` 2: the caller's
    caller)."""
    frame = sys._getframe(depth)
    return Source(frame.f_globals.get("__name__", ""), Path(frame.f_code.co_filename), frame.f_lineno)


_notes: list[Callable[[Source, str, str], None]] = []


class Registry(Generic[SpecT], Mapping[str, SpecT]):
    """The declarations of one kind, a mapping from name to declaration in the order of their modules.

    The package with the built-in ones is scanned for modules when the registry is first read, so that adding one takes
    one file.

    Args:
        kind: the noun for messages, e.g. "network".
        package: package whose modules contain the built-in ones, e.g. "mtkd.networks".
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._specs: dict[str, SpecT] = {}
        self._sources: dict[str, Source] = {}
        self._scanned = False
        self._scanning = RLock()
        self._in_scan = False
        self.check: Callable[[SpecT], str | None] | None = None
        """Set by the package: what is wrong with a declaration, in a sentence, or None."""

    def register(self, spec: SpecT, source: Source) -> None:
        """Add a declaration. One that was typed into a notebook replaces an earlier one: its cell was run again.

        Raises:
            UserError: the name is taken, or the check of the package fails.
        """
        if not source.built_in:
            self._scan()  # a built-in name is refused here, at the plugin's line, not later at ours
        if (first := self._sources.get(spec.name)) is not None and not (first.typed and source.typed):
            owner = "built in" if first.built_in else f"declared in {first}"
            raise UserError(f"{source}: the {self.kind} '{spec.name}' is already {owner}; choose another name")
        if self.check is not None and (fault := self.check(spec)):
            raise UserError(f"{source}: the {self.kind} '{spec.name}' {fault}")
        self._specs[spec.name], self._sources[spec.name] = spec, source
        if not source.built_in:
            for note in _notes:
                note(source, self.kind, spec.name)

    def remove(self, name: str) -> None:
        """Remove a declaration (of a plugin that failed, or in a test)."""
        self._specs.pop(name, None)
        self._sources.pop(name, None)

    def source(self, name: str) -> Source:
        """Where ``name`` was declared.

        Raises:
            UserError: nothing of this kind has that name.
        """
        self[name]
        return self._sources[name]

    def label(self, name: str) -> str:
        """Beginning of a message about ``name``: "method kd", or for a plugin "FILE, line 3: method mine".

        Raises:
            UserError: nothing of this kind has that name.
        """
        source = self.source(name)
        return f"{self.kind} {name}" if source.built_in else f"{source}: {self.kind} {name}"

    @contextmanager
    def blaming(self, name: str) -> Iterator[None]:
        """Turn errors in a plugin's code into one line; errors in built-in code are not changed.

        Raises:
            UserError: names the plugin's file and line.
        """
        source = self.source(name)
        try:
            yield
        except Exception as error:
            if source.built_in or isinstance(error, UserError):
                raise
            frames = traceback.extract_tb(error.__traceback__)
            line = next((f.lineno for f in reversed(frames) if f.filename == str(source.path)), source.line)
            text = f"{source.path}, line {line}: {self.kind} {name}: {type(error).__name__}: {error}"
            raise UserError(text) from error

    def __getitem__(self, name: str) -> SpecT:
        """The declaration of ``name``.

        Raises:
            UserError: nothing of this kind has that name; the nearest names are suggested.
        """
        self._scan()
        if name not in self._specs:
            raise unknown_name(self.kind, name, self._specs)
        return self._specs[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The declaration of ``name``, or ``default``."""
        self._scan()
        return self._specs.get(name, default)

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        self._scan()
        return iter(tuple(self._specs))

    def __len__(self) -> int:
        self._scan()
        return len(self._specs)

    def _scan(self) -> None:
        """Import the package's modules, once; a thread that comes while another scans waits for the whole."""
        if self._scanned:
            return
        with self._scanning:
            if self._scanned or self._in_scan:  # done meanwhile, or asked for by a module that is being scanned
                return
            self._in_scan = True
            try:
                package = importlib.import_module(self.package)
                for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
                    if not info.name.startswith("_"):  # these declare nothing, and load what a method needs when used
                        importlib.import_module(f"{self.package}.{info.name}")
                # One module may import another before it declares its own: the order is that of names, then of lines.
                places = {name: (source.module, source.line) for name, source in self._sources.items()}
                self._specs = {name: self._specs[name] for name in sorted(places, key=places.__getitem__)}
                self._scanned = True
            finally:
                self._in_scan = False


def on_registration(note: Callable[[Source, str, str], None]) -> None:
    """Call ``note(source, kind, name)`` for every declaration of a plugin."""
    _notes.append(note)


NETWORKS: Registry[NetworkSpec] = Registry("network", "mtkd.networks")
LOSSES: Registry[LossSpec] = Registry("loss", "mtkd.losses")
METHODS: Registry[MethodSpec] = Registry("method", "mtkd.methods")
METRICS: Registry[MetricSpec] = Registry("metric", "mtkd.metrics")
ATTRIBUTIONS: Registry[AttributionSpec] = Registry("attribution method", "mtkd.explain")
REGISTRIES: tuple[Registry[Any], ...] = (NETWORKS, LOSSES, METHODS, METRICS, ATTRIBUTIONS)
