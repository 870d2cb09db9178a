"""The public image sets: what they consist of, where that comes from, and where it lies on this computer.

``manifests/NAME.json`` lists each file of a set with its size and SHA-256. Benchmark sets lie in ``benchmarks``,
BSDS400 in ``train/BSDS400``, DIV2K's folders in ``DIV2K``.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from mtkd.data import archives
from mtkd.data.side_by_side import download_all
from mtkd.downloads import PATIENCE, Patience, Progress, Remote, lock_for, sha256_of
from mtkd.errors import UserError, unknown_name
from mtkd.web import mirrored

MANIFESTS = Path(__file__).parent / "manifests"


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
    """

    name: str
    title: str
    url: str
    folder: Path
    flat: bool
    files: tuple[tuple[str, int, str], ...]

    def remotes(self, root: Path, only: str = "*", mirror: str | None = None) -> list[Remote]:
        """The files whose paths match the pattern ``only``.

        Raises:
            UserError: none does.
        """
        found = [
            Remote(mirrored(self.url + path, mirror), self.place(root, path), size, digest)
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
        found[name] = Source(name, content["dataset"], content["base_url"], folder, name == "bsds400", files)
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
    there = 0
    for remote in one.remotes(root):
        if _is_archive(remote):
            there += _unpacked(remote)
        else:
            there += remote.path.is_file() and remote.path.stat().st_size == remote.size
    return Presence(one, root / one.folder, there, len(one.files))


def _is_archive(remote: Remote) -> bool:
    return remote.path.suffix == ".zip"


def _image_folder(archive: Path) -> Path:
    """Where DIV2K's archives put their images: ``DIV2K_train_LR_bicubic_X4.zip`` -> ``DIV2K_train_LR_bicubic/X4``."""
    name, scaled, scale = archive.stem.rpartition("_X")
    return archive.parent / name / f"X{scale}" if scaled else archive.parent / archive.stem


def _unpacked(remote: Remote) -> bool:
    """Whether an archive's images are there: unpacked by us, or as many as should be in a folder that was brought."""
    if archives.unpacked(remote.path.parent, remote.sha256 or ""):
        return True
    folder, count = _image_folder(remote.path), 100 if "valid" in remote.path.stem else 800
    return folder.is_dir() and sum(path.suffix == ".png" for path in folder.iterdir()) == count


def missing(remotes: Sequence[Remote], keep: bool = False) -> list[Remote]:
    """Those that are not there, or not as they should be; archives that are unpacked, unless they are to be kept.

    Raises:
        UserError: a file or a folder of that name is there, with other content: named, not touched.
    """
    left, other = [], []
    for remote in remotes:
        there = remote.path.exists()
        if _is_archive(remote):
            if not _unpacked(remote) or (there and not keep):
                left.append(remote)  # one brought by hand is checked and unpacked like a fetched one
            folder = _image_folder(remote.path)
            if not _unpacked(remote) and folder.exists():
                raise UserError(f"{folder}: is there, but is not what {remote.path.name} holds; move it away")
        elif not there:
            left.append(remote)
        elif sha256_of(remote.path) != remote.sha256:
            other.append(remote.path)
    if other:
        raise UserError(
            f"{other[0]}: not the public file of that name (another SHA-256){_and_more(len(other) - 1)}; move "
            "it away, then the same command fetches it"
        )
    return left


def fetch(
    remotes: Sequence[Remote],
    progress: Progress,
    unpacking: Callable[[str, int, int], None] = lambda name, done, of: None,
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
    with FileLock(lock_for(Path(os.path.commonpath([remote.path.parent for remote in remotes]), ".fetching"))):
        left = missing(remotes, keep)  # another process may have been at it
        staged = [r if _is_archive(r) else replace(r, path=_staging(r.path)) for r in left]
        failed = download_all(staged, progress, workers, patience)
        for remote in filter(_is_archive, left):
            if remote.path.exists():
                if not _unpacked(remote):
                    archives.unpack(remote.path, remote.sha256 or "", partial(unpacking, remote.path.name))
                if not keep:
                    remote.path.unlink()
        images = [remote for remote in left if not _is_archive(remote)]
        for folder in dict.fromkeys(remote.path.parent for remote in images):
            if all(_staging(remote.path).exists() for remote in images if remote.path.parent == folder):
                _settle(folder)
    if failed:
        raise UserError(f"{failed[0]}{_and_more(len(failed) - 1)}")


def _staging(path: Path) -> Path:
    """Where a file lies until all of its folder are there: nobody measures on half a set."""
    return path.parent.with_name(f".{path.parent.name}.fetching") / path.name


def _settle(folder: Path) -> None:
    staging = _staging(folder / "any").parent
    if not folder.exists():
        staging.rename(folder)
        return
    for path in list(staging.iterdir()):
        path.replace(folder / path.name)
    staging.rmdir()


def _and_more(count: int) -> str:
    return f" (and {count} more files)" if count else ""
