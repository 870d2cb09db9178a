"""The page behind a reverse proxy: under which path and names, and in which pages' frames."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mtkd.errors import UserError

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")


@dataclass(frozen=True)
class Outside:
    """How a page is reached from outside.

    Attributes:
        root: the path, or the whole address, that a proxy gives it: "", "/user/ada/proxy/7860", "https://a.edu/mtkd".
        hosts: names, perhaps with a port, under which it is opened besides this computer's.
        frames: origins of pages that may show it within them.
    """

    root: str = ""
    hosts: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()

    @classmethod
    def checked(cls, root: str, hosts: Sequence[str], frames: Sequence[str]) -> Outside:
        """As a user gives it.

        Raises:
            UserError: something that is no path, host or origin.
        """
        root = root.strip().rstrip("/")
        whole = root.startswith(("http://", "https://"))
        if (root and not (whole or root.startswith("/"))) or re.search(r"[\s?#\"'<>\\]", root):
            raise UserError(f"--root-path {root}: give a path such as /user/ada/proxy/7860, or the whole address")
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise UserError(f"--allow-host {host}: give a name such as hub.example.edu, without https:// and path")
        for origin in frames:
            if not _ORIGIN.fullmatch(origin):
                raise UserError(f"--allow-frame {origin}: give an origin such as https://hub.example.edu")
        own = (urlsplit(root).netloc,) if whole else ()
        return cls(root, tuple(dict.fromkeys((*own, *hosts))), tuple(frames))

    @property
    def path(self) -> str:
        """The path of the root alone."""
        return urlsplit(self.root).path if "://" in self.root else self.root

    @property
    def names(self) -> list[str]:
        """The hosts without ports."""
        return [host.partition(":")[0] for host in self.hosts]

    def covers(self, netloc: str) -> bool:
        """Whether a host, perhaps with a port, is one of these: one that is given without a port has any."""
        return netloc in self.hosts or netloc.partition(":")[0] in self.hosts


class Behind:
    """ASGI middleware for a page behind a proxy: takes the root path off where the proxy leaves it, and notices HTTPS.

    A proxy that ends HTTPS ought to say so (``X-Forwarded-Proto``); where it does not, a browser does: it sends
    ``Sec-Fetch-Mode`` to secure addresses alone, and to those of this computer.
    """

    def __init__(self, app: ASGIApp, outside: Outside) -> None:
        self.app = app
        self.path = outside.path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, headers = scope["path"], Headers(scope=scope)
        if self.path and path == self.path:  # addresses in the page are relative to a folder
            query = f"?{asked}" if (asked := scope["query_string"].decode("latin-1")) else ""
            await RedirectResponse(f"{self.path.rpartition('/')[2]}/{query}", 307)(scope, receive, send)
            return
        scope = dict(scope)
        if self.path and path.startswith(f"{self.path}/"):
            scope["path"] = path[len(self.path) :]
            scope["raw_path"] = scope.get("raw_path", b"").removeprefix(self.path.encode())
        if "sec-fetch-mode" in headers and "x-forwarded-proto" not in headers and not _here(headers.get("host", "")):
            scope["headers"] = [*scope["headers"], (b"x-forwarded-proto", b"https")]
        await self.app(scope, receive, send)


def _here(host: str) -> bool:
    """Whether a host is this computer."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
