"""Files from the network: resumed, checked, whole or not there; killed at any moment, nothing is lost or corrupt.

A file comes into ``NAME.part``, written without buffers, beside ``NAME.part.json``, which says what the server called
it (size, ETag, date). It goes on from there only if the server still has the same file; it takes its name once its
size and hash are right and it is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from mtkd.errors import UserError
from mtkd.files import atomic_write
from mtkd.home import home
from mtkd.web import PassingError, RangeError, extent, names, open_url

PIECE = 1 << 16
"""Bytes that are read and written at once: what a killed download repeats at most."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int], None]
"""Called with the number of bytes that came; negative where bytes are thrown away."""


@dataclass(frozen=True)
class Remote:
    """One file to fetch; ``size`` and ``sha256`` (64 hexadecimal digits) are checked where they are known."""

    url: str
    path: Path
    size: int | None = None
    sha256: str | None = None

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def origin(self) -> Path:
        return self.path.with_name(self.path.name + ".part.json")


@dataclass(frozen=True)
class Patience:
    """How often a file is tried in a row without a byte coming, with pauses of ``pause``, twice that, ... seconds, and
    after how many seconds of silence a connection is given up."""

    tries: int = 4
    pause: float = 1.0
    silence: float = 30.0


PATIENCE = Patience()


class Stopped(Exception):  # noqa: N818
    """The download was told to stop; what came is kept."""


