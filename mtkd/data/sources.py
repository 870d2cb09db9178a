"""The public image sets: their files, sources, and folders on this computer.

Each set is a :class:`Source`, described by ``manifests/NAME.json``.
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
    """A file of a set. An archive contains ``images`` images, which are unpacked to ``folder``."""

    images: int | None = None

    @property
    def inner(self) -> str:
        """The folder in an archive of DIV2K: ``DIV2K_train_LR_bicubic_X4.zip`` -> ``DIV2K_train_LR_bicubic/X4``."""
        name, scaled, scale = self.path.stem.rpartition("_X")
        return f"{name}/X{scale}" if scaled else self.path.stem

    @property
    def folder(self) -> Path:
        """The folder of the images."""
        return self.path.parent if self.images is None else self.path.parent / self.inner

    @property
    def staged(self) -> Path:
        """Temporary place of the file until all files of its folder are present, so that nobody measures on half a
        set."""
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
        name: name in commands; the manifest's file name by default.
        title: name for readers; for a benchmark set also the name of its folder.
        kind: benchmark or training set.
        order: position among the sets of its kind in lists and tables.
        aliases: other names of a benchmark set's folder.
        default: whether a benchmark set is measured by default: by ``mtkd benchmark``, for cards.
        folder: folder of its files, below the data folder.
        flat: put all files directly into that folder, without the folders in their paths.
        base_url: prefix of the files' addresses.
        files: path, size and SHA-256 of each; a set without them cannot be fetched.
        images: number of images in each archive, by path.
        source, commit, checksums_from: origin of the files and of their SHA-256, for readers.
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
            UserError: no file matches, or the manifest lists none.
        """
        if not self.files:
            place = root / self.folder / self.title
            raise UserError(f"{self.name}: cannot be fetched, its manifest lists no files; put its images into {place}")
        matching = [
            SetFile(mirrored(self.base_url + path, mirror), self.place(root, path), size, digest, self.images.get(path))
            for path, size, digest in self.files
            if fnmatch.fnmatchcase(path, only)
        ]
        if not matching:
            raise UserError(
                f"--only {only}: no file of {self.name} matches; give a pattern for paths such as {self.files[0][0]}"
            )
        return matching

    def place(self, root: Path, path: str) -> Path:
        """Where one of the files lies."""
        return root / self.folder / (Path(path).name if self.flat else path)


@dataclass(frozen=True)
class Presence:
    """How many files of a set are present (for an archive: unpacked), by name and size."""

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
    """All public sets by name: benchmark sets, then training sets, each in order.

    Raises:
        UserError: a manifest with an unknown, missing or wrong key.
    """
    entries = [_read(path) for path in MANIFESTS.glob("*.json")]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: (entry.kind, entry.order, entry.name))}


def _read(path: Path) -> Source:
    try:
        return Source.model_validate({"name": path.stem} | json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error
    except ValidationError as error:
        raise UserError(explain(error, str(path), Source)) from error


def benchmark_sets() -> list[Source]:
    """The benchmark sets, in the order of tables."""
    return [entry for entry in sources().values() if entry.kind == "benchmark"]


def set_names() -> list[str]:
    """The titles of the benchmark sets, in the order of tables."""
    return [entry.title for entry in benchmark_sets()]


def default_sets() -> list[str]:
    """The titles of the benchmark sets that are measured by default."""
    return [entry.title for entry in benchmark_sets() if entry.default]


def source(name: str) -> Source:
    """One public set.

    Raises:
        UserError: unknown; the nearest is suggested.
    """
    if name not in sources():
        raise unknown_name("image set", name, sources())
    return sources()[name]


def presence(one: Source, root: Path) -> Presence:
    """How many files of a set are present, by name and size only; ``mtkd data fetch`` also checks the contents."""
    files = sum(remote.present for remote in one.remotes(root)) if one.files else 0
    return Presence(one, root / one.folder, files, len(one.files))


def missing(remotes: Sequence[SetFile], keep: bool = False) -> list[SetFile]:
    """The files to fetch; archives that are unpacked are needed only with ``keep``.

    Raises:
        UserError: a file or folder with other content exists; it is named and not changed.
    """
    from pooch import file_hash

    needed, conflicting = [], []
    for remote in remotes:
        if remote.path.exists() and file_hash(remote.path) != remote.sha256:
            conflicting.append(remote.path)
        elif remote.images is None and not remote.path.exists():
            needed.append(remote)
        elif remote.images is not None and (not remote.present or (remote.path.exists() and not keep)):
            if not remote.present and remote.folder.exists():
                raise UserError(f"{remote.folder}: exists, but is not the content of {remote.path.name}; move it away")
            needed.append(remote)  # one brought by hand is unpacked like a fetched one
    if conflicting:
        raise UserError(
            f"{conflicting[0]}: differs from the public file (SHA-256){_and_more(len(conflicting) - 1)}; move it away, "
            "then run the same command again"
        )
    return needed


def fetch(
    remotes: Sequence[SetFile],
    progress: Progress,
    unpacking: Callable[[str], None] = lambda name: None,
    keep: bool = False,
    workers: int = 4,
    patience: Patience = PATIENCE,
) -> None:
    """Fetch the :func:`missing` files of one set; archives are unpacked, and removed unless ``keep``.

    A folder of images appears once all of its files are received. A second process waits for the first.

    Raises:
        UserError: some files could not be fetched; the others are kept and not fetched again.
    """
    if not remotes:
        return
    with lock(lock_for(Path(os.path.commonpath([remote.path.parent for remote in remotes]), ".fetching"))):
        needed = missing(remotes, keep)  # another process may have been at it
        staged = [replace(remote, path=remote.staged) for remote in needed if not remote.path.exists()]
        failed = download_all(staged, progress, workers, patience)
        for folder in dict.fromkeys(remote.folder for remote in needed):
            files = [remote for remote in needed if remote.folder == folder]
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
