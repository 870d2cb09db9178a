"""A headless Firefox for the tests of pages, through WebDriver BiDi: it needs no driver, and no Playwright."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser import LOOPBACK

LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
SETTINGS = {  # nothing is asked of the internet when it starts
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One tab of a Firefox; ``requests`` are the addresses that its pages asked for."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.requests: list[str] = []
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["network.beforeRequestSent"])
        self._tab = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        """Load a page."""
        viewport = {"width": width, "height": height}
        self._ask("browsingContext.setViewport", context=self._tab, viewport=viewport)
        self._ask("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def evaluate(self, function: str, *arguments: object) -> Any:
        """What a function of JavaScript gives for plain data, awaited.

        Raises:
            AssertionError: it threw.
        """
        call = f"async () => JSON.stringify(await ({function})(...{json.dumps(arguments)}))"
        target = {"context": self._tab}
        told = self._ask("script.callFunction", functionDeclaration=call, awaitPromise=True, target=target)
        assert told["type"] == "success", told["exceptionDetails"]["text"]
        return json.loads(told["result"].get("value", "null"))

    def wait_for(self, function: str, seconds: float = 120) -> Any:
        """What a function gives once it is neither false nor empty."""
        began = time.monotonic()
        while not (found := self.evaluate(function)):
            assert time.monotonic() - began < seconds, f"not within {seconds} s: {function}"
            time.sleep(0.1)
        return found

    def external_requests(self) -> list[str]:
        """The requests that left this machine: there must be none."""
        inner = {"data", "blob", "about", "file", "resource", "chrome"}
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, part in parts if part.scheme not in inner and part.hostname not in LOOPBACK]

    def _ask(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("method") == "network.beforeRequestSent":
                self.requests.append(told["params"]["request"]["url"])
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told.get('message')}"
                return told["result"]


@contextmanager
def open_firefox(folder: Path) -> Iterator[Firefox]:
    """Start Firefox with a profile of its own in ``folder``; skips the test where it or the client is missing."""
    websocket = pytest.importorskip("websocket", reason="needs websocket-client, which JupyterLab brings")
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        pytest.skip("needs Firefox (Debian: apt-get install firefox-esr)")
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in SETTINGS.items()]
    (folder / "user.js").write_text("\n".join(lines))
    command = [path, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(folder)]
    log = folder / "log.txt"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            began = time.monotonic()
            while not (found := LISTENING.search(log.read_text())):
                assert process.poll() is None and time.monotonic() - began < 90, log.read_text()[-500:]
                time.sleep(0.1)
            socket = websocket.create_connection(f"{found[1]}/session", timeout=180, suppress_origin=True)
            try:
                yield Firefox(socket)
            finally:
                socket.close()
        finally:
            process.terminate()
