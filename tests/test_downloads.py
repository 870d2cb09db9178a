"""Downloads against a local server with faults: resumed, checked, whole or not there, nothing repeated."""

from __future__ import annotations

import contextlib
import hashlib
import io
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from mtkd import downloads
from mtkd.downloads import PIECE, Remote, Stopped, download, download_all, mirrored
from mtkd.errors import UserError
from tests.servers import HASTY, Server, cut, redirect, serving, silent, status

CONTENT = np.random.default_rng(0).bytes(400_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_MIRROR", raising=False)


@pytest.fixture
def server():
    with serving(files={"/a": CONTENT}) as state:
        yield state


def remote(server: Server, tmp_path: Path, sha256: str | None = HASH, size: int | None = len(CONTENT)) -> Remote:
    return Remote(f"{server.url}/a", tmp_path / "files" / "a.bin", size, sha256)


def left(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "files").iterdir()}


def test_a_whole_file(server: Server, tmp_path: Path) -> None:
    one, came = remote(server, tmp_path), []
    download(one, came.append, HASTY)
    assert one.path.read_bytes() == CONTENT and left(tmp_path) == {"a.bin"}
    assert sum(came) == len(CONTENT)
    download(one, came.append, HASTY)  # is there: nobody is asked
    assert server.requests == [("/a", None)] and sum(came) == 2 * len(CONTENT)


def begins(server: Server) -> list[int]:
    """Where in the file each request began."""
    return [int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0 for _, wanted in server.requests]


def test_a_cut_connection_goes_on(server: Server, tmp_path: Path) -> None:
    server.faults["/a"] = [cut(100_000), cut(150_000)]
    one, came = remote(server, tmp_path), list[int]()
    download(one, came.append, HASTY)
    assert one.path.read_bytes() == CONTENT and left(tmp_path) == {"a.bin"}
    first, second, third = begins(server)
    assert first == 0 and 100_000 - PIECE < second <= 100_000 and second + 150_000 - PIECE < third <= second + 150_000
    assert sum(came) == len(CONTENT)


def interrupted(server: Server, tmp_path: Path) -> Remote:
    """A file of which the beginning has come."""
    server.faults["/a"] = [cut(100_000), *[cut(0)] * 2]
    one = remote(server, tmp_path)
    with pytest.raises(UserError, match=r"gave up after 3 tries .* bytes are kept in .*a\.bin\.part; run the same"):
        download(one, patience=HASTY)
    assert left(tmp_path) == {"a.bin.part"}
    server.requests.clear()
    return one


def test_what_was_given_up_goes_on_later(server: Server, tmp_path: Path) -> None:
    one = interrupted(server, tmp_path)
    download(one, patience=HASTY)
    assert one.path.read_bytes() == CONTENT and 100_000 - PIECE < begins(server)[0] <= 100_000


def test_server_errors_pass(server: Server, tmp_path: Path) -> None:
    server.faults["/a"] = [status(500), status(503)]
    download(remote(server, tmp_path), patience=HASTY)
    server.faults["/a"] = [status(500)] * 3
    other = Remote(f"{server.url}/a", tmp_path / "files" / "b")
    with pytest.raises(UserError, match="gave up after 3 tries .*the server answers 500.*try again later"):
        download(other, patience=HASTY)


def test_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"/none: the server answers 404"):
        download(Remote(f"{server.url}/none", tmp_path / "files" / "a.bin"), patience=HASTY)
    assert len(server.requests) == 1 and left(tmp_path) == set()


def test_a_silent_server(server: Server, tmp_path: Path) -> None:
    server.faults["/a"] = [silent(2.0)]
    began = time.monotonic()
    download(remote(server, tmp_path), patience=downloads.Patience(3, 0.01, 0.3))
    assert time.monotonic() - began < 1.9
    assert server.requests[1] == ("/a", f"bytes={1 << 14}-")


def test_a_slow_server_is_waited_for(server: Server, tmp_path: Path) -> None:
    server.pace = 0.02
    download(remote(server, tmp_path), patience=downloads.Patience(1, 0, 0.4))
    assert len(server.requests) == 1


def test_no_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.faults["/a"] = [cut(100_000)]
    one, came = remote(server, tmp_path), list[int]()
    download(one, came.append, HASTY)
    assert one.path.read_bytes() == CONTENT
    assert sum(came) == len(CONTENT) and server.served["/a"] == len(CONTENT) + 100_000


