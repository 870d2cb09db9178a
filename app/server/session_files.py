"""The files of the explorer: pictures that the page shows and what people send, in one folder removed at the end.

Everything lies in one folder, Gradio's own temporary files too: ``made/NAME``, with a name that cannot be guessed,
holds what one session made, and the folders beside ``made`` what was uploaded, by content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from gradio.context import LocalContext
from PIL import Image

PREFIX = "mtkd-explorer-"
GROUPS, SESSIONS = 8, 256
"""So many groups of pictures of a slot stay, the one that is shown and those being made, and so many sessions."""
SPACE = 2 << 30
"""Bytes of all uploads together, and again of all that was made from them."""
IDLE = 600
"""Seconds that an upload stays which no page has; older ones go when there is no more room."""
DAY = 86_400
_ADDRESS = "gradio_api/file="
CLOSED = 6
"""Seconds from a page's closing to the end of its files: a connection that broke for a moment comes back."""


@dataclass
class Session:
    """What one page has on disk."""

    folder: Path
    groups: dict[str, deque[Path]] = field(default_factory=dict)
    uploads: set[Path] = field(default_factory=set)
    used: float = field(default_factory=time.time)
    closed: float | None = None


class Pictures:
    """A private temporary folder with a folder a session; ends with the server, or what a killed one left at the next.

    Args:
        closed: see :data:`CLOSED`.
    """

    def __init__(self, closed: float = CLOSED) -> None:
        self._place = os.environ.get("GRADIO_TEMP_DIR")
        _sweep_dead(Path(self._place or tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._place)).resolve()
        self._alive = FileLock(self.folder / ".alive")
        self._alive.acquire()
        self.made = self.folder / "made"
        self.made.mkdir()
        self.closed = closed
        self.forget: Callable[[str], object] = lambda name: None
        self._sessions: dict[str, Session] = {}
        self._expected = 0
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._kept: set[Path] = set()
        os.environ["GRADIO_TEMP_DIR"] = str(self.folder)  # before the page is built: its parts look here

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *_: object) -> None:
        if self._place:
            os.environ["GRADIO_TEMP_DIR"] = self._place
        else:
            os.environ.pop("GRADIO_TEMP_DIR", None)
        self._ended.set()
        self._alive.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def watch(self, forget: Callable[[str], object]) -> None:
        """Begin to tidy up; what Gradio has put into the folder by now, as the examples, stays.

        Args:
            forget: called with the name of a session whose files went.
        """
        self.forget = forget
        self._kept = set(self.folder.iterdir())
        threading.Thread(target=self._tidy_up, daemon=True).start()

    # --- sessions

    def group(self, slot: str) -> PictureGroup:
        """A new, empty folder of the session that asks, for what one place shows; that place's oldest one goes."""
        with self._lock:
            session = self._session(asking_session())
            path = session.folder / uuid.uuid4().hex
            path.mkdir(parents=True)
            groups = session.groups.setdefault(slot, deque())
            groups.append(path)
            while len(groups) > GROUPS:
                shutil.rmtree(groups.popleft(), ignore_errors=True)
        return PictureGroup(path)

    def use(self, *uploads: str | None) -> None:
        """The session that asks has these uploads: they stay as long as it does."""
        with self._lock:
            for upload in filter(None, uploads):
                path = Path(upload)
                if path.is_relative_to(self.folder) and not {self.made, *self._kept} & set(path.parents):
                    self._session(asking_session()).uploads.add(path)
                    with contextlib.suppress(OSError):
                        os.utime(path)

    def _session(self, name: str) -> Session:
        if name not in self._sessions:
            self._sessions[name] = Session(self.made / uuid.uuid4().hex)
        session = self._sessions.pop(name)  # to the end: the first one is the one that was used least recently
        self._sessions[name] = session
        session.used, session.closed = time.time(), None
        while len(self._sessions) > SESSIONS:
            self._drop(next(iter(self._sessions)))
        return session

    def opened(self, name: str) -> None:
        """A page has a connection, perhaps once more."""
        with self._lock:
            if name in self._sessions:
                self._sessions[name].closed = None

    def close(self, name: str | None) -> None:
        """A page was closed: unless it comes back soon, its files go."""
        with self._lock:
            if name in self._sessions:
                self._sessions[name].closed = time.time()

    def _drop(self, name: str) -> None:
        session = self._sessions.pop(name)
        shutil.rmtree(session.folder, ignore_errors=True)
        others = {path for other in self._sessions.values() for path in other.uploads}
        for path in session.uploads - others:
            _remove(path)
        self.forget(name)

    # --- space

    def holds(self, path: Path) -> bool:
        """The path, links followed, is a file of this folder."""
        try:
            return path.resolve(strict=True).is_relative_to(self.folder) and path.is_file()
        except (OSError, ValueError, RuntimeError):
            return False

    @contextlib.contextmanager
    def expecting(self, size: int) -> Iterator[bool]:
        """Make room for an upload that is on its way; False if there is none. The oldest that nobody uses go first."""
        with self._lock:
            self._expected += size
            fits = not size or self._make_room()
        try:
            yield fits
        finally:
            with self._lock:
                self._expected -= size

    def _make_room(self) -> bool:
        files = [(path.stat(), path) for path in self._uploads()]
        total = self._expected + sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
            if total <= SPACE or stat.st_mtime > time.time() - IDLE:
                break
            _remove(path)
            total -= stat.st_size
        return total <= SPACE

    def _uploads(self) -> list[Path]:
        tops = [top for top in self.folder.iterdir() if top not in self._kept and top != self.made]
        return [file for top in tops for file in (top.iterdir() if top.is_dir() else [top]) if file.is_file()]

    def _tidy_up(self) -> None:
        while not self._ended.wait(min(self.closed, 5) / 2):
            with contextlib.suppress(OSError), self._lock:
                self.tidy()

    def tidy(self) -> None:
        """Remove what closed or silent sessions left, uploads that no session has, and the oldest beyond the space."""
        now = time.time()
        for name, session in list(self._sessions.items()):
            if now - session.used > DAY or (session.closed and now - session.closed > self.closed):
                self._drop(name)
        used = {path for session in self._sessions.values() for path in session.uploads}
        for path in self._uploads():
            if path not in used and now - path.stat().st_mtime > IDLE:
                _remove(path)
        groups = sorted(self.made.glob("*/*"), key=lambda path: path.stat().st_mtime)
        total = sum(file.stat().st_size for group in groups for file in group.iterdir())
        for group in groups[:-1]:
            if total <= SPACE:
                break
            total -= sum(file.stat().st_size for file in group.iterdir())
            shutil.rmtree(group, ignore_errors=True)


