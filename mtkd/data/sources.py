"""The public image sets: what they consist of, where that comes from, and where it lies on this computer.

``manifests/NAME.json`` lists each file of a set with its size and SHA-256, and how many images its archives hold.
Benchmark sets lie in ``benchmarks``, BSDS400 in ``train/BSDS400``, DIV2K's folders in ``DIV2K``.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Source:
    """One public image set.

    Attributes:
        name: as commands call it.
        title: as people do.
        url: what its files' paths are appended to.
        folder: where they lie, under the data folder.
        flat: whether all lie in that one folder, whatever their paths say.
        files: path, size and SHA-256 of each.
        images: of those that are archives, by path, the number of images.
    """

    name: str
    title: str
    url: str
    folder: Path
    flat: bool
    files: tuple[tuple[str, int, str], ...]
    images: Mapping[str, int] = field(default_factory=dict)

    def remotes(self, root: Path, only: str = "*", mirror: str | None = None) -> list[SetFile]:
        """The files whose paths match the pattern ``only``.

        Raises:
            UserError: none does.
        """
        found = [
            SetFile(mirrored(self.url + path, mirror), self.place(root, path), size, digest, self.images.get(path))
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
        return self.files == self.of

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
    """Every public set by name."""
    found = {}
    for path in sorted(MANIFESTS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        name = path.stem
        folder = {"bsds400": Path("train/BSDS400"), "div2k": Path("DIV2K")}.get(name, Path("benchmarks"))
        files = tuple((str(p), int(size), str(digest)) for p, size, digest in content["files"])
        images = content.get("images", {})
        found[name] = Source(name, content["dataset"], content["base_url"], folder, name == "bsds400", files, images)
    return found


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
    there = sum(remote.present for remote in one.remotes(root))
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
