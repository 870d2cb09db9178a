"""Public files: pooch keeps them and compares hashes; ours is what it downloads with, which goes on where it stopped.

A file comes into ``NAME.part`` and takes its name once its hash is right. Stopped or killed, it goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mtkd.errors import UserError
from mtkd.files import lock
from mtkd.home import home

PIECE = 1 << 14
"""Bytes that are read and written at once; at most these are fetched again after a lost connection."""

Progress = Callable[[int], None]
"""Called with the number of bytes received; negative if bytes are discarded."""


@dataclass(frozen=True)
class Remote:
    """One file to fetch; ``size`` and ``sha256`` (64 hexadecimal digits) are checked if given."""

    url: str
    path: Path
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Patience:
    """How often a file is tried in a row without a byte coming, with pauses of ``pause``, twice that, ... seconds, and
    after how many seconds of silence a connection is given up."""

    tries: int = 4
    pause: float = 1.0
    silence: float = 30.0


PATIENCE = Patience()


class Stopped(Exception):  # noqa: N818
    """The download was asked to stop; received bytes are kept."""


class Hopeless(UserError):  # noqa: N818
    """No download can succeed: the disk is full, or there is no network."""


def mirrored(url: str, mirror: str | None = None) -> str:
    """The address at a mirror, ``MIRROR/HOST/PATH`` (as ``wget -x`` lays files out); without one, the address itself.

    ``mirror`` defaults to the environment's ``MTKD_MIRROR``.

    Raises:
        UserError: the mirror's address is neither https nor http.
    """
    mirror = mirror or os.environ.get("MTKD_MIRROR")
    if not mirror:
        return url
    if urlsplit(mirror).scheme not in ("https", "http"):
        raise UserError(f"mirror {mirror}: give an address that begins with https:// or http://")
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def lock_for(path: Path) -> Path:
    """The lock file for a download. Removing a lock file is not safe, so it stays, in a folder of its own."""
    folder = home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.lock"


def download(
    remote: Remote,
    progress: Progress = lambda count: None,
    patience: Patience = PATIENCE,
    stop: threading.Event | None = None,
) -> None:
    """Fetch one file with pooch, unless it exists with the right hash. A file with another hash is replaced.

    Processes that need the same file wait for each other. A killed process may leave an empty ``tmp...`` file, so use a
    folder that is removed afterwards.

    Raises:
        Stopped: ``stop`` was set.
        UserError: not there (404), not reachable within ``patience``, unexpected content, no space.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    path = remote.path
    downloader = Downloader(remote, progress, patience, stop or threading.Event())
    try:
        with lock(lock_for(path)):
            pooch.retrieve(remote.url, remote.sha256, path.name, path.parent, downloader=downloader)
            downloader.part.unlink(missing_ok=True)
    except UserError:
        raise
    except ValueError as error:  # pooch's: another hash
        downloader.part.unlink(missing_ok=True)
        raise UserError(f"{remote.url}: {error} Run the same command to fetch it again") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            kept = f"{downloader.length():,} bytes are kept; free some space, then run the same command to continue"
            raise Hopeless(f"{path}: no space left ({error.strerror}); {kept}") from error
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    progress(path.stat().st_size - downloader.reported)


def download_all(
    remotes: Sequence[Remote],
    progress: Progress = lambda count: None,
    workers: int = 4,
    patience: Patience = PATIENCE,
) -> list[str]:
    """Fetch files in parallel; returns one message for each file that failed.

    No further download starts once the disk is full or the network is lost. Ctrl-C keeps received bytes.
    """
    guard, stop = threading.Lock(), threading.Event()

    def count(number: int) -> None:
        with guard:
            progress(number)

    def fetch(remote: Remote) -> str | None:
        try:
            if not stop.is_set():
                download(remote, count, patience, stop)
        except Stopped:
            pass
        except UserError as error:
            if isinstance(error, Hopeless):
                stop.set()
            return str(error)
        return None

    with ThreadPool(max(1, min(workers, len(remotes)))) as pool:
        try:
            return [problem for problem in pool.imap_unordered(fetch, remotes) if problem]
        finally:
            stop.set()


