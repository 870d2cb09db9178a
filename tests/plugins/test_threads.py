"""Registries are read by several threads at once: the page's, and the one that warms it up."""

from __future__ import annotations

import subprocess
import sys

READ = """
import sys
from threading import Barrier, Thread

from mtkd.plugins import NETWORKS

sys.setswitchinterval(1e-5)
start, counts = Barrier(6), []


def read():
    start.wait()
    counts.append(len(NETWORKS))


threads = [Thread(target=read) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(counts)
"""


def test_every_thread_sees_all_networks() -> None:
    """In a process of its own, where nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, check=True)
    counts = [int(part) for part in done.stdout.strip("[]\n").split(",")]
    assert len(counts) == 6 and len(set(counts)) == 1 and counts[0] > 15
