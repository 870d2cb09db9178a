"""Files on disk: atomic writes, hashes, and locks between processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mtkd.errors import Unwritable

UNFINISHED = ".unfinished"
"""Suffix of a file while it is being written."""


class Locked(Exception):  # noqa: N818
    """Another process holds the lock."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_hash(files: Iterable[Path]) -> str:
    """SHA-256 over names and contents of image files, 16 hex digits: identifies the images of a run or a set."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; on success it is synced and renamed to ``path``.

    A crash leaves the old file or the new one, never a part of it; a temporary file that is left behind is removed by
    :func:`remove_unfinished`.

    Raises:
        Unwritable: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    if path.is_symlink():  # the file that it leads to is written, as by other programs
        path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # a name as long as the file system allows leaves no room for more
        name = path.name if len(os.fsencode(path.name)) < 200 else path.name[:40]
        handle, temporary = tempfile.mkstemp(UNFINISHED, f".{name}.", path.parent)
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror})") from error
    os.close(handle)
    try:
        yield Path(temporary)
        with open(temporary, "rb+") as file:  # noqa: PTH123
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # noqa: PTH101  (mkstemp makes private files)
        Path(temporary).replace(path)
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file; see :func:`atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a file, UTF-8; see :func:`atomic_write`."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, content: Any) -> None:
    """Write an indented JSON file, keys in their order; see :func:`atomic_write`."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def remove_unfinished(folder: Path, seconds: float = 0) -> None:
    """Remove temporary files in ``folder`` or below that killed processes left behind.

    In a folder that other processes write to, ``seconds`` is the age from which a temporary file counts as abandoned.
    """
    for path in folder.rglob(f".*{UNFINISHED}"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime <= time.time() - seconds:
                path.unlink()


@contextlib.contextmanager
def lock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``. The lock is released when the process ends, however it ends.

    Raises:
        Locked: another process holds it, and ``wait`` is False.
    """
    from filelock import FileLock, Timeout  # its asynchronous part takes a while to import

    path.parent.mkdir(parents=True, exist_ok=True)
    file = FileLock(path, timeout=-1 if wait else 0)
    try:
        file.acquire()
    except Timeout:
        raise Locked(path) from None
    try:
        yield
    finally:
        file.release()


def is_locked(path: Path) -> bool:
    """Whether any process holds the lock file ``path``."""
    if not path.exists():
        return False
    try:
        with lock(path, wait=False):
            return False
    except Locked:
        return True
