"""The published weights, by name: fetched or brought by hand, checked, and kept as own models.

What is known of them is in :mod:`mtkd.zoo.published`. A file whose SHA-256 is known is believed if it has that one.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtkd.downloads import PATIENCE, Patience, Progress, Remote, download, mirrored
from mtkd.errors import UserError
from mtkd.home import home
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
        mirror: see :func:`mtkd.downloads.mirrored`.

    Raises:
        UserError: unknown name, a page that programs cannot fetch (how to get the file is said), anything that
            :func:`mtkd.downloads.download` or :func:`mtkd.zoo.detect.inspect` refuses, or another file than expected.
    """
    source = entry(name).files[scale]
    if (model := there(name, scale)) is not None:
        return Fetched(model, False)
    folder, expected = home() / "downloads" / f"{name}_x{scale}", sha256 or source.sha256
    if file is None:
        if source.url is None:
            raise UserError(by_hand(name, scale))
        file = folder / source.file_name
        download(Remote(mirrored(source.url, mirror), file, sha256=expected), progress, patience)
    elif file.suffix == ".zip":
        file = _from_archive(file, folder / source.file_name)
    try:
        model, notes = _add(name, scale, file, expected)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # needed no more, or not what it should be
    return Fetched(model, True, notes)


def _add(name: str, scale: int, file: Path, expected: str | None) -> tuple[Model, tuple[str, ...]]:
    from pooch import file_hash

    one = entry(name)
    source = one.files[scale]
    try:
        digest = file_hash(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    if expected and digest != expected:  # not opened at all
        raise UserError(
            f"{file}: not the published file {source.file_name}: its SHA-256 is {digest}, {expected} is known"
            f"{f' ({source.says})' if source.says else ''}. If its authors replaced it, say so with --sha256 {digest}"
        )
    found = imports.inspect(file, one.network, scale)
    notes = found.notes
    if not expected:
        notes += (f"No SHA-256 of {source.file_name} is known; that of this file is {digest} (give it as --sha256).",)
    about: dict[str, Any] = {
        "title": one.title,
        "address": source.url or one.page,
        "page": one.page,
        "sha256_known_from": source.says or "nobody",
        "trained_on": one.trained_on,
        "licence": one.licence,
        "published": {set_name: list(pair) for set_name, pair in one.published[scale].items()},
        "numbers_from": one.numbers_from,
        "known": one.known,
    }
    return imports.add(replace(found, card={"public": about}), name), notes


def _from_archive(archive: Path, target: Path) -> Path:
    """The weights of that name in an archive that was brought, under ``target``."""
    try:
        with zipfile.ZipFile(archive) as file:
            member = next((n for n in file.namelist() if n.rpartition("/")[2] == target.name), None)
            if member is None:
                raise UserError(f"{archive}: holds no {target.name}")
            content = file.read(member)
    except UserError:
        raise
    except Exception as error:  # damaged and encrypted ones make the reader raise almost anything
        raise UserError(f"{archive}: not a readable archive ({error})") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target
