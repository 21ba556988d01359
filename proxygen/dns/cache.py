"""Answers kept as long as they may be; the oldest go when there are too many."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

ENTRIES = 100_000
ANSWERS = (5.0, 300.0)
"""Seconds that an answer is kept, whatever its TTL: customers change records, then look."""
NEGATIVE = (5.0, 60.0)
"""The same of "there is none", which is the usual state just before a customer repairs it."""
FAILURE = 30.0
OCTETS = 300
"""Of a value, for which it takes the place of one entry more."""


class Cache:
    """Values by key, each until its time is over by *ticks*, in seconds."""

    def __init__(self, ticks: Callable[[], float], entries: int = ENTRIES) -> None:
        self.ticks = ticks
        self.entries = entries
        self.taken = 0
        self._kept: dict[Hashable, tuple[float, int, Any]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Any:
        """Return the value of *key*, None when there is none or its time is over."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] > self.ticks():
            return kept[2]
        self.drop(key)
        return None

    def put(self, key: Hashable, value: Any, seconds: float, octets: int = 0) -> None:
        """Keep *value*, of so many *octets*, for *seconds*; what was put first makes room."""
        self.drop(key)
        places = 1 + octets // OCTETS
        while self._kept and self.taken + places > self.entries:
            self.drop(next(iter(self._kept)))
        self._kept[key] = (self.ticks() + seconds, places, value)
        self.taken += places

    def drop(self, key: Hashable) -> None:
        """Forget *key*; nothing happens when it is not there."""
        if kept := self._kept.pop(key, None):
            self.taken -= kept[1]


def clamp(seconds: float, bounds: tuple[float, float]) -> float:
    """Return *seconds*, no less and no more than *bounds* say."""
    return min(max(seconds, bounds[0]), bounds[1])
