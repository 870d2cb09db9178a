"""The published weights, by name: fetched or brought by hand, checked, and kept as own models.

What is known of them is in :mod:`mtkd.zoo.published`. A file is believed if its SHA-256 is the one that
is known; of a file without a known one the first is believed, and noted in ``trusted.json`` of :func:`mtkd.home.home`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from filelock import FileLock

from mtkd.downloads import PATIENCE, Patience, Progress, Remote, download, lock_for, sha256_of
from mtkd.errors import UserError
from mtkd.files import atomic_write
from mtkd.home import home
from mtkd.web import mirrored
from mtkd.zoo import catalogue, imports
from mtkd.zoo.model import Model
from mtkd.zoo.published import by_hand, entry


@dataclass(frozen=True)
class Fetched:
    """A model of the catalogue, whether it was ``new``, and what there is to say."""

    model: Model
    new: bool
    notes: tuple[str, ...] = ()


def there(name: str, scale: int) -> Model | None:
    """The model where it was fetched before.

    Raises:
        UserError: a model of that name did not come from here.
    """
    model = next((m for m in catalogue.models(scale) if m.name == name), None)
    if model is not None and "public" not in model.card:
        raise UserError(f"{model.path}: a model '{name}' for scale {scale} that is not the published one; move it away")
    return model


def fetch(
    name: str,
    scale: int,
    file: Path | None = None,
    sha256: str | None = None,
    mirror: str | None = None,
    progress: Progress = lambda count: None,
    patience: Patience = PATIENCE,
) -> Fetched:
    """Make a published model an own one: fetched from its address, or from ``file``, which is checked alike.

    Args:
        file: weights, or an archive that holds them under their published name.
        sha256: the hash to expect instead of the known one.
        mirror: see :func:`mtkd.web.mirrored`.

    Raises:
        UserError: unknown name, a page that programs cannot fetch (how to get the file is said), anything that
            :func:`mtkd.downloads.download` or :func:`mtkd.zoo.detect.inspect` refuses, or another file than expected.
    """
    source = entry(name).files[scale]
    if (model := there(name, scale)) is not None:
        return Fetched(model, False)
    kept = home() / "downloads" / source.file_name
    expected = sha256 or source.sha256
    if file is None:
        if source.url is None and not kept.exists():
            raise UserError(by_hand(name, scale))
        if source.url is not None:
            download(Remote(mirrored(source.url, mirror), kept, sha256=expected), progress, patience)
        file = kept
    elif file.suffix == ".zip":
        file = _from_archive(file, kept)
    try:
        model, notes = _add(name, scale, file, expected)
    finally:
        kept.unlink(missing_ok=True)  # needed no more, or not what it should be
    return Fetched(model, True, notes)


def _add(name: str, scale: int, file: Path, expected: str | None) -> tuple[Model, tuple[str, ...]]:
    one = entry(name)
    source, key = one.files[scale], f"{name}_x{scale}"
    first = trusted().get(key)
    who = source.says or (f"of the first such file, {first['since']}" if first else "")
    expected = expected or (first["sha256"] if first else None)
    digest = _digest(file)
    if expected and digest != expected:  # not opened at all
        raise UserError(
            f"{file}: not the published file {source.file_name}: its SHA-256 is {digest}, {expected} is known"
            f"{f' ({who})' if who else ''}. If its authors replaced it, say so with --sha256 {digest}"
        )
    found = imports.inspect(file, one.network, scale)
    notes = found.notes
    if not source.sha256 and (first is None or first["sha256"] != digest):
        _trust(key, digest, source.file_name)
        notes += (f"No SHA-256 of {source.file_name} was known: {digest} is from now on, in {_trusted()}.",)
    about: dict[str, Any] = {
        "title": one.title,
        "address": source.url or one.page,
        "page": one.page,
        "sha256_known_from": source.says or "this first file",
        "trained_on": one.trained_on,
        "licence": one.licence,
        "published": {set_name: list(pair) for set_name, pair in one.published[scale].items()},
        "numbers_from": one.numbers_from,
        "known": one.known,
    }
    return imports.add(replace(found, card={"public": about}), name), notes


def _digest(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error


def _from_archive(archive: Path, target: Path) -> Path:
    """The weights of that name in an archive that was brought, under ``target``."""
    try:
        with zipfile.ZipFile(archive) as file:
            member = next((n for n in file.namelist() if n.rpartition("/")[2] == target.name), None)
            if member is None:
                raise UserError(f"{archive}: holds no {target.name}")
            with atomic_write(target) as temporary:
                temporary.write_bytes(file.read(member))
    except UserError:
        raise
    except Exception as error:  # damaged and encrypted ones make the reader raise almost anything
        raise UserError(f"{archive}: not a readable archive ({error})") from error
    return target


def _trusted() -> Path:
    return home() / "trusted.json"


def trusted() -> dict[str, Mapping[str, str]]:
    """By ``NAME_xS``, the files that were believed because they were the first.

    Raises:
        UserError: the file that says so is damaged.
    """
    path = _trusted()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not readable ({error}); mend it or move it away") from error


def _trust(key: str, digest: str, file_name: str) -> None:
    with FileLock(lock_for(_trusted())):
        content = trusted()
        content[key] = {"file": file_name, "sha256": digest, "since": date.today().isoformat()}
        with atomic_write(_trusted()) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