def test_without_a_hash_nothing_is_joined(server: Server, tmp_path: Path) -> None:
    """The beginning that came may be of another file."""
    one = interrupted(server, tmp_path)
    server.faults["/a"] = [cut(200_000)]
    came: list[int] = []
    download(Remote(one.url, one.path), came.append, HASTY)
    assert begins(server) == [0, 0] and one.path.read_bytes() == CONTENT and left(tmp_path) == {"a.bin"}
    assert sum(came) == len(CONTENT)


def test_wrong_bytes(server: Server, tmp_path: Path) -> None:
    one = remote(server, tmp_path, "0" * 64)
    with pytest.raises(UserError, match=rf"/a: SHA256 .* expected 0{{64}} but got {HASH}\. Deleted .* fetch it again"):
        download(one, patience=HASTY)
    assert left(tmp_path) == set() and len(server.requests) == 1
    with pytest.raises(UserError, match="has 400,000 bytes in place of 7; it is another file"):
        download(remote(server, tmp_path, None, 7), patience=HASTY)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("kept", [b"damaged", CONTENT + b"more"])
def test_a_damaged_part_is_refused_and_fetched_anew(
    server: Server, tmp_path: Path, size: int | None, kept: bytes
) -> None:
    one = remote(server, tmp_path, size=size)
    one.path.parent.mkdir()
    one.path.with_name("a.bin.part").write_bytes(kept)
    if len(kept) < len(CONTENT):
        with pytest.raises(UserError, match="Deleted download for safety"):
            download(one, patience=HASTY)
        assert left(tmp_path) == set()
    download(one, patience=HASTY)
    assert one.path.read_bytes() == CONTENT and left(tmp_path) == {"a.bin"}


def test_all_but_the_name(server: Server, tmp_path: Path) -> None:
    """Killed between the last byte and the name: nobody is asked again."""
    one = remote(server, tmp_path)
    one.path.parent.mkdir()
    one.path.with_name("a.bin.part").write_bytes(CONTENT)
    download(one, patience=HASTY)
    assert one.path.read_bytes() == CONTENT and server.requests == [] and left(tmp_path) == {"a.bin"}


