"""Opening addresses: https alone, redirections included; http only where somebody names such a mirror."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from mtkd.errors import UserError


class PassingError(Exception):
    """Something that may be gone at the next try: a dropped connection, a server error."""

    def __init__(self, reason: object, unreachable: bool = False) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.unreachable = unreachable
        """No server was there at all."""


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


def open_url(url: str, headers: dict[str, str], silence: float) -> Any:
    """The server's answer, with ``read1``, ``headers`` and ``status``; it may be silent for ``silence`` seconds.

    Raises:
        PassingError: worth another try.
        RangeError: there are not that many bytes.
        UserError: it is not (404, a redirection to what is not fetched).
    """
    request = urllib.request.Request(url, headers={"User-Agent": "mtkd", "Accept-Encoding": "identity", **headers})
    try:
        return _opener(request.type).open(request, timeout=silence)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answers {error.code} {error.reason}"
        if error.code == 416:
            raise RangeError(answer) from error
        if error.code >= 500 or error.code in (408, 429):
            raise PassingError(answer) from error
        raise UserError(f"{url}: {answer}") from error
    except urllib.error.URLError as error:
        if "unknown url type" in str(error.reason):
            raise UserError(f"{url}: only https addresses are fetched") from error
        raise PassingError(error.reason, unreachable=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise PassingError(error) from error


def extent(response: Any) -> tuple[int, int | None]:
    """Where the answer's bytes begin in the file, and how long the whole file is, where the server says so."""
    if response.status != 206:
        length = response.headers.get("Content-Length")
        return 0, int(length) if length else None
    place, _, size = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    try:
        return int(place.partition("-")[0]), int(size)
    except ValueError:
        raise PassingError("the server's Content-Range cannot be read") from None


def names(response: Any, size: int | None) -> dict[str, Any]:
    """By what a server tells one state of a file from another; a weak ETag does not promise the same bytes."""
    tag = response.headers.get("ETag") or ""
    return {
        "size": size,
        "etag": "" if tag.startswith("W/") else tag,
        "modified": response.headers.get("Last-Modified") or "",
    }


class RangeError(PassingError):
    """The server has fewer bytes than were asked to be left out."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, schemes: tuple[str, ...]) -> None:
        self.schemes = schemes

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in self.schemes:
            raise UserError(f"{req.full_url}: sends on to {newurl}, which is not fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(scheme: str | None) -> urllib.request.OpenerDirector:
    """Handlers of the network alone: no files, no ftp; from https never to anything less."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _Redirects(("https", "http") if scheme == "http" else ("https",)),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
