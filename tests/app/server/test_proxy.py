"""The page behind a reverse proxy: JupyterHub's, nginx under a sub-path, a frame of a notebook."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mtkd_app.server.outside import Behind, Outside
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mtkd.errors import UserError
from tests.app.conftest import served
from tests.app.pages import open_page, open_view
from tests.browser import ARGUMENTS, Browser, chromium_path

HUB = "hub.example.edu"
PATH = "/user/ada/proxy/7860"
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


@contextmanager
def proxy(target: int, path: str, strip: bool, forwarded: bool = False) -> Iterator[int]:
    """A reverse proxy of everything under ``path`` to a port of this computer, with the host as it was asked; its port.

    Args:
        strip: the path is taken off, as by JupyterHub's proxy and nginx's ``proxy_pass .../;``.
        forwarded: says the host in ``X-Forwarded-Host`` and asks for ``localhost``.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            if not self.path.startswith(f"{path}/"):
                self.send_error(404)
                return
            length = int(self.headers.get("Content-Length", 0))
            headers = {key: value for key, value in self.headers.items() if key.lower() not in ("connection",)}
            if forwarded:
                headers |= {"X-Forwarded-Host": headers["Host"], "Host": f"localhost:{target}"}
            connection = http.client.HTTPConnection("127.0.0.1", target, timeout=120)
            asked = self.path.removeprefix(path) if strip else self.path
            connection.request(self.command, asked, self.rfile.read(length) if length else None, headers)
            reply = connection.getresponse()
            self.send_response(reply.status)
            for key, value in reply.getheaders():
                if key.lower() not in HOP_BY_HOP:
                    self.send_header(key, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while piece := reply.read1(1 << 16):
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:  # the page has been closed
                pass
            finally:
                connection.close()

        do_GET = do_POST = do_HEAD = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


# What is given ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "hosts", "frames", "message"),
    [
        ("user/ada", [], [], "--root-path user/ada: give a path"),
        ("/a b", [], [], "--root-path"),
        ("/a?b", [], [], "--root-path"),
        ("", ["https://hub.example.edu"], [], "--allow-host https://hub"),
        ("", ["hub.example.edu/user"], [], "--allow-host"),
        ("", ["*"], [], "--allow-host"),
        ("", [], ["hub.example.edu"], "--allow-frame hub.example.edu: give an origin"),
        ("", [], ["https://a.example; script-src *"], "--allow-frame"),
        ("", [], ["*"], "--allow-frame"),
    ],
)
def test_what_is_no_path_host_or_origin(root: str, hosts: list[str], frames: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("*", r"\*")):
        Outside.checked(root, hosts, frames)


def test_what_a_root_path_says() -> None:
    whole = Outside.checked("https://hub.example.edu:8443/user/ada/", ["other.example"], ["https://*.example.edu"])
    assert whole.path == "/user/ada" and whole.hosts == ("hub.example.edu:8443", "other.example")
    assert whole.names == ["hub.example.edu", "other.example"]
    covered = ("hub.example.edu:8443", "other.example", "other.example:99")
    assert all(map(whole.covers, covered)) and not any(map(whole.covers, ("hub.example.edu", "evil.example", "")))
    assert Outside.checked("/mtkd/", [], []).path == "/mtkd" and Outside.checked("", [], []).path == ""


def seen(path: str, root: str, **headers: str) -> dict[str, Any]:
    """What an application behind the middleware sees of a request."""

    async def show(request: Request) -> JSONResponse:
        return JSONResponse({"path": request.url.path, "scheme": request.headers.get("x-forwarded-proto")})

    app = Behind(Starlette(routes=[Route("/{rest:path}", show)]), Outside.checked(root, [], []))
    return dict(TestClient(app, base_url="http://testserver").get(path, headers=headers).json())


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/config", "", "/config"),
        ("/config", "/mtkd", "/config"),
        ("/mtkd/config", "/mtkd", "/config"),
        ("/mtkd/", "/mtkd", "/"),
        ("/mtkd", "/mtkd", "/"),
        ("/mtkdx/config", "/mtkd", "/mtkdx/config"),
        (f"{PATH}/gradio_api/info", PATH, "/gradio_api/info"),
        (f"{PATH}/gradio_api/info", f"https://{HUB}{PATH}", "/gradio_api/info"),
    ],
)
def test_the_path_may_be_there_or_taken_off(path: str, root: str, expected: str) -> None:
    assert seen(path, root)["path"] == expected


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({"host": HUB}, None),
        ({"host": HUB, "sec-fetch-mode": "cors"}, "https"),  # which browsers send to secure addresses alone
        ({"host": f"{HUB}:8000", "sec-fetch-mode": "navigate"}, "https"),
        ({"host": HUB, "sec-fetch-mode": "cors", "x-forwarded-proto": "http"}, "http"),
        ({"host": "localhost:7860", "sec-fetch-mode": "cors"}, None),
        ({"host": "127.0.0.1", "sec-fetch-mode": "cors"}, None),
        ({"host": "[::1]:7860", "sec-fetch-mode": "cors"}, None),
    ],
)
def test_https_is_noticed(headers: dict[str, str], scheme: str | None) -> None:
    assert seen("/", "/mtkd", **headers)["scheme"] == scheme


# As a process -----------------------------------------------------------------------------------------------


def status(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str | None]:
    """Status of an answer, and which pages may frame it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = b"{}" if method == "POST" else None
    connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status, reply.getheader("Content-Security-Policy")


def use(browser: Browser, address: str, at: int) -> None:
    """Compare and look into Train, as a person, in a browser that takes the hub for this computer."""
    rules = f"--host-resolver-rules=MAP {HUB}:80 127.0.0.1:{at}"
    chromium = browser.playwright.chromium.launch(executable_path=chromium_path(), args=[*ARGUMENTS, rules])
    try:
        of_the_hub = Browser(browser.playwright, chromium)
        page = open_page(of_the_hub, address)
        open_view(page, "Runs")
        page.get_by_text("Recipe").first.wait_for()
        elsewhere = [url for url in of_the_hub.requests if url.startswith("http") and not url.startswith(address)]
        assert not elsewhere
    finally:
        chromium.close()


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("root", "strip", "forwarded"),
    [(PATH, True, False), (PATH, False, False), ("/mtkd", True, True), (f"http://{HUB}/mtkd", True, False)],
    ids=["JupyterHub", "path kept", "host in a header", "whole address"],
)
def test_the_page_under_a_path(root: str, strip: bool, forwarded: bool, browser: Browser) -> None:
    """A person compares, and trains: Train is on."""
    path = Outside.checked(root, [], []).path
    with served("--root-path", root, "--allow-host", HUB, "--allow-frame", "https://lab.example.edu") as (address, _):
        target = int(address.rstrip("/").rpartition(":")[2])
        with proxy(target, path, strip, forwarded) as port:
            frame = "frame-ancestors 'self' https://lab.example.edu"
            assert status(port, f"{path}/config", Host=HUB) == (200, frame)
            assert status(port, f"{path}/config", Host=HUB, Origin=f"https://{HUB}")[0] == 200
            evil = {"Host": HUB, "Origin": "https://evil.example", "Content_Type": "application/json"}
            assert status(port, f"{path}/gradio_api/queue/join", "POST", **evil)[0] == 403
            if not forwarded:
                assert status(port, f"{path}/config", Host="evil.example")[0] == 400
            use(browser, f"http://{HUB}{path}/", port)
        assert status(target, "/config")[0] == 200  # and without the proxy
