"""Archives of images: unpacked whole or not at all; nothing leaves its folder; what is damaged is told.

The images are written one by one into a hidden folder beside their place, which takes its name in the end: a process
that is killed goes on with the next image. The folder then holds ``.unpacked.json``, with the archive's hash and the
size of each image.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock
from PIL import Image

from mtkd.downloads import FULL, lock_for
from mtkd.errors import UserError
from mtkd.images import SUFFIXES

RECORD = ".unpacked.json"


def unpacked(folder: Path, sha256: str) -> bool:
    """Whether the archive of this hash was unpacked under ``folder``, and all of its images still are there."""
    for record in (*folder.glob(f"*/{RECORD}"), *folder.glob(f"*/*/{RECORD}")):
        with suppress(OSError, ValueError, KeyError):
            known = json.loads(record.read_text(encoding="utf-8"))
            if known["sha256"] == sha256:
                return all(
                    (record.parent / name).is_file() and (record.parent / name).stat().st_size == size
                    for name, size in known["files"].items()
                )
    return False


def unpack(archive: Path, sha256: str, progress: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """Unpack the images of a zip file beside it, and return their folder.

    Each image is checked (the archive's CRC, and the image file's structure). Folders that hold nothing but one folder
    are followed: an archive of ``LR/X4/...`` gives ``LR/X4`` and leaves ``LR/X2`` alone.

    Raises:
        UserError: not a zip file, damaged, a path that leaves the folder, no images, no space, or the place is taken.
    """
    with FileLock(lock_for(archive)):
        try:
            with zipfile.ZipFile(archive) as file:
                return _unpack(archive, file, sha256, progress)
        except zipfile.BadZipFile as error:
            raise UserError(f"{archive}: damaged archive ({error}); remove it, then fetch it again") from error
        except OSError as error:
            room = "; make room, then the same command goes on" if error.errno in FULL else ""
            raise UserError(f"{archive}: cannot be unpacked ({error.strerror or error}){room}") from error


def _unpack(archive: Path, file: zipfile.ZipFile, sha256: str, progress: Callable[[int, int], None]) -> Path:
    images = {_safe(archive, info): info for info in file.infolist() if not info.is_dir()}
    images = {
        name: info
        for name, info in images.items()
        if name.suffix.lower() in SUFFIXES and not name.name.startswith(".")  # ._x.png of a Mac
    }
    if not images:
        raise UserError(f"{archive}: holds no images")
    inner = PurePosixPath(os.path.commonpath([name.parent for name in images]))
    if not inner.parts:
        inner = PurePosixPath(archive.stem)
        images = {inner / name: info for name, info in images.items()}
    place = archive.parent / inner
    if place.exists():
        raise UserError(f"{place}: is there, but is not what {archive.name} holds; move it away, then try again")
    new = place.with_name(f".{place.name}.unpacking")
    room, free = sum(info.file_size for info in images.values()), shutil.disk_usage(archive.parent).free
    if not new.exists() and room > free:
        raise UserError(
            f"{archive.parent}: no space left: the images take {room:,} bytes, {free:,} are free; make room"
        )
    for done, (name, info) in enumerate(images.items(), 1):
        _write(archive, file, info, new / name.relative_to(inner))
        progress(done, len(images))
    sizes = {str(name.relative_to(inner)): info.file_size for name, info in images.items()}
    (new / RECORD).write_text(json.dumps({"archive": archive.name, "sha256": sha256, "files": sizes}), encoding="utf-8")
    new.rename(place)
    return place


def _safe(archive: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member, which stays below the folder that it is unpacked into."""
    name = PurePosixPath(info.filename)
    linked = stat.S_ISLNK(info.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename or linked:
        raise UserError(f"{archive}: refused, nothing was unpacked: '{info.filename}' would lie outside of the folder")
    return name


def _write(archive: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    if path.exists():  # by a process that was stopped: only whole images have their names
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}")
    with file.open(info) as source, half.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)  # zipfile compares the CRC at the end
        target.flush()
        os.fsync(target.fileno())
    try:
        with Image.open(half) as image:
            image.verify()
    except Exception as error:  # damaged files make decoders raise almost anything
        raise UserError(f"{archive}: '{info.filename}' in it is a damaged image ({error})") from error
    half.rename(path)
