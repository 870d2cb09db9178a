"""A local HTTP server that fails as real ones do, and remembers what it served."""

from __future__ import annotations

import http.server
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mtkd.downloads import Patience

HASTY = Patience(tries=3, pause=0.01, silence=1.0)


@dataclass
class Server:
    """What it has, and how it misbehaves.

    Attributes:
        files: content by path.
        faults: by path, functions of (handler, content), one for each request in turn; those after them are good.
        ranges, tags: whether it knows Range, and gives an ETag.
        served: bytes sent by path.
        requests: (path, Range header or None) of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Callable[[Any, bytes], None]]] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = True
    pace: float = 0.0
    """Seconds between pieces of 16 KiB."""
    served: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server_state: Server

    def do_GET(self) -> None:
        state, path = self.server_state, self.path
        wanted = self.headers.get("Range")
        state.requests.append((path, wanted))
        content = state.files.get(path)
        if faults := state.faults.get(path):
            faults.pop(0)(self, content or b"")
            return
        if content is None:
            self.send_error(404)
            return
        self.answer(content, wanted)

    def answer(self, content: bytes, wanted: str | None, stop_after: int | None = None) -> None:
        """The content or the range of it that was asked for; the connection is cut after ``stop_after`` bytes."""
        state, begin = self.server_state, 0
        tag = f'"{hash(content)}"'
        same = self.headers.get("If-Range") in (None, tag)
        if state.ranges and wanted and same:
            begin = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if state.tags:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        body = content[begin:] if stop_after is None else content[begin:][:stop_after]
        for start in range(0, len(body), 1 << 14):
            piece = body[start : start + (1 << 14)]
            try:
                self.wfile.write(piece)
            except OSError:
                return
            state.served[self.path] = state.served.get(self.path, 0) + len(piece)
            time.sleep(state.pace)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def status(code: int) -> Callable[[Any, bytes], None]:
    """Answers with an error."""
    return lambda handler, content: handler.send_error(code)


def cut(after: int) -> Callable[[Any, bytes], None]:
    """Promises all and closes after so many bytes."""
    return lambda handler, content: handler.answer(content, handler.headers.get("Range"), after)


def silent(seconds: float) -> Callable[[Any, bytes], None]:
    """Sends the beginning, then nothing for a while."""

    def fault(handler: Any, content: bytes) -> None:
        handler.answer(content, handler.headers.get("Range"), 1 << 14)
        handler.wfile.flush()
        time.sleep(seconds)

    return fault


def redirect(to: str) -> Callable[[Any, bytes], None]:
    """Sends on to another address."""

    def fault(handler: Any, content: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return fault


@contextmanager
def serving(**about: Any) -> Iterator[Server]:
    """A server on this computer, for as long as the context lasts."""
    state = Server(**about)
    handler = type("Handler", (_Handler,), {"server_state": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
