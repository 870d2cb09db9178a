"""The pictures that the page shows: lossless PNG files in a folder of their own, removed at the end."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import uuid
import zipfile
from collections import deque
from pathlib import Path

import numpy as np
from PIL import Image


class Pictures:
    """A temporary folder with one sub-folder a comparison; only the last ``keep`` comparisons stay on disk."""

    def __init__(self, keep: int = 256) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mtkd-explorer-")).resolve()
        self.keep = keep
        self._groups: deque[Path] = deque()

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def group(self) -> PictureGroup:
        """A new, empty sub-folder with a name that cannot be guessed; the oldest one goes."""
        path = self.folder / uuid.uuid4().hex
        path.mkdir()
        self._groups.append(path)
        while len(self._groups) > self.keep:
            shutil.rmtree(self._groups.popleft(), ignore_errors=True)
        return PictureGroup(path)


class PictureGroup:
    """The pictures of one comparison."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, image: np.ndarray) -> str:
        """Write a picture as PNG and return its address, relative to the page."""
        return f"gradio_api/file={self.write(name, image).as_posix()}"

    def write(self, name: str, image: np.ndarray) -> Path:
        """Write a picture as PNG and return its path."""
        path = self.folder / f"{_plain(name)}.png"
        Image.fromarray(image).save(path, compress_level=3)
        return path

    def file(self, name: str, content: bytes) -> str:
        """Write a file to be downloaded and return its path."""
        path = self.folder / name
        self.folder.mkdir(exist_ok=True)  # it may have been the oldest in the meantime
        path.write_bytes(content)
        return str(path)

    def text(self, name: str, content: str) -> str:
        """The same for a text."""
        return self.file(name, content.encode())

    def zip(self, name: str, members: dict[str, np.ndarray]) -> str:
        """Pack pictures as PNG into one archive and return its path."""
        path = self.folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for member, image in members.items():
                with archive.open(f"{_plain(member)}.png", "w") as file:
                    Image.fromarray(image).save(file, format="PNG", compress_level=3)
        return str(path)


def _plain(name: str) -> str:
    """A name as a file's: those of uploads may hold anything. Equal names stay equal, others unequal."""
    plain = re.sub(r"[^A-Za-z0-9._@-]", "-", name)
    return plain if plain == name else f"{plain[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
