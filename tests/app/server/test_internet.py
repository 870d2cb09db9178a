"""What a stranger may try on an explorer that is open to the internet, and a page elsewhere on a local one."""

from __future__ import annotations

import json
import struct
import threading
import urllib.parse
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtkd.data.examples import EXAMPLES
from tests.app.conftest import served
from tests.app.plain import as_file, ask, call, config, event, form, png, post, send
from tests.app.test_api import ACTIONS

SECRET = b"nobody but the owner may read this"
PICTURE = png(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))
LOW = "upscale"
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file where Gradio keeps what other apps of the same user made: it would give them out."""
    path = tmp_path_factory.mktemp("gradio") / "other.png"
    path.write_bytes(PICTURE)
    return path


@pytest.fixture(scope="module")
def public(elsewhere: Path) -> Iterator[str]:
    """An explorer that everybody on the network can reach."""
    with served("--host", "0.0.0.0", GRADIO_EXAMPLES_CACHE=str(elsewhere.parent)) as (address, _):
        yield address


@pytest.fixture(scope="module", params=[pytest.param("public", marks=pytest.mark.sweep), "address"])
def any_address(request: pytest.FixtureRequest) -> str:
    """An explorer open to others, then the local one: the second alone in the fast run, which has it anyway."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def readable(tmp_path: Path) -> dict[str, Path]:
    """Files that an event would gladly show, by the kind of its input."""
    picture, view = tmp_path / "secret.png", tmp_path / "secret.json"
    picture.write_bytes(PICTURE)
    view.write_text(json.dumps({"format": 1, "example": "coffee"}))
    return {"image": picture, "file": picture, "uploadbutton": view}


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server of this computer that notes what it is asked for: nothing, if the explorer fetches nothing."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


# --- files


def test_no_path_is_opened(any_address, secret):
    there, up = secret.as_posix(), "../" * 12
    quoted = urllib.parse.quote(there, safe="")
    package = Path(__file__).parents[3]
    for where in ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/", "/svelte/", "/theme/"):
        for path in (there, quoted, urllib.parse.quote(quoted, safe=""), f"file://{there}", f"{up}{there[1:]}",
                     f"{up.replace('/', '%2f')}{there[1:]}", f"..%5c..%5c{there[1:]}", f"/{there}", f"{there}%00.png",
                     f"{package / 'pyproject.toml'}", f"{package / 'app' / 'assets'}", "~/.bashrc"):  # fmt: skip
            status, body, _ = ask(any_address, "GET", where + path)
            assert status >= 400, (where, path)
            assert SECRET not in body and b"setuptools" not in body


def test_what_the_page_shows_is_given_out_but_no_link_from_there(any_address, secret):
    """The control of the test above: the same question, of a file that the page has."""
    there = Path(send(any_address, "a.png", PICTURE))
    assert ask(any_address, "GET", f"/gradio_api/file={there}")[:2] == (200, PICTURE)
    assert ask(any_address, "GET", f"/gradio_api/file={there.parent}/../{there.parent.name}/a.png")[0] == 200
    link, folder = there.with_name("link.png"), there.with_name("folder")
    link.symlink_to(secret)
    folder.symlink_to(secret.parent)
    for path in (link, folder / "secret.txt", there.parents[2], there.parent, there.parents[1] / "made"):
        assert ask(any_address, "GET", f"/gradio_api/file={path}")[0] == 403, path


@pytest.mark.sweep
def test_files_of_other_apps_stay_theirs(public, elsewhere):
    assert ask(public, "GET", f"/gradio_api/file={elsewhere}")[0] == 403


@pytest.mark.sweep
def test_no_event_opens_a_path_or_an_address(public, readable, listener):
    taking, (here, asked) = _taking(public), listener
    assert "compare" in taking  # the one that programs call
    for name, inputs in taking.items():
        _refused_everywhere(public, readable, here, name, inputs)
    assert asked == []


def _refused_everywhere(public, readable, here, name, inputs):
    """No input of an event that takes a file opens a path or an address."""
    for place, kind in ((place, kind) for place, kind in enumerate(inputs) if kind in readable):
        secret = readable[kind]
        for sent in (
            as_file(secret), as_file("/etc/passwd"), as_file(f"{here}/a.png"), as_file(f"{here}/a.png", url=here),
            as_file("a.png", url=f"{here}/a.png"), as_file(secret, url=f"/gradio_api/file={secret}"),
            as_file(f"file://{secret}"), as_file(f"../../{secret}"), {"path": str(secret)}, {"url": f"{here}/a.png"},
            {"path": str(secret), "meta": {}}, {"path": str(secret), "meta": {"_type": "none"}},
            {"path": f"{here}/a.png"}, str(secret), [str(secret)], [as_file(secret)], [{"path": str(secret)}],
            [as_file(f"{here}/a.png")], as_file(secret, is_stream=True), {"value": as_file(secret)},
        ):  # fmt: skip
            data: list[Any] = [None] * len(inputs)
            if len(inputs) > 5:
                own = as_file(send(public, "a.png", PICTURE))
                data = [own, LOW, 4, ["bicubic"], None, *([None] * (len(inputs) - 5))]
            data[place] = sent
            success, output = call(public, event(public, name), data)
            assert not success, (name, sent, output)
            assert "root:" not in json.dumps(output)