class Hopeless(UserError):  # noqa: N818
    """No file at all can come: the disk is full, or the network away."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    remote: Remote,
    progress: Progress = lambda count: None,
    patience: Patience = PATIENCE,
    stop: threading.Event | None = None,
) -> str:
    """Fetch one file, or find it there, and return its SHA-256.

    Processes that want the same file take turns; the later ones find it done.

    Raises:
        Stopped: ``stop`` was set.
        UserError: not there (404), not reachable, given up after ``patience``, other content than expected, no space.
    """
    try:
        remote.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_for(remote.path)):
            if not remote.path.exists():
                return _Download(remote, progress, patience, stop or threading.Event()).run()
            progress(remote.path.stat().st_size)
            found = sha256_of(remote.path)
    except OSError as error:
        raise UserError(f"{remote.path}: cannot be written ({error.strerror or error})") from error
    if remote.sha256 and found != remote.sha256:
        raise UserError(
            f"{remote.path}: is there, but its SHA-256 is {found}, not {remote.sha256}; move it away, then try again"
        )
    return found


def lock_for(path: Path) -> Path:
    """A lock is never removed, which would not be safe, and so lies where nobody sees it."""
    folder = home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.lock"


@dataclass
class _Download:
    remote: Remote
    progress: Progress
    patience: Patience
    stop: threading.Event
    told: int = field(default=0, init=False)
    """How many bytes ``progress`` knows of."""

    def run(self) -> str:
        """Try until the whole file has come and is right; returns its hash."""
        failures, again = 0, False
        while True:
            before = self.length()
            try:
                began = self.attempt()
            except PassingError as error:
                failures = 1 if self.length() > before else failures + 1
                if failures >= self.patience.tries:
                    raise self.given_up(error) from error
                if self.stop.wait(self.patience.pause * 2 ** (failures - 1)):
                    raise Stopped from None
                continue
            except OSError as error:
                raise self.cannot_write(error) from error
            found = sha256_of(self.remote.part)
            if (problem := self.problem(found)) is None:
                self.finish()
                return found
            self.forget()
            if began == 0 or again:
                raise UserError(f"{self.remote.url}: {problem}; nothing of it was kept")
            again = True  # what lay there may have been damaged: once more, from its beginning

    def attempt(self) -> int:
        """One connection: go on where the part ends, if the server still has the same file, else begin anew.

        Returns:
            Where it began.
        """
        origin = self.origin()
        have = self.length() if origin else 0
        if origin and have and have == origin["size"]:  # killed after the last byte
            self.tell(have)
            return have
        headers = {}
        if origin and have:
            headers["Range"] = f"bytes={have}-"
            if same := origin["etag"] or origin["modified"]:
                headers["If-Range"] = same
        try:
            response = open_url(self.remote.url, headers, self.patience.silence)
        except RangeError:
            self.forget()
            raise
        with response:
            begins, size = extent(response)
            if begins and (begins != have or not origin or names(response, size) != _names_of(origin)):
                self.forget()
                raise PassingError("the file changed on the server; begun anew")
            self.check(size, begins)
            if not begins:
                self.remember(response, size)
            self.copy(response, begins)
        if size is not None and self.length() < size:
            raise PassingError(f"the connection was cut after {self.length():,} of {size:,} bytes")
        return begins

    def copy(self, response: Any, begins: int) -> None:
        with self.remote.part.open("r+b" if begins else "wb", buffering=0) as file:
            position = file.seek(begins)
            self.tell(position)
            while not self.stop.is_set():
                try:
                    piece = response.read1(PIECE)
                except TimeoutError:
                    raise PassingError(f"silent for {self.patience.silence:g} seconds") from None
                except (OSError, http.client.HTTPException) as error:
                    raise PassingError(error) from error
                if not piece:
                    return
                while piece:  # a disk that is all but full takes a part of it
                    written = file.write(piece)
                    piece = piece[written:]
                    position += written
                self.tell(position)
        raise Stopped

    def tell(self, position: int) -> None:
        """Report how much of the file is there."""
        if position != self.told:
            self.progress(position - self.told)
            self.told = position

    def length(self) -> int:
        part = self.remote.part
        return part.stat().st_size if part.exists() else 0

    def origin(self) -> dict[str, Any] | None:
        """What is known of the part's file; None where it cannot be gone on with."""
        with suppress(OSError, ValueError, KeyError):
            known = json.loads(self.remote.origin.read_text(encoding="utf-8"))
            sure = known["etag"] or known["modified"] or self.remote.sha256  # by whatever a mistake would be noticed
            if known["url"] == self.remote.url and sure:
                return dict(known)
        return None

    def remember(self, response: Any, size: int | None) -> None:
        self.forget()  # never the old bytes under the new file's name
        known = {"url": self.remote.url, **names(response, size)}
        with atomic_write(self.remote.origin) as temporary:
            temporary.write_text(json.dumps(known), encoding="utf-8")

    def forget(self) -> None:
        self.tell(0)
        self.remote.part.unlink(missing_ok=True)
        self.remote.origin.unlink(missing_ok=True)

    def check(self, size: int | None, begins: int) -> None:
        """Refuse another file, and one that there is no space for, before its bytes come."""
        remote = self.remote
        if None not in (size, remote.size) and size != remote.size:
            raise UserError(f"{remote.url}: has {size:,} bytes, {remote.size:,} were expected; it is another file")
        free, wanted = shutil.disk_usage(remote.path.parent).free, (size or 0) - begins
        if wanted > free:
            raise Hopeless(
                f"{remote.path.parent}: no space left: {remote.path.name} needs {wanted:,} bytes more, {free:,} are "
                f"free; make room, then the same command goes on ({self.length():,} bytes are kept)"
            )

    def problem(self, found: str) -> str | None:
        """What is wrong with a file that has come."""
        if self.remote.size is not None and (size := self.length()) != self.remote.size:
            return f"{size:,} bytes came, {self.remote.size:,} were expected"
        if self.remote.sha256 and found != self.remote.sha256:
            return f"SHA-256 {found}, {self.remote.sha256} was expected"
        return None

    def finish(self) -> None:
        with self.remote.part.open("rb+") as file:
            os.fsync(file.fileno())
        self.remote.part.replace(self.remote.path)
        self.remote.origin.unlink(missing_ok=True)

    def given_up(self, error: PassingError) -> UserError:
        kept = self.length()
        after = f"{kept:,} bytes are kept in {self.remote.part}; the same command goes on" if kept else "try later"
        if error.unreachable:
            return Hopeless(f"{self.remote.url}: cannot be reached; is this computer offline? ({error}); {after}")
        return UserError(f"{self.remote.url}: given up after {self.patience.tries} tries ({error}); {after}")

    def cannot_write(self, error: OSError) -> UserError:
        part = self.remote.part
        if error.errno in FULL:
            kept = f"{self.length():,} bytes are kept; make room, then the same command goes on"
            return Hopeless(f"{part}: no space left ({error.strerror}); {kept}")
        return UserError(f"{part}: cannot be written ({error.strerror or error})")


def _names_of(origin: dict[str, Any]) -> dict[str, Any]:
    return {key: origin[key] for key in ("size", "etag", "modified")}
