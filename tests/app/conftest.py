"""The explorer as a process, and a browser that looks at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

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
    """``mtkd demo`` as its users run it, with the bundled models: its address and its process."""
    port = free_port()
    command = [sys.executable, "-m", "mtkd.cli", "demo", "--port", str(port), *arguments]
    inherited = {k: v for k, v in os.environ.items() if k not in ("MTKD_ZOO", "GRADIO_SERVER_NAME")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=inherited | environment
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/", process)
        threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would hold the server up
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of an explorer that all tests of this worker share."""
    with served() as (address, _):
        yield address