def _taking(address: str) -> dict[str, list[str]]:
    """The kinds of inputs of all events that take a file, by the event's name."""
    found = config(address)
    kinds = {one["id"]: one["type"] for one in found["components"]}
    events = {one["api_name"]: [kinds[i] for i in one["inputs"]] for one in found["dependencies"]}
    return {name: inputs for name, inputs in events.items() if set(inputs) & {"image", "file", "uploadbutton"}}


@pytest.mark.sweep
def test_an_address_is_refused_without_a_look(public):
    """Not a matter of the host behind it: Gradio itself would fetch from public ones."""
    sent = as_file("http://192.0.2.1/a.png")
    success, output = call(public, event(public, "compare"), [sent, LOW, 4, ["bicubic"], *[None] * 6])
    assert not success and "not an address" in output["error"]


def test_addresses_for_others_to_fetch_from_are_not_there(any_address, listener):
    here, asked = listener
    quoted = urllib.parse.quote(f"{here}/a", safe="")
    for path in (f"file={here}/a", f"file={quoted}", f"proxy={here}/a", f"proxy={quoted}", f"file/{here}/a"):
        assert ask(any_address, "GET", f"/gradio_api/{path}")[0] in (403, 404), path
    assert asked == []


@pytest.mark.sweep
def test_saved_views_and_links_name_no_paths(public, secret):
    for view in ({"example": str(secret)}, {"example": "../../../../etc/passwd"}, {"png": str(secret)},
                 {"path": str(secret)}, {"models": [["/etc/passwd"]]}, {"focus": {"path": str(secret)}}):  # fmt: skip
        path = send(public, "view.json", json.dumps({"format": 1, **view}).encode())
        success, output = call(public, event(public, "from_file"), [as_file(path)])
        assert SECRET.decode() not in json.dumps(output), view
        query = urllib.parse.urlencode({key: value for key, value in view.items() if isinstance(value, str)})
        success, output = call(public, event(public, "from_link"), [f"?{query}", str(secret)])
        assert success and SECRET.decode() not in json.dumps(output), view
        assert EXAMPLES[0].path.name in output["data"][0]["path"], view
    path = send(public, "view.json", json.dumps({"format": 1, "example": "coffee", "models": [str(secret)]}).encode())
    success, output = call(public, event(public, "from_file"), [as_file(path)])
    assert success and SECRET.decode() not in json.dumps(output)  # a visitor's own words come back, no file's


# --- what is there


UNUSED = [
    ("GET", "/gradio_api/deep_link?session_hash=a"), ("GET", "/gradio_api/runs"), ("GET", "/gradio_api/vibe-code"),
    ("GET", "/gradio_api/run-history/buckets"), ("POST", "/gradio_api/run-history/connect"), ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"), ("POST", "/gradio_api/process_recording"), ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/run/compare"), ("POST", "/gradio_api/api/compare"), ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/stream/a/b/1/playlist-file"), ("POST", "/gradio_api/stream/a"), ("GET", "/dev/reload"),
    ("GET", "/gradio_api/custom_component/a/client/component/index.js"), ("POST", "/login"),
    ("PUT", "/gradio_api/upload"),
    ("GET", "/gradio_api/mcp/"), ("GET", "/docs"), ("GET", "/gradio_api/queue/status"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), UNUSED)
def test_what_the_page_does_not_need_is_not_there(any_address, method, path):
    body = "{}" if method == "POST" else None
    assert ask(any_address, method, path, body, content_type="application/json")[:2] == (404, b"Not Found")


