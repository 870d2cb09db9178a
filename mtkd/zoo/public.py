"""The published weights, by name: fetched or brought by hand, checked, and kept as own models.

``public.yaml`` says where they lie and what their authors measured. A file is believed if its SHA-256 is the one that
is known; of a file without a known one the first is believed, and noted in ``trusted.json`` of :func:`mtkd.home.home`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from mtkd.downloads import PATIENCE, Patience, Progress, Remote, download, lock_for, sha256_of
from mtkd.errors import UserError, unknown_name
from mtkd.files import atomic_write
from mtkd.home import home
from mtkd.web import mirrored
from mtkd.zoo import catalog, imports
from mtkd.zoo.catalog import Model


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightsFile(_Strict):
    """One published file: its address, or only its name where no program can fetch it."""

    url: str | None = None
    name: str = ""
    sha256: str | None = None
    vouched: Literal["", "name", "others"] = ""

    @property
    def file_name(self) -> str:
        return self.name or urlsplit(self.url or "").path.rpartition("/")[2]

    @property
    def says(self) -> str:
        """Who says that the hash is right."""
        return {"name": "its first digits are in the file's name", "others": "others recorded it"}.get(self.vouched, "")


class Published(_Strict):
    """A published model: its files by scale, and [PSNR in dB, SSIM] as published by scale and set."""

    network: str
    title: str
    trained_on: str = ""
    page: str = ""
    licence: str = ""
    by_hand: str = ""
    """How a person gets the files, where programs cannot."""
    files: dict[int, WeightsFile]
    published: dict[int, dict[str, tuple[float, float]]]
    numbers_from: str
    known: str = ""
    """What is known to make measured numbers differ from the published ones."""


@dataclass(frozen=True)
class Fetched:
    """A model of the catalogue, whether it was ``new``, and what there is to say."""

    model: Model
    new: bool
    notes: tuple[str, ...] = ()


@cache
def known() -> dict[str, Published]:
    """Everything in ``public.yaml``; bicubic has numbers, but no files."""
    content = yaml.safe_load(Path(__file__).with_name("public.yaml").read_text(encoding="utf-8"))
    return {name: Published.model_validate(entry) for name, entry in content.items()}


def names() -> list[str]:
    """The models that can be had."""
    return [name for name, entry in known().items() if entry.files]


def entry(name: str) -> Published:
    """One of them.

    Raises:
        UserError: unknown; the nearest is suggested.
    """
    if name not in names():
        raise unknown_name("published model", name, names())
    return known()[name]


def there(name: str, scale: int) -> Model | None:
    """The model where it was fetched before.

    Raises:
        UserError: a model of that name did not come from here.
    """
    model = next((m for m in catalog.models(scale) if m.name == name), None)
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


def by_hand(name: str, scale: int) -> str:
    """How a person gets the file."""
    one = entry(name)
    file = one.files[scale].file_name
    how = one.by_hand or f"get {file} from {one.page}"
    return f"{name}: {how}, then: mtkd models fetch {name} --scale {scale} --file FILE (the archive, or {file} in it)"


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
