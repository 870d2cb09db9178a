"""The public image sets: what they consist of, where that comes from, and where it lies on this computer.

``manifests/NAME.json`` is a :class:`Source`: what a set is called, where it lies, and its files.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mtkd.config import Strict, explain
from mtkd.data.archives import unpack
from mtkd.downloads import PATIENCE, Patience, Progress, Remote, download_all, lock_for, mirrored
from mtkd.errors import UserError, unknown_name
from mtkd.files import lock

MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class SetFile(Remote):
    """A file of a set; an archive is one that holds ``images``, which lie in ``folder`` once it is unpacked."""

    images: int | None = None

    @property
    def inner(self) -> str:
        """The folder in an archive of DIV2K: ``DIV2K_train_LR_bicubic_X4.zip`` -> ``DIV2K_train_LR_bicubic/X4``."""
        name, scaled, scale = self.path.stem.rpartition("_X")
        return f"{name}/X{scale}" if scaled else self.path.stem

    @property
    def folder(self) -> Path:
        """Where images appear together."""
        return self.path.parent if self.images is None else self.path.parent / self.inner

    @property
    def staged(self) -> Path:
        """Where the file lies until all of its folder are there: nobody measures on half a set."""
        return self.folder.with_name(f".{self.folder.name}.fetching") / self.path.name

    @property
    def present(self) -> bool:
        """By name and size; of an archive, by the number of its images."""
        if self.images is None:
            return self.path.is_file() and self.path.stat().st_size == self.size
        return self.folder.is_dir() and sum(path.suffix == ".png" for path in self.folder.iterdir()) == self.images


class Source(Strict):
    """One public image set, as its manifest describes it.

    Attributes:
        name: as commands call it; by default the manifest's file name.
        title: as people do; of a benchmark set also the name of its folder.
        kind: benchmark sets are measured, training sets are not.
        order: place among the sets of its kind, in lists and tables.
        aliases: other names of a benchmark set's folder.
        default: whether a benchmark set is measured where none is named: by ``mtkd benchmark``, for models' cards.
        folder: where its files lie, under the data folder.
        flat: whether all lie in that one folder, whatever their paths say.
        base_url: what its files' paths are appended to.
        files: path, size and SHA-256 of each; a set without them cannot be fetched.
        images: of those that are archives, by path, the number of images.
        source, commit, checksums_from: where the files and their SHA-256 come from, for people.
    """

    name: str
    title: str
    kind: Literal["benchmark", "training"] = "benchmark"
    order: int
    aliases: tuple[str, ...] = ()
    default: bool = False
    folder: Path = Path("benchmarks")
    flat: bool = False
    base_url: str = ""
    files: tuple[tuple[str, int, str], ...] = ()
    images: dict[str, int] = Field(default_factory=dict)
    source: str = ""
    commit: str = ""
    checksums_from: str = ""

    def remotes(self, root: Path, only: str = "*", mirror: str | None = None) -> list[SetFile]:
        """The files whose paths match the pattern ``only``.

        Raises:
            UserError: none does, or the manifest lists none.
        """
        if not self.files:
            place = root / self.folder / self.title
            raise UserError(f"{self.name}: its manifest lists no files to fetch; put its images into {place}")
        found = [
            SetFile(mirrored(self.base_url + path, mirror), self.place(root, path), size, digest, self.images.get(path))
            for path, size, digest in self.files
            if fnmatch.fnmatchcase(path, only)
        ]
        if not found:
            raise UserError(f"--only {only}: no file of {self.name} matches; they are called e.g. {self.files[0][0]}")
        return found

    def place(self, root: Path, path: str) -> Path:
        """Where one of the files lies."""
        return root / self.folder / (Path(path).name if self.flat else path)


@dataclass(frozen=True)
class Presence:
    """How much of a set is there: of its files (of an archive: unpacked), by name and size."""

    source: Source
    folder: Path
    files: int
    of: int

    @property
    def complete(self) -> bool:
        return 0 < self.of == self.files

    def row(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.source.name,
            "title": self.source.title,
            "folder": str(self.folder),
            "files": self.files,
            "of": self.of,
            "complete": self.complete,
        }


@cache
def sources() -> dict[str, Source]:
    """Every public set by name: benchmark sets, then training sets, in their order.

    Raises:
        UserError: a manifest with an unknown, missing or wrong key.
    """
    found = [_read(path) for path in MANIFESTS.glob("*.json")]
    return {one.name: one for one in sorted(found, key=lambda one: (one.kind, one.order, one.name))}


def _read(path: Path) -> Source:
    try:
        return Source.model_validate({"name": path.stem} | json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error
    except ValidationError as error:
        raise UserError(explain(error, str(path), Source)) from error


def benchmark_sets() -> list[Source]:
    """The sets that are measured, in the order of tables."""
    return [one for one in sources().values() if one.kind == "benchmark"]


def set_names() -> list[str]:
    """The titles of the benchmark sets, in the order of tables."""
    return [one.title for one in benchmark_sets()]


def default_sets() -> list[str]:
    """The titles of those that are measured where none is named."""
    return [one.title for one in benchmark_sets() if one.default]


def source(name: str) -> Source:
    """One public set.

    Raises:
        UserError: unknown; the nearest is suggested.
    """
    if name not in sources():
        raise unknown_name("image set", name, sources())
    return sources()[name]


def presence(one: Source, root: Path) -> Presence:
    """How much of a set is there, by names and sizes alone; ``mtkd data fetch`` looks at the contents too."""
    there = sum(remote.present for remote in one.remotes(root)) if one.files else 0
    return Presence(one, root / one.folder, there, len(one.files))


def missing(remotes: Sequence[SetFile], keep: bool = False) -> list[SetFile]:
    """Those that are not there; archives that are unpacked are not wanted, unless they are to be kept.

    Raises:
        UserError: a file or a folder of that name is there, with other content: named, not touched.
    """
    from pooch import file_hash

    left, other = [], []
    for remote in remotes:
        if remote.path.exists() and file_hash(remote.path) != remote.sha256:
            other.append(remote.path)
        elif remote.images is None and not remote.path.exists():
            left.append(remote)
        elif remote.images is not None and (not remote.present or (remote.path.exists() and not keep)):
            if not remote.present and remote.folder.exists():
                raise UserError(f"{remote.folder}: is there, but is not what {remote.path.name} holds; move it away")
            left.append(remote)  # one brought by hand is unpacked like a fetched one
    if other:
        raise UserError(
            f"{other[0]}: not the public file of that name (another SHA-256){_and_more(len(other) - 1)}; move "
            "it away, then the same command fetches it"
        )
    return left


def fetch(
    remotes: Sequence[SetFile],
    progress: Progress,
    unpacking: Callable[[str], None] = lambda name: None,
    keep: bool = False,
    workers: int = 4,
    patience: Patience = PATIENCE,
) -> None:
    """Fetch what :func:`missing` says of files of one set; archives are unpacked, and removed unless ``keep``.

    A folder of images appears once all of its files have come. Of two processes the second waits.

    Raises:
        UserError: some files could not be fetched; the others are kept, and not fetched again.
    """
    if not remotes:
        return
    with lock(lock_for(Path(os.path.commonpath([remote.path.parent for remote in remotes]), ".fetching"))):
        left = missing(remotes, keep)  # another process may have been at it
        staged = [replace(remote, path=remote.staged) for remote in left if not remote.path.exists()]
        failed = download_all(staged, progress, workers, patience)
        for folder in dict.fromkeys(remote.folder for remote in left):
            files = [remote for remote in left if remote.folder == folder]
            if files[0].images is not None:
                _settle_archive(files[0], unpacking, keep)
            elif all(remote.staged.exists() for remote in files):
                _settle(files)
    if failed:
        raise UserError(f"{failed[0]}{_and_more(len(failed) - 1)}")


def _settle_archive(remote: SetFile, unpacking: Callable[[str], None], keep: bool) -> None:
    archive = remote.path if remote.path.exists() else remote.staged
    if not archive.exists():
        return
    if not remote.present:
        unpacking(remote.path.name)
        unpack(archive, remote.inner, remote.folder)
    if keep:
        archive.replace(remote.path)
    else:
        archive.unlink()
    shutil.rmtree(remote.staged.parent, ignore_errors=True)


def _settle(files: Sequence[SetFile]) -> None:
    """Give the files of one folder their places, at once where the folder is new."""
    staging, folder = files[0].staged.parent, files[0].folder
    names = {remote.path.name for remote in files}
    for path in list(staging.iterdir()):
        if path.name not in names:  # of a process that was killed
            path.unlink()
        elif folder.exists():
            path.replace(folder / path.name)
    if folder.exists():
        staging.rmdir()
    else:
        staging.rename(folder)


def _and_more(count: int) -> str:
    return f" (and {count} more files)" if count else ""
