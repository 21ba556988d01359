"""Side by side: results as they come, until told to begin no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

LOOKS = 0.2
"""Seconds after which it is looked again whether to begin no more."""


def completed(
    waiting: dict[Future[R], T], stop: Callable[[], bool]
) -> Iterator[tuple[T, Future[R]]]:
    """Yield what each future is for, and the future when it has ended.

    Told to stop, only what was begun is waited for. Futures that were cancelled wake nobody
    (``as_completed`` would wait for them for ever), so they are left out at once.
    """
    while waiting:
        if stop():
            for future in [each for each in waiting if each.cancel()]:
                del waiting[future]
        for future in wait(waiting, LOOKS, FIRST_COMPLETED).done:
            yield waiting.pop(future), future