def asking_session() -> str:
    """The session of the event that is being answered."""
    request = LocalContext.request.get(None)
    return (request and request.session_hash) or ""


def _remove(upload: Path) -> None:
    upload.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        upload.parent.rmdir()


def _sweep_dead(place: Path) -> None:
    """Remove the folders of servers that were killed: nobody holds their lock."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            mine = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
            if mine and not folder.is_symlink() and (folder / ".alive").is_file():
                with FileLock(folder / ".alive", timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


class PictureGroup:
    """The pictures of one comparison."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, image: np.ndarray) -> str:
        """Write a picture as PNG and return its address, relative to the page."""
        return f"{_ADDRESS}{self.write(name, image).as_posix()}"

    @classmethod
    def of(cls, address: str) -> PictureGroup:
        """The group of a picture that was saved, by its address."""
        return cls(Path(address.removeprefix(_ADDRESS)).parent)

    def path(self, name: str) -> Path:
        """Where the picture of this name is, or will be."""
        return self.folder / f"{_plain(name)}.png"

    def write(self, name: str, image: np.ndarray) -> Path:
        """Write a picture as PNG and return its path."""
        Image.fromarray(image).save(self.path(name), compress_level=3)
        return self.path(name)

    def mapped(self, name: str, array: np.ndarray) -> np.ndarray:
        """The same array, on disk and read where it is needed: what sessions keep takes no memory."""
        path = self.folder / f"{_plain(name)}.npy"
        np.save(path, array)
        return np.asarray(np.load(path, mmap_mode="r"))

    def file(self, name: str, content: bytes) -> str:
        """Write a file to be downloaded and return its path."""
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)  # it may have been the oldest in the meantime
        path.write_bytes(content)
        return str(path)

    def text(self, name: str, content: str) -> str:
        """The same for a text."""
        return self.file(name, content.encode())

    def zip(self, name: str, members: dict[str, str]) -> str:
        """Pack pictures of the group, the name in the archive for that here, into one file and return its path."""
        path = self.folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for member, picture in members.items():
                archive.write(self.path(picture), f"{_plain(member)}.png")
        return str(path)


def _plain(name: str) -> str:
    """A name as a file's: those of uploads may hold anything. Equal names stay equal, others unequal."""
    plain = re.sub(r"[^A-Za-z0-9._@-]", "-", name)
    return plain if plain == name else f"{plain[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
