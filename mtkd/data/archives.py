"""Archives of images: unpacked whole or not at all, and nothing leaves its folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from mtkd.errors import UserError


def unpack(archive: Path, inner: str, folder: Path) -> None:
    """Unpack the folder ``inner`` of a zip file as ``folder``, which appears once it is whole.

    Raises:
        UserError: not a zip file, damaged, a path that leaves the folder, nothing in ``inner``, no space.
    """
    from pooch import Unzip

    half = folder.with_name(f".{folder.name}.unpacking")
    try:
        with zipfile.ZipFile(archive) as file:
            _check(archive, file.infolist())
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not Unzip([inner], str(half))(str(archive), "download", None):
            raise UserError(f"{archive}: holds no {inner}")
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
            raise UserError(f"{archive}: refused, nothing was unpacked: '{name}' would lie outside of the folder")
    room, free = sum(info.file_size for info in members), shutil.disk_usage(archive.parent).free
    if room > free:
        raise UserError(f"{archive}: no space left: {room:,} bytes are in it, {free:,} are free; make room")
