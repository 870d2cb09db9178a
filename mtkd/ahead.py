"""Results made in threads, a few ahead of the one that takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def made_ahead(make: Callable[[Task], Result], tasks: Iterable[Task], ahead: int) -> Iterator[Result]:
    """Yield ``make(task)`` for all tasks in order; threads compute up to ``ahead`` of them in advance."""
    if ahead == 0:
        yield from map(make, tasks)
        return
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(make, task))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
