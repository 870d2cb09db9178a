"""Published weights by name: fetch or take a local file, check it, and import it.

They are listed in :mod:`mtkd.zoo.published`. If a SHA-256 is recorded, the file must have it.
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
    """A model of the catalogue, whether it is ``new``, and notes for the user."""

    model: Model
    new: bool
    notes: tuple[str, ...] = ()


def installed(name: str, scale: int) -> Model | None:
    """The published model if it is installed.

    Raises:
        UserError: another model has this name.
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
    """Install a published model from its address, or from ``file``, which is checked in the same way.

    Args:
        file: weights, or an archive that contains them under their published name.
        sha256: the expected hash, in place of the recorded one.
        mirror: see :func:`mtkd.downloads.mirrored`.

    Raises:
        UserError: unknown name, a file that can only be downloaded by hand (the message says how), anything that
            :func:`mtkd.downloads.download` or :func:`mtkd.zoo.detect.inspect` refuses, or an unexpected file.
    """
    source = entry(name).files[scale]
    if (model := installed(name, scale)) is not None:
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

    published = entry(name)
    source = published.files[scale]
    try:
        digest = file_hash(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    if expected and digest != expected:  # not opened at all
        raise UserError(
            f"{file}: not the published file {source.file_name}: its SHA-256 is {digest}, {expected} was expected"
            f"{f' ({source.says})' if source.says else ''}. If its authors replaced it, say so with --sha256 {digest}"
        )
    checkpoint = imports.inspect(file, published.network, scale)
    notes = checkpoint.notes
    if not expected:
        notes += (
            f"No SHA-256 of {source.file_name} is recorded; that of this file is {digest} (give it as --sha256).",
        )
    about: dict[str, Any] = {
        "title": published.title,
        "address": source.url or published.page,
        "page": published.page,
        "sha256_known_from": source.says or "nobody",
        "trained_on": published.trained_on,
        "licence": published.licence,
        "published": {set_name: list(pair) for set_name, pair in published.published[scale].items()},
        "numbers_from": published.numbers_from,
        "known": published.known,
    }
    return imports.add(replace(checkpoint, card={"public": about}), name), notes


def _from_archive(archive: Path, target: Path) -> Path:
    """The weights of that name in an archive that was brought, under ``target``."""
    try:
        with zipfile.ZipFile(archive) as file:
            member = next((n for n in file.namelist() if n.rpartition("/")[2] == target.name), None)
            if member is None:
                raise UserError(f"{archive}: contains no {target.name}")
            content = file.read(member)
    except UserError:
        raise
    except Exception as error:  # damaged and encrypted ones make the reader raise almost anything
        raise UserError(f"{archive}: not a readable archive ({error})") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target
