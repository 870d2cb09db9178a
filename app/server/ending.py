"""How the server ends: by Ctrl-C or politely, at any moment, so that it can tidy up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C and by a polite end, at any moment; the second time the process ends at once.

    An exception in their place is lost where it meets a callback.
    """
    ended = threading.Event()

    def end(*_: object) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM) if mine}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
