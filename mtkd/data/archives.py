"""Unpack archives of images, completely or not at all, and only below their folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from mtkd.errors import UserError


def unpack(archive: Path, inner: str, folder: Path) -> None:
    """Unpack the folder ``inner`` of a zip file to ``folder``, which appears once it is complete.

    Raises:
        UserError: not a zip file, damaged, a path outside of the folder, no ``inner``, no space.
    """
    from pooch import Unzip

    half = folder.with_name(f".{folder.name}.unpacking")
    try:
        with zipfile.ZipFile(archive) as file:
            _check(archive, file.infolist())
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not Unzip([inner], str(half))(str(archive), "download", None):
            raise UserError(f"{archive}: contains no folder {inner}; remove it, then fetch it again")
        (half / inner).rename(folder)
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive}: damaged archive ({error}); remove it, then fetch it again") from error
    except OSError as error:
        raise UserError(f"{archive}: cannot be unpacked ({error.strerror or error})") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _check(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    for info in members:
        name = PurePosixPath(info.filename)
        linked = stat.S_ISLNK(info.external_attr >> 16)
        if name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename or linked:
            raise UserError(f"{archive}: not unpacked, since '{name}' would lie outside of the folder; remove it")
    room, free = sum(info.file_size for info in members), shutil.disk_usage(archive.parent).free
    if room > free:
        raise UserError(f"{archive}: no space left: {room:,} bytes needed, {free:,} free; free some space")
