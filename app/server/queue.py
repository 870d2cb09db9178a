"""Who computes when: networks run for one person at a time, and a long computation lets the others go between."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from mtkd.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")

WAITING = 32
"""Requests that may wait to be begun, of all sessions together."""
WAITING_EACH = 8
"""The same of one session."""
COMPUTING: dict[str, Any] = {"concurrency_id": "networks", "concurrency_limit": 16}
"""Of an event that runs networks: so many are begun and take turns, the others wait."""
LARGE = 2_000_000
"""Pixels of a result that needs so much memory that only :data:`LARGE_AT_ONCE` such are begun."""
LARGE_AT_ONCE = 2
SHARE = 0.25
"""Seconds of a turn before it is passed on: a small comparison ends within one, and waits once."""


class Turns:
    """A lock that is handed on in the order of asking, after ``share`` seconds.

    What holds it calls :meth:`pass_on` wherever it can be left for a moment, after a model, a tile or a picture: the
    next one's turn comes, and its own again after all that waited. Memory holds one network's features at a time.
    """

    def __init__(self, share: float = SHARE) -> None:
        self.share = share
        self._since = 0.0
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)

    def __enter__(self) -> None:
        with self._lock:
            mine = threading.Event()
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        mine.wait()
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # it stays taken
            else:
                self._taken = False

    def pass_on(self, *_: object) -> None:
        """Have the next turn after those that wait, unless this one has just begun; told how far it is, or not."""
        if self._waiting and time.monotonic() - self._since >= self.share:
            self.__exit__()
            self.__enter__()

    def between(self, function: Callable[P, T]) -> Callable[P, T]:
        """The same function; the turn is passed on after each call."""

        def then_others(*args: P.args, **kwargs: P.kwargs) -> T:
            result = function(*args, **kwargs)
            self.pass_on()
            return result

        return then_others

    @contextmanager
    def for_size(self, pixels: int) -> Iterator[None]:
        """Hold a turn for a computation whose result has so many pixels.

        Raises:
            UserError: it is large, and others compute large ones.
        """
        large = pixels > LARGE
        if large and not self._large.acquire(blocking=False):
            raise UserError(f"{LARGE_AT_ONCE} large images are being computed for others; try again when one is done")
        try:
            with self:
                yield
        finally:
            if large:
                self._large.release()


def limit_waiting(page: gr.Blocks) -> None:
    """No session fills the queue: beyond :data:`WAITING_EACH` it is told to wait, as all are when the queue is full."""
    queue = page._queue
    push = queue.push

    async def push_if_few(body: Any, request: Any, username: str | None) -> Any:
        waiting = Counter(
            event.session_hash for one in queue.event_queue_per_concurrency_id.values() for event in one.queue
        )
        if body.session_hash and waiting[body.session_hash] >= WAITING_EACH:
            return False, f"{WAITING_EACH} requests of this page wait already: let them end first.", "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = push_if_few  # type: ignore[method-assign]
