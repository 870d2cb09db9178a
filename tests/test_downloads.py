"""Downloads against a local server with faults: resumed, checked, whole or not there, nothing repeated."""

from __future__ import annotations

import errno
import hashlib
import json
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mtkd import downloads
from mtkd.data.side_by_side import download_all
from mtkd.downloads import Remote, Stopped, download
from mtkd.errors import UserError
from mtkd.web import mirrored
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
    assert download(one, came.append, HASTY) == HASH
    assert one.path.read_bytes() == CONTENT and left(tmp_path) == {"a.bin"}
    assert sum(came) == len(CONTENT)
    assert download(one, came.append, HASTY) == HASH  # is there: nobody is asked
    assert server.requests == [("/a", None)] and sum(came) == 2 * len(CONTENT)


@pytest.mark.parametrize("sha256", [HASH, None])
def test_a_cut_connection_goes_on(server: Server, tmp_path: Path, sha256: str | None) -> None:
    server.faults["/a"] = [cut(100_000), cut(150_000)]
    came: list[int] = []
    assert download(remote(server, tmp_path, sha256), came.append, HASTY) == HASH
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=250000-"]
    assert server.served["/a"] == len(CONTENT) == sum(came)  # not one byte twice
    assert left(tmp_path) == {"a.bin"}


def test_what_was_given_up_goes_on_later(server: Server, tmp_path: Path) -> None:
    server.faults["/a"] = [cut(100_000), *[cut(0)] * 2]
    one = remote(server, tmp_path)
    with pytest.raises(UserError, match=r"given up after 3 tries .*after 100,000 of 400,000.*100,000 bytes are kept"):
        download(one, patience=HASTY)
    assert left(tmp_path) == {"a.bin.part", "a.bin.part.json"}
    download(one, patience=HASTY)
    assert one.path.read_bytes() == CONTENT and server.served["/a"] == len(CONTENT)


def test_server_errors_pass(server: Server, tmp_path: Path) -> None:
    server.faults["/a"] = [status(500), status(503)]
    assert download(remote(server, tmp_path), patience=HASTY) == HASH
    server.faults["/a"] = [status(500)] * 3
    other = Remote(f"{server.url}/a", tmp_path / "files" / "b")
    with pytest.raises(UserError, match="given up after 3 tries .the server answers 500"):
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
    assert download(remote(server, tmp_path), patience=downloads.Patience(1, 0, 0.4)) == HASH
    assert len(server.requests) == 1


def test_no_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.faults["/a"] = [cut(100_000)]
    came: list[int] = []
    assert download(remote(server, tmp_path), came.append, HASTY) == HASH
    assert sum(came) == len(CONTENT) and server.served["/a"] == len(CONTENT) + 100_000


def test_without_tag_or_hash_nothing_is_glued(server: Server, tmp_path: Path) -> None:
    server.tags = False
    server.faults["/a"] = [cut(100_000)]
    download(remote(server, tmp_path, None, None), patience=HASTY)
    assert [wanted for _, wanted in server.requests] == [None, None]


@pytest.mark.parametrize("size", [len(CONTENT), 300_000])
@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changed_is_not_glued(server: Server, tmp_path: Path, size: int, tags: bool) -> None:
    """Told by its ETag, by its length, or at last by its hash."""
    new = np.random.default_rng(1).bytes(size)
    server.tags = tags
    one = Remote(f"{server.url}/a", tmp_path / "files" / "a.bin", None, HASH)
    server.faults["/a"] = [cut(100_000), *[cut(0)] * 2]
    with pytest.raises(UserError):
        download(one, patience=HASTY)
    server.files["/a"] = new
    second = Remote(one.url, one.path, None, hashlib.sha256(new).hexdigest())
    assert download(second, patience=HASTY) == second.sha256
    assert one.path.read_bytes() == new and left(tmp_path) == {"a.bin"}