@pytest.mark.sweep
def test_strangers_find_no_event_that_trains_brings_or_reads_folders(public, address):
    own = {"train_start", "train_runs", "train_stop", "train_resume", "train_delete", "train_curves",
           "inspect_checkpoint", "add_checkpoint", "remove_model", "scan_folder", "begin"}  # fmt: skip
    there = {one["api_name"] for one in config(public)["dependencies"]}
    assert there.isdisjoint(own) and own <= {one["api_name"] for one in config(address)["dependencies"]}
    told = json.loads(ask(public, "GET", "/gradio_api/info")[1])["named_endpoints"]
    assert set(told).isdisjoint(f"/{name}" for name in own)
    assert set(told) >= ACTIONS - {f"/{name}" for name in own}
    assert post(public, "/gradio_api/call/train_runs", {"data": []})[0] >= 400
    assert str(Path(__file__).parents[3]) not in json.dumps(config(public))


# --- pages elsewhere


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:1", "https://127.0.0.1.evil.example"])
def test_a_page_elsewhere_starts_nothing(address, origin):
    body, kind = form("a.png", PICTURE)
    run = {"data": [], "fn_index": event(address, "train_runs"), "session_hash": "elsewhere"}
    assert ask(address, "POST", "/gradio_api/upload", body, content_type=kind, origin=origin)[0] == 403
    for path, content in (("queue/join", run), ("call/train_runs", {"data": []}), ("cancel", run), ("reset", run)):
        for sent_as in ("application/json", "text/plain", "application/x-www-form-urlencoded", kind):
            told = ask(address, "POST", f"/gradio_api/{path}", json.dumps(content), content_type=sent_as, origin=origin)
            assert told[0] == 403, (path, sent_as)
    assert ask(address, "GET", "/config", origin=origin)[0] == 403


def test_our_own_page_does(any_address):
    origin = any_address.rstrip("/")
    assert send(any_address, "a.png", PICTURE, origin=origin, sec_fetch_site="same-origin")
    assert ask(any_address, "GET", "/config", origin=origin)[0] == 200


def test_a_page_elsewhere_neither_embeds_nor_reads_a_local_one(address):
    seen = {"sec_fetch_site": "cross-site"}
    assert ask(address, "GET", "/config", sec_fetch_mode="no-cors", **seen)[0] == 403
    assert ask(address, "GET", "/gradio_api/heartbeat/abc", sec_fetch_mode="cors", **seen)[0] == 403
    status, _, headers = ask(address, "GET", "/?example=coffee", sec_fetch_mode="navigate", **seen)
    assert status == 200 and headers["content-security-policy"] == "frame-ancestors 'self'"  # a link is welcome


# --- sizes


def test_requests_have_limits(any_address):
    assert post(any_address, "/gradio_api/queue/join", {"data": ["x" * (5 << 20)], "fn_index": 1})[0] == 413
    kind = "multipart/form-data; boundary=mark"
    told = ask(any_address, "POST", "/gradio_api/upload", b"", content_type=kind, content_length=str(300 << 20))
    assert told[0] == 413 and b"64 MB" in told[1]
    told = ask(any_address, "POST", "/gradio_api/upload", iter([b"a"]), content_type=kind, transfer_encoding="chunked")
    assert told[0] == 411


@pytest.mark.sweep
def test_a_file_has_a_limit(public):
    body, kind = form("a.png", bytes((64 << 20) + 1))
    assert ask(public, "POST", "/gradio_api/upload", body, content_type=kind)[0] == 413


@pytest.mark.sweep
@pytest.mark.parametrize(("side", "told"), [(4001, "16.0 million"), (60_000, "million")])
def test_pixels_are_counted_before_they_are_decoded(public, side, told):
    """A file of 100 bytes that says it is large: as a whole image it would not fit into memory."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    sent = as_file(send(public, "bomb.png", bomb))
    mode = "test"
    success, output = call(public, event(public, "compare"), [sent, mode, 4, ["bicubic"], *[None] * 6])
    assert not success and told in output["error"] and "limit" in output["error"]


@pytest.mark.sweep
def test_what_is_uploaded_never_becomes_a_page(public):
    """Else a script in it would be ours."""
    for name in ("a.html", "a.svg", "a.xhtml", "a"):
        path = send(public, name, b"<script>alert(1)</script>")
        status, _, headers = ask(public, "GET", f"/gradio_api/file={path}")
        assert status == 200 and headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"].startswith("attachment") or "text/plain" in headers["content-type"], name


@pytest.mark.sweep
@pytest.mark.parametrize(
    "name", ["../../evil.png", "..\\..\\evil.png", "/etc/evil.png", "%2e%2e%2fevil.png", "..", "."]
)
def test_names_of_uploads_leave_no_folder(public, name):
    folder = Path(send(public, "a.png", PICTURE)).parents[1]
    body, kind = form(name, PICTURE)
    status, told, _ = ask(public, "POST", "/gradio_api/upload", body, content_type=kind)
    assert status >= 400 or Path(json.loads(told)[0]).resolve().is_relative_to(folder)
