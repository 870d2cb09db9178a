"""Long work in a thread of its own, told step by step; and which of a page's requests is the newest."""

from __future__ import annotations

import contextvars
import itertools
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from typing import TypeVar

from .session_files import asking_session

T = TypeVar("T")
SHORT = 0.25
"""Seconds between two yields while nothing is new: so soon a page that closed or cancelled is noticed."""
PAGES = 1024
"""Pages whose newest request is remembered."""
_CANCELLED = "cancelled"


class Stopped(Exception):  # noqa: N818
    """Nobody waits for this work any more."""


def in_steps(work: Callable[[Callable[[T], None]], None]) -> Generator[T | None]:
    """What ``work(tell)`` tells, as it comes; None where nothing new came for a moment.

    Closing the iterator lets the next ``tell`` raise :class:`Stopped`. An error of the work is raised here.
    """
    messages: queue.Queue[tuple[T | None, Exception | None, bool]] = queue.Queue()
    closed = threading.Event()

    def tell(step: T) -> None:
        if closed.is_set():
            raise Stopped
        messages.put((step, None, False))

    def run() -> None:
        try:
            work(tell)
            messages.put((None, None, True))
        except Exception as error:
            messages.put((None, error, True))

    context = contextvars.copy_context()  # the work knows which page it is for
    threading.Thread(target=context.run, args=(run,), daemon=True).start()
    try:
        while True:
            try:
                step, error, ended = messages.get(timeout=SHORT)
            except queue.Empty:
                yield None
                continue
            if error is not None:
                raise error
            if ended:
                return
            yield step
    finally:
        closed.set()


class Newest:
    """The newest request of each page: an older one that still runs can see that it is not wanted any more."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._newest: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, token: str = "") -> str:
        """A new request of the page that asks; those before it are over. A ``token`` given twice is one request."""
        with self._lock:
            page = asking_session()
            self._newest[page] = token = token or f"run {next(self._numbers)}"
            self._newest.move_to_end(page)
            while len(self._newest) > PAGES:
                self._newest.popitem(last=False)
            return token

    def cancel(self) -> None:
        """No request of the page that asks is wanted; what is done by now is shown."""
        with self._lock:
            self._newest[asking_session()] = _CANCELLED

    def cancelled(self) -> bool:
        """Whether the page that asks cancelled what ran, and asked for nothing since."""
        return self._newest.get(asking_session()) == _CANCELLED

    def current(self, token: str) -> bool:
        """Whether what answered a request is still shown: nothing newer has been asked for, or that was cancelled."""
        return self.wanted(token) or self.cancelled()

    def wanted(self, token: str) -> bool:
        """Whether a request of the page that asks is still its newest; one of a program, without a token, always is."""
        return not token or self._newest.get(asking_session(), token) == token
