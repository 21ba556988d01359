"""What work costs, in calls of functions: the same number on every machine, however busy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

FOUR_TIMES = 4.4
"""Four times as much work makes four times as many calls; a tenth is for caches that fill up."""


def calls(work: Callable[[], object]) -> int:
    """Return how many functions *work* calls, Python's and C's, in this thread."""
    count = 0

    def note(frame: FrameType, event: str, given: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def grows_with_the_work(work: Callable[[int], object], most: int) -> bool:
    """Return whether *work* on *most* things makes at most four times the calls of a quarter."""
    work(2)  # what is made once
    return calls(lambda: work(most)) <= FOUR_TIMES * calls(lambda: work(most // 4))
