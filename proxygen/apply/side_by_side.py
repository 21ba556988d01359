"""Yields results as they come, until told to begin no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

LOOKS = 0.2
"""Seconds after which it is looked again whether to begin no more."""


def completed_futures(
    waiting: dict[Future[R], T], stop: Callable[[], bool]
) -> Iterator[tuple[T, Future[R]]]:
    """Yield the key of each future, with the future, when it has ended.

    When told to stop, it waits only for what was begun; what was cancelled is left out. Each future
    reports itself when it ends: a result costs the same however many are waited for.
    """
    ended: SimpleQueue[Future[R]] = SimpleQueue()
    for future in waiting:
        future.add_done_callback(ended.put)
    while waiting:
        if stop():
            for future in [each for each in waiting if each.cancel()]:
                del waiting[future]
        try:
            future = ended.get(timeout=LOOKS)
        except Empty:
            continue
        if future in waiting:
            yield waiting.pop(future), future