def test_wrong_bytes(server: Server, tmp_path: Path) -> None:
    one = remote(server, tmp_path, "0" * 64)
    with pytest.raises(UserError, match=f"SHA-256 {HASH}, 0{{64}} was expected; nothing of it was kept"):
        download(one, patience=HASTY)
    assert left(tmp_path) == set() and len(server.requests) == 1
    with pytest.raises(UserError, match="has 400,000 bytes, 7 were expected; it is another file"):
        download(remote(server, tmp_path, None, 7), patience=HASTY)
    assert left(tmp_path) == set()


def test_a_damaged_part_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    one = remote(server, tmp_path)
    server.faults["/a"] = [cut(100_000), *[cut(0)] * 2]
    with pytest.raises(UserError):
        download(one, patience=HASTY)
    with one.part.open("r+b") as file:
        file.write(b"damage")
    assert download(one, patience=HASTY) == HASH and one.path.read_bytes() == CONTENT


def test_a_file_of_other_content_is_not_touched(server: Server, tmp_path: Path) -> None:
    one = remote(server, tmp_path)
    one.path.parent.mkdir()
    one.path.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"a\.bin: is there, but its SHA-256 is .*; move it away"):
        download(one, patience=HASTY)
    assert one.path.read_bytes() == b"mine" and server.requests == []


def test_no_space_before_a_byte_comes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match=r"no space left: a\.bin needs 400,000 bytes more, 1,000 are free; make room"):
        download(remote(server, tmp_path), patience=HASTY)


def test_a_disk_that_fills_up(server: Server, tmp_path: Path) -> None:
    """The limit on a file's size acts as a full disk does: a part of a piece is written, then nothing."""
    one = remote(server, tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_001, before[1]))
    try:
        with pytest.raises(UserError, match=r"a\.bin\.part: no space left .*; 150,001 bytes are kept; make room"):
            download(one, patience=HASTY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert download(one, patience=HASTY) == HASH
    assert server.requests[-1] == ("/a", "bytes=150001-")


def test_a_full_disk_stops_the_others(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads._Download, "copy", full)
    many = [Remote(f"{server.url}/a", tmp_path / "files" / f"{number}") for number in range(50)]
    failed = download_all(many, workers=2, patience=HASTY)
    assert 1 <= len(failed) <= 2 and "no space left" in failed[0] and len(server.requests) <= 2


def test_offline(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(UserError, match=r"cannot be reached; is this computer offline\? .*; try later"):
        download(Remote(f"{url}/a", tmp_path / "files" / "a.bin"), patience=HASTY)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a"])
def test_only_the_network_is_read(url: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only https addresses are fetched"):
        download(Remote(url, tmp_path / "files" / "a.bin"), patience=HASTY)
    server.faults["/a"] = [redirect(url)]
    with pytest.raises(UserError, match="which is not fetched|is not allowed"):
        download(remote(server, tmp_path), patience=HASTY)
    assert left(tmp_path) == set()


def test_redirections_keep_the_range(server: Server, tmp_path: Path) -> None:
    server.files["/b"] = CONTENT
    server.faults["/a"] = [redirect("/b")] * 3
    server.faults["/b"] = [cut(100_000)]
    assert download(remote(server, tmp_path), patience=HASTY) == HASH
    assert server.requests[-1] == ("/b", "bytes=100000-") and server.served["/b"] == len(CONTENT)


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
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(download(remote(server, tmp_path), patience=HASTY)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [HASH] * 4 and server.served["/a"] == len(CONTENT) and left(tmp_path) == {"a.bin"}


def test_told_to_stop(server: Server, tmp_path: Path) -> None:
    stop = threading.Event()
    one = remote(server, tmp_path)
    with pytest.raises(Stopped):
        download(one, lambda count: stop.set(), HASTY, stop)
    kept = one.part.stat().st_size
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
            assert json.loads(target.with_name("a.bin.part.json").read_text())["size"] == len(content)
        server.pace = 0
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
        assert target.read_bytes() == content and left(tmp_path) == {"a.bin"}
        assert [wanted for _, wanted in server.requests] == [None, *(f"bytes={size}-" for size in kept)]


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file")
    with pytest.raises(UserError, match=r"a\.bin: cannot be written"):
        download(remote(server, tmp_path), patience=HASTY)
