"""What sessions leave on the disk: nothing beyond their page, beyond the space, beyond the server."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
from gradio.context import LocalContext
from mtkd_app.server import session_files as files
from mtkd_app.server.session_files import PREFIX, Pictures

from tests.app.conftest import free_port, wait_until_it_answers
from tests.app.plain import as_file, call, event, png, send
from tests.app.test_start import demo

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def pictures():
    with Pictures() as pictures:
        pictures.watch(lambda name: None)
        yield pictures


def as_session(name: str) -> None:
    LocalContext.request.set(SimpleNamespace(session_hash=name))


def upload(pictures: Pictures, name: str, size: int = 10, age: float = 0) -> Path:
    path = pictures.folder / name / "a.png"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_closed_page_takes_its_files_along_and_no_others(pictures):
    forgotten = []
    pictures.forget = forgotten.append
    shared, own = upload(pictures, "1"), upload(pictures, "2")
    made = {}
    for name in ("first", "second"):
        as_session(name)
        made[name] = pictures.group("compare").write("a", IMAGE)
        pictures.use(str(shared), None)
    as_session("first")
    pictures.use(str(own))
    assert made["first"].parents[1] != made["second"].parents[1]
    pictures.close("first")
    pictures.tidy()
    assert made["first"].exists()  # its connection may have broken for a moment
    pictures.opened("first")
    pictures.closed = 0
    pictures.tidy()
    assert made["first"].exists() and own.exists()
    pictures.close("first")
    time.sleep(0.01)
    pictures.tidy()
    assert not made["first"].exists() and not own.exists() and forgotten == ["first"]
    assert made["second"].exists() and shared.exists()
    pictures.close("second")
    time.sleep(0.01)
    pictures.tidy()
    assert not shared.exists() and list(pictures.made.iterdir()) == []


def test_examples_are_nobodys(pictures):
    """They lie among the uploads, and pages use them: they stay."""
    example = upload(pictures, "example", age=files.IDLE + 1)
    pictures.watch(lambda name: None)
    as_session("a")
    pictures.use(str(example))
    pictures.closed = 0
    pictures.close("a")
    time.sleep(0.01)
    pictures.tidy()
    assert example.exists()


def test_what_no_page_has_goes_after_a_while(pictures):
    old, new = upload(pictures, "1", age=files.IDLE + 1), upload(pictures, "2")
    kept = upload(pictures, "3", age=files.IDLE + 1)
    as_session("a")
    pictures.use(str(kept))
    pictures.tidy()
    assert not old.exists() and not old.parent.exists() and new.exists() and kept.exists()


def test_numbers_of_groups_and_sessions_are_limited(pictures, monkeypatch):
    monkeypatch.setattr(files, "GROUPS", 3)
    monkeypatch.setattr(files, "SESSIONS", 2)
    as_session("a")
    groups = [pictures.group("compare") for _ in range(4)]
    assert [group.folder.exists() for group in groups] == [False, True, True, True]
    for name in ("b", "c"):
        as_session(name)
        pictures.group("compare")
    assert not groups[3].folder.exists() and len(list(pictures.made.iterdir())) == 2


def test_what_is_shown_outlives_all_that_is_made_elsewhere(pictures):
    as_session("a")
    shown = pictures.group("compare").write("a", IMAGE)
    windows = [pictures.group("window").write("a", IMAGE) for _ in range(100)]
    assert shown.exists() and windows[-1].exists() and not windows[0].exists()


def test_uploads_share_a_space_and_old_ones_go_first(pictures, monkeypatch):
    monkeypatch.setattr(files, "SPACE", 100)
    old, older = (upload(pictures, str(age), 40, age) for age in (files.IDLE + 10, files.IDLE + 20))
    with pictures.expecting(50) as fits:
        assert fits and old.exists() and not older.exists()
        with pictures.expecting(60) as fits:  # at the same time
            assert not fits and not old.exists()
    young = upload(pictures, "young", 90)
    with pictures.expecting(20) as fits:
        assert not fits and young.exists()  # nobody's new picture goes for another's
    with pictures.expecting(10) as fits:
        assert fits


def test_pictures_share_a_space_too(pictures, monkeypatch):
    monkeypatch.setattr(files, "SPACE", 100)
    as_session("a")
    groups = [pictures.group("compare") for _ in range(3)]
    for age, group in enumerate(groups):
        group.file("a", bytes(60))
        os.utime(group.folder, (time.time() - 10 + age,) * 2)
    pictures.tidy()
    assert [group.folder.exists() for group in groups] == [False, False, True]


def ended(process: subprocess.Popen, with_signal: int) -> str:
    process.send_signal(with_signal)
    return process.communicate(timeout=30)[0]


@pytest.mark.slow
def test_nothing_stays_after_the_server(tmp_path):
    """Not after Ctrl-C, not after a polite end; after a sudden one until the next start."""
    stranger = tmp_path / f"{PREFIX}stranger"
    stranger.mkdir()
    port = free_port()
    killed = demo("--port", str(port), TMPDIR=str(tmp_path))
    wait_until_it_answers(f"http://127.0.0.1:{port}/", killed)
    ended(killed, signal.SIGKILL)
    (left,) = (path for path in tmp_path.glob(f"{PREFIX}*") if path != stranger)
    assert list(left.rglob("*.png"))
    ports = free_port(), free_port()
    processes = [demo("--port", str(port), TMPDIR=str(tmp_path)) for port in ports]
    for port, process in zip(ports, processes, strict=True):
        wait_until_it_answers(f"http://127.0.0.1:{port}/", process)
    assert not left.exists() and len(list(tmp_path.glob(f"{PREFIX}*"))) == 3  # both live ones, and what is not ours
    for process, with_signal in zip(processes, (signal.SIGINT, signal.SIGTERM), strict=True):
        assert "Traceback" not in ended(process, with_signal) and process.returncode == 0
    assert [path.name for path in tmp_path.glob(f"{PREFIX}*")] == [stranger.name]


@pytest.mark.sweep
def test_a_page_that_is_closed_leaves_nothing(address):
    sent = send(address, "a.png", png(np.arange(768, dtype=np.uint8).reshape(16, 16, 3) // 2))
    low = "upscale"
    page = http.client.HTTPConnection(urlsplit(address).netloc)
    page.request("GET", "/gradio_api/heartbeat/page1")
    page.getresponse().fp.readline()
    inputs = [as_file(sent), low, 4, ["bicubic"], *[None] * 6]
    _, output = call(address, event(address, "compare"), inputs, "page1")
    shown = next(one["panes"] for one in output["data"] if isinstance(one, dict) and "panes" in one)
    made = Path(shown[0]["layers"]["image"].partition("=")[2]).parents[1]
    assert made.parent.name == "made" and list(made.rglob("*.png")) and Path(sent).exists()
    page.sock.close()
    page.close()
    end = time.monotonic() + 3 * files.CLOSED
    while (made.exists() or Path(sent).exists()) and time.monotonic() < end:
        time.sleep(0.2)
    assert not made.exists() and not Path(sent).exists()