def test_without_hard_links(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", none)
    download(remote(server, tmp_path), patience=HASTY)
    assert (tmp_path / "files" / "a.bin").read_bytes() == CONTENT and left(tmp_path) == {"a.bin"}


def test_no_end(tmp_path: Path) -> None:
    """A server that does not say how much comes: cut off after what was expected."""

    def endless(handler: Any, content: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(bytes(PIECE))

    with serving(faults={"/a": [endless]}) as server:
        with pytest.raises(UserError, match="more than the expected 400,000 bytes; it is another file"):
            download(remote(server, tmp_path), patience=HASTY)
        assert left(tmp_path) == set()


def test_no_space_before_a_byte_comes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(
        UserError, match=r"no space left: a\.bin needs 400,000 more bytes, 1,000 are free; free some space"
    ):
        download(remote(server, tmp_path), patience=HASTY)


def test_a_disk_that_fills_up(server: Server, tmp_path: Path) -> None:
    """The limit on a file's size acts as a full disk does: a part of a piece is written, then nothing."""
    one = remote(server, tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_001, before[1]))
    try:
        with pytest.raises(UserError, match=r"a\.bin: no space left .*; 150,001 bytes are kept; free some space"):
            download(one, patience=HASTY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    download(one, patience=HASTY)
    assert one.path.read_bytes() == CONTENT and server.requests[-1] == ("/a", "bytes=150001-")


def test_a_full_disk_stops_the_others(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    many = [Remote(f"{server.url}/a", tmp_path / "files" / f"{number}") for number in range(50)]
    failed = download_all(many, workers=2, patience=HASTY)
    assert 1 <= len(failed) <= 2 and "no space left" in failed[0] and len(server.requests) <= 2


def test_offline(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(UserError, match=r"cannot be reached; is this computer offline\? .*; try again later"):
        download(Remote(f"{url}/a", tmp_path / "files" / "a.bin"), patience=HASTY)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a"])
def test_only_the_network_is_read(url: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only https addresses are allowed"):
        download(Remote(url, tmp_path / "files" / "a.bin"), patience=HASTY)
    server.faults["/a"] = [redirect(url)]
    with pytest.raises(UserError, match="/a: only https addresses are allowed .*(file|ftp)://"):
        download(remote(server, tmp_path), patience=HASTY)
    assert left(tmp_path) == set()


def test_from_https_to_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def send(self: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        asked.append(request.url)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url, answer.raw = 302, request, request.url, io.BytesIO()
        answer.headers["Location"] = "http://host.org/a"
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    with pytest.raises(UserError, match="only https addresses are allowed .*http://host.org/a"):
        download(Remote("https://host.org/a", tmp_path / "files" / "a.bin"), patience=HASTY)
    assert asked == ["https://host.org/a"]


def test_redirections_keep_the_range(server: Server, tmp_path: Path) -> None:
    server.files["/b"] = CONTENT
    server.faults["/a"] = [redirect("/b")] * 3
    server.faults["/b"] = [cut(100_000)]
    one = remote(server, tmp_path)
    download(one, patience=HASTY)
    assert one.path.read_bytes() == CONTENT and begins(server)[-1] > 100_000 - PIECE


def test_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrored("https://host.org/x/y.png") == "https://host.org/x/y.png"
    assert mirrored("https://host.org/x/y.png", "http://127.0.0.1:8/m/") == "http://127.0.0.1:8/m/host.org/x/y.png"
    monkeypatch.setenv("MTKD_MIRROR", "https://mirror.org")
    assert mirrored("https://host.org/x/y.png") == "https://mirror.org/host.org/x/y.png"
    with pytest.raises(UserError, match=r"mirror file:///tmp: give an address"):
        mirrored("https://host.org/x", "file:///tmp")


def test_many_side_by_side(tmp_path: Path) -> None:
    """One that is missing is named; the others come."""
    contents = {f"/{number}": bytes([number]) * 20_000 for number in range(12)}
    with serving(files=contents, pace=0.05) as server:
        many = [Remote(server.url + path, tmp_path / "files" / path[1:]) for path in (*contents, "/none")]
        began = time.monotonic()
        failed = download_all(many, workers=12, patience=HASTY)
        assert time.monotonic() - began < 12 * 0.1
    assert len(failed) == 1 and failed[0].endswith("/none: the server answers 404 Not Found")
    assert all(one.path.read_bytes() == contents["/" + one.path.name] for one in many[:-1])


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    server.pace = 0.002
    threads = [threading.Thread(target=lambda: download(remote(server, tmp_path), patience=HASTY)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.served["/a"] == len(CONTENT) and left(tmp_path) == {"a.bin"}


def test_told_to_stop(server: Server, tmp_path: Path) -> None:
    stop = threading.Event()
    one = remote(server, tmp_path)
    with pytest.raises(Stopped):
        download(one, lambda count: stop.set(), HASTY, stop)
    kept = one.path.with_name("a.bin.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    download(one, patience=HASTY)
    assert server.requests[-1] == ("/a", f"bytes={kept}-")


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """SIGKILL, twice: what had come is there, byte for byte, and is not asked for again."""
    content = np.random.default_rng(2).bytes(3_000_000)
    code = (
        "import sys; from pathlib import Path; from mtkd.downloads import Remote, download\n"
        "print('ready', flush=True); download(Remote(sys.argv[1], Path(sys.argv[2]), None, sys.argv[3]))"
    )
    digest = hashlib.sha256(content).hexdigest()
    with serving(files={"/a": content}, pace=0.01) as server:
        target = tmp_path / "files" / "a.bin"
        command = [sys.executable, "-c", code, f"{server.url}/a", str(target), digest]
        kept: list[int] = []
        for _ in range(2):
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            part = target.with_name("a.bin.part")
            begin = kept[-1] if kept else 0
            while not (part.exists() and part.stat().st_size > begin + 200_000):
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
            process.wait()
            kept.append(part.stat().st_size)
            assert part.read_bytes() == content[: kept[-1]] and not target.exists()
        server.pace = 0
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
        assert target.read_bytes() == content and not target.with_name("a.bin.part").exists()
        assert [wanted for _, wanted in server.requests] == [None, *(f"bytes={size}-" for size in kept)]


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file")
    with pytest.raises(UserError, match=r"a\.bin: cannot be written"):
        download(remote(server, tmp_path), patience=HASTY)
