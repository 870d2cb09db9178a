"""Files on disk: written whole or not at all, and recognised by their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mtkd.errors import Unwritable

UNFINISHED = ".unfinished"
"""What the name of a file ends in while it is being written."""


def data_hash(files: Iterable[Path]) -> str:
    """SHA-256 over names and contents of image files, 16 hex digits: identifies the images of a run or a set."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary file beside ``path`` to write to; on success it is synced and takes the name ``path``.

    A crash at any moment leaves the old file, or the new one, never a part; of the temporary one see
    :func:`remove_unfinished`.

    Raises:
        Unwritable: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(UNFINISHED, f".{path.name}.", path.parent)
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


def remove_unfinished(folder: Path, seconds: float = 0) -> None:
    """Remove what killed processes were writing in ``folder`` or below, if it has been untouched for so long.

    Of a folder that only this process writes to, that is all of it; of a shared one ``seconds`` tell the dead from
    the living.
    """
    for path in folder.rglob(f".*{UNFINISHED}"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime <= time.time() - seconds:
                path.unlink()