@dataclass
class Downloader:
    """The downloader that pooch calls: https only, or http if the address says so (as a mirror's may).

    A partial download is continued only if the hash is known, since the file may have changed meanwhile.
    """

    remote: Remote
    progress: Progress
    patience: Patience
    stop: threading.Event
    reported: int = field(default=0, init=False)
    """Number of bytes reported to ``progress``."""
    reached: bool = field(default=False, init=False)
    """Whether a server answered."""

    @property
    def part(self) -> Path:
        return self.remote.path.with_name(self.remote.path.name + ".part")

    def length(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def report(self, length: int) -> None:
        self.progress(length - self.reported)
        self.reported = length

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.report(0)

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Try until the whole file is received; pooch then compares its hash."""
        import requests

        failures = 0
        while (before := self.length()) == 0 or before != self.remote.size:
            try:
                self.attempt(url)
                break
            except requests.exceptions.InvalidSchema as error:
                raise UserError(f"{url}: only https addresses are allowed ({error})") from error
            except requests.RequestException as error:
                failures = 1 if self.length() > before else failures + 1
                if failures >= self.patience.tries:
                    raise self.given_up(url, error) from error
            if self.stop.wait(self.patience.pause * 2 ** (failures - 1)):
                raise Stopped
        Path(output_file).unlink()
        try:
            Path(output_file).hardlink_to(self.part)  # killed while pooch computes the hash, nothing is lost
        except OSError:  # a file system without hard links
            self.part.replace(output_file)

    def attempt(self, url: str) -> None:
        """One connection: go on where the part ends, or begin anew where the hash is unknown or the server has no
        ranges."""
        import requests

        if self.remote.sha256 is None:
            self.forget()
        headers = {"User-Agent": "mtkd", "Accept-Encoding": "identity"}
        if begin := self.length():
            headers["Range"] = f"bytes={begin}-"
        with requests.Session() as session:
            if url.startswith("https:"):
                del session.adapters["http://"]  # no redirection to anything less
            with session.get(url, headers=headers, stream=True, timeout=self.patience.silence) as response:
                self.reached, code = True, response.status_code
                if code < 206 or code == 416:  # the file from its beginning; the part is longer than the file
                    self.forget()
                if code >= 400:
                    answer = f"the server answers {code} {response.reason}"
                    if code < 500 and code not in (408, 416, 429):
                        raise UserError(f"{url}: {answer}")
                    raise requests.ConnectionError(answer)
                self.report(self.length())
                size = self.length() + int(response.headers.get("Content-Length", 0))
                if "Content-Length" in response.headers:
                    self.check_size(url, size)
                self.copy(url, response)
        if self.length() < size:
            raise requests.ConnectionError(f"the connection was lost after {self.length():,} of {size:,} bytes")

    def check_size(self, url: str, size: int) -> None:
        """Refuse a file of another size, or one that does not fit on the disk, before it is received."""
        path, expected = self.remote.path, self.remote.size
        if expected is not None and size != expected:
            raise UserError(f"{url}: has {size:,} bytes in place of {expected:,}; it is another file")
        free, missing = shutil.disk_usage(path.parent).free, size - self.length()
        if missing > free:
            raise Hopeless(
                f"{path.parent}: no space left: {path.name} needs {missing:,} more bytes, {free:,} are free; free "
                f"some space, then run the same command to continue ({self.length():,} bytes are kept)"
            )

    def copy(self, url: str, response: Any) -> None:
        with self.part.open("ab") as file:
            for piece in response.iter_content(PIECE):
                file.write(piece)
                file.flush()
                self.report(file.tell())
                if self.remote.size is not None and file.tell() > self.remote.size:
                    self.forget()
                    raise UserError(f"{url}: more than the expected {self.remote.size:,} bytes; it is another file")
                if self.stop.is_set():
                    raise Stopped
            os.fsync(file.fileno())

    def given_up(self, url: str, error: Exception) -> UserError:
        length = self.length()
        after = (
            f"{length:,} bytes are kept in {self.part}; run the same command to continue"
            if length
            else "try again later"
        )
        if not self.reached:
            return Hopeless(f"{url}: cannot be reached; is this computer offline? ({error}); {after}")
        return UserError(f"{url}: gave up after {self.patience.tries} tries ({error}); {after}")
