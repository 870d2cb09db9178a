"""What may come in: which addresses are answered, from which pages, how large, and which files go out.

Gradio answers more than this page needs (it fetches addresses for its callers, keeps states on disk, runs ffmpeg, and
lets direct calls past the queue). What is not named here is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from gradio import processing_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .outside import Outside
from .session_files import Pictures

_API = "/gradio_api"
_READ = re.compile(
    rf"/|/(config|login_check|user|token|favicon\.ico|manifest\.json|robots\.txt|theme\.css)/?"
    rf"|/pwa_icon(/\d+)?|/(static|assets|svelte)/.+"
    rf"|{_API}/(info|openapi\.json|startup-events|theme\.css|app_id|user|token|login_check|upload_progress|queue/data)/?"
    rf"|{_API}/heartbeat/\w+|{_API}/call/(v2/)?\w+/\w+|{_API}/file=.+",
    re.DOTALL,
)
_WRITE = re.compile(rf"{_API}/(upload|queue/join|cancel|reset|call/(v2/)?\w+)/?")
_UPLOAD = f"{_API}/upload"
_FILE = f"{_API}/file="
_SESSION = re.compile(rf"{_API}/heartbeat/(\w+)")

LARGEST_CALL = 4 << 20
"""Bytes of a request that is no upload: choices, names and places, never pictures."""
LARGEST_FILE = 64 << 20
"""Bytes of one uploaded file."""
LARGEST_UPLOAD = 4 * LARGEST_FILE
"""Bytes of all files that are sent at once."""


class Doors:
    """ASGI middleware before everything else.

    Args:
        pictures: the only folder that files are given out from.
        also: further hosts that the page may be opened under (the public link's), asked for at each request.
        framed: pages elsewhere may show this one within them; never where a click can start a program.
        outside: the names that a proxy opens it under, and pages that may show it although it is not ``framed``.
    """

    def __init__(
        self,
        app: ASGIApp,
        pictures: Pictures,
        also: Callable[[], str | None],
        framed: bool,
        outside: Outside = Outside(),  # noqa: B008  (immutable)
    ) -> None:
        self.app = app
        self.pictures = pictures
        self.also = also
        self.framed = framed
        self.outside = outside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        headers, path = Headers(scope=scope), scope["path"]
        refused = self._refusal(scope["method"], path, headers)
        if refused:
            await _read_away(receive, headers)
            await PlainTextResponse(refused[1], refused[0], {"Connection": "close"})(scope, receive, send)
            return
        with self.pictures.expecting(int(headers["content-length"]) if _is_upload(path) else 0) as fits:
            if not fits:
                await _read_away(receive, headers)
                why = "The explorer's share of the disk is full. Try again in a few minutes."
                await PlainTextResponse(why, 507, {"Connection": "close"})(scope, receive, send)
                return
            if found := _SESSION.fullmatch(path):
                self.pictures.opened(found[1])
            await self.app(scope, receive, self._careful(send))

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """Status and text, or None where the request may pass."""
        reads = method in ("GET", "HEAD")
        if not (reads or method == "POST") or not (_READ if reads else _WRITE).fullmatch(path):
            return 404, "Not Found"
        if self._is_foreign(headers, reads):
            return 403, "This page is elsewhere: the explorer answers its own alone."
        if path.startswith(_FILE) and not self.pictures.holds(Path(path.removeprefix(_FILE))):
            return 403, "File not allowed."
        if not reads:
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return 411, "Say how long the request is (Content-Length)."
            if int(length) > (LARGEST_UPLOAD if _is_upload(path) else LARGEST_CALL):
                return 413, f"Too much at once: files may have {LARGEST_FILE >> 20} MB each."
        return None

    def _is_foreign(self, headers: Headers, reads: bool) -> bool:
        """A browser says in ``Origin`` which page writes, and in ``Sec-Fetch-Site`` where a request began.

        Links from elsewhere (``navigate``) are welcome, in a frame of another page where ``framed``.
        """
        origin = headers.get("origin")
        own = {headers.get("host"), headers.get("x-forwarded-host"), self.also()} - {None}
        if origin is not None and (netloc := urlsplit(origin).netloc) not in own and not self.outside.covers(netloc):
            return True
        came = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        return came and not self.framed and not (reads and headers.get("sec-fetch-mode") == "navigate")

    def _careful(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                if not self.framed:
                    headers["Content-Security-Policy"] = " ".join(["frame-ancestors 'self'", *self.outside.frames])
            await send(message)

        return with_headers


async def _read_away(receive: Receive, headers: Headers) -> None:
    """Who is still sending does not hear why not; what is far too large is cut off."""
    length = headers.get("content-length", "")
    more = length.isdecimal() and 0 < int(length) <= LARGEST_UPLOAD
    while more:
        more = (await receive()).get("more_body", False)


def _is_upload(path: str) -> bool:
    return path.rstrip("/") == _UPLOAD


def fetch_nothing() -> None:
    """Have addresses refused where a file is expected: Gradio would fetch them, from public hosts at least."""

    async def refuse(url: str, *_: Any, **__: Any) -> str:
        raise gr.Error("Give a file, not an address: the explorer fetches nothing.", print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse
