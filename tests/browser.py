"""A headless Chromium for the tests of pages: it starts, it notes every request, it goes away again."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--enable-blink-features=ComputedAccessibilityInfo",
]
STREAM = 15
IDLE = """() => !document.querySelector('.generating, .pending') &&
  document.querySelector('#status p')?.dataset.ended !== ''"""
LOADED = """() => [...document.images].every((image) => image.complete) &&
  ![...document.querySelectorAll('.mv-loading')].some((stage) => stage.offsetParent)"""
LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


def chromium_path() -> str | None:
    """The installed Chromium, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None


def own_addresses() -> set[str]:
    """This computer's, as others reach it."""
    found = [a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == socket.AF_INET]
    return {address for address in found if not address.startswith("127.")}


@dataclass
class Browser:
    """A Playwright browser whose pages write every request they make into ``requests``."""

    playwright: object
    instance: object
    requests: list[str] = field(default_factory=list)

    def new_page(self, width: int = 1280, height: int = 800, **context_options):
        """A page in a context of its own; ``context_options`` as for ``browser.new_context``."""
        context = self.instance.new_context(viewport={"width": width, "height": height}, **context_options)
        context.set_default_timeout(90_000)  # slow machines
        # On the context, not the page: popups and workers count as well.
        context.on("request", lambda request: self.requests.append(request.url))
        page = context.new_page()
        page.pending = set()
        page.on("request", lambda request: page.pending.add(request) if "/queue/" in request.url else None)
        for ended in ("requestfinished", "requestfailed"):
            page.on(ended, lambda request: page.pending.discard(request))
        return page

    def external_requests(self) -> list[str]:
        """The requests that left this machine: there must be none."""
        here = LOOPBACK | own_addresses()
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in {"data", "blob", "about", "file"} and urlsplit(url).hostname not in here
        ]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium; skips the test, with the reason, where it or Playwright is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `test`)")
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield Browser(playwright, instance)
        finally:
            instance.close()


def wait_until_drawn(page) -> None:
    """Return when the page shows all that has arrived: after two frames."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wait_until_answered(page, seconds: float = 60) -> None:
    """Return when the explorer has answered all that a page has asked, and the page shows it, images loaded.

    Gradio keeps its stream open as long as one of a page's events is at work, and sometimes for longer: where a stream
    alone is left and nothing on the page waits for it, it does not count after :data:`STREAM` seconds.
    """
    wait_until_drawn(page)  # what follows from a click has been asked
    began = time.monotonic()
    while page.pending:
        waited = time.monotonic() - began
        if waited > STREAM and all("queue/data" in request.url for request in page.pending) and page.evaluate(IDLE):
            page.pending.clear()
            break
        assert waited < seconds, f"no answer after {seconds} s: {[request.url for request in page.pending]}"
        page.wait_for_timeout(20)
    wait_until_drawn(page)
    page.wait_for_function(LOADED)
