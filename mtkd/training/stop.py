"""Stop after a step: signals are recorded, and a checkpoint is saved before the process ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Interrupted(Exception):  # noqa: N818
    """SIGTERM or Ctrl-C arrived; the state was saved."""


@dataclass
class Stop:
    """Whether a signal has asked to stop."""

    requested: bool = False


_open: list[Stop] = []
"""The nested requests, innermost last."""


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """SIGINT and SIGTERM request a stop instead of ending the process (in its main thread only).

    If nested, it passes its request on to the outer one when it ends: a run in its last iteration is finished before
    the outer loop stops.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request(number: int, frame: object) -> None:
        stop.requested = True

    _open.append(stop)
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _open.pop()
        for outer in _open[-1:]:
            outer.requested |= stop.requested
