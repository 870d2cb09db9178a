"""The explorer as a process, and a browser that looks at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen, seconds: float = 120) -> None:
    """Return when the page answers; fail with the process's output when it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the explorer ended: {process.communicate()[0]}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    process.kill()
    pytest.fail(f"no answer from {url}: {process.communicate()[0]}")


@contextmanager
def served(*arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """``mtkd demo`` as its users run it, in a folder of their own, with the bundled models: its address and process."""
    port = free_port()
    command = [sys.executable, "-m", "mtkd.cli", "demo", "--port", str(port), *arguments]
    inherited = {k: v for k, v in os.environ.items() if k not in ("MTKD_ZOO", "GRADIO_SERVER_NAME")}
    folder = tempfile.TemporaryDirectory()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, **pipes, env=inherited | environment, cwd=folder.name)
    said: list[str] = []
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/", process)
        threading.Thread(target=lambda: said.extend(process.stdout), daemon=True).start()
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.terminate()
        process.wait(20)
        folder.cleanup()
    output = "".join(said)
    if "Traceback" in output:  # an error that nobody handled
        warnings.warn(output[-8000:], stacklevel=1)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of an explorer that all tests of this worker share."""
    with served() as (address, _):
        yield address
