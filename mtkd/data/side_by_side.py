"""Several downloads at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from mtkd.downloads import PATIENCE, Hopeless, Patience, Progress, Remote, Stopped, download
from mtkd.errors import UserError


def download_all(
    remotes: Sequence[Remote],
    progress: Progress = lambda count: None,
    workers: int = 4,
    patience: Patience = PATIENCE,
) -> list[str]:
    """Fetch files side by side; returns what went wrong, a sentence a file.

    Nothing more is begun once the disk is full or the network away. Ctrl-C keeps what came.
    """
    left, failed = list(reversed(remotes)), list[str]()
    guard, stop = threading.Lock(), threading.Event()

    def count(number: int) -> None:
        with guard:
            progress(number)

    def work() -> None:
        while not stop.is_set():
            with guard:
                if not left:
                    return
                remote = left.pop()
            try:
                download(remote, count, patience, stop)
            except Stopped:
                return
            except Exception as error:
                failed.append(str(error) if isinstance(error, UserError) else f"{remote.url}: {error!r}")
                if isinstance(error, Hopeless):
                    stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(remotes)))]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.02)
    except KeyboardInterrupt:
        stop.set()
        for thread in threads:
            thread.join(1.0)
        raise
    return failed
