"""Image files of a folder."""

from __future__ import annotations

from pathlib import Path

from mtkd.errors import UserError
from mtkd.images.formats import SUFFIXES


def find_images(folder: str | Path) -> list[Path]:
    """All image files directly in ``folder``, sorted by name; hidden ones (``._x.png`` of a Mac) are left out.

    Raises:
        UserError: no such folder, unreadable, or no image in it.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            problem = "a file, not a folder" if folder.exists() else "no such folder"
            raise UserError(f"{folder}: {problem}; give a folder of images")
        visible = [p for p in folder.iterdir() if not p.name.startswith(".")]
        files = sorted(p for p in visible if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    if not files:
        raise UserError(f"{folder}: no images ({', '.join(SUFFIXES)})")
    return files
