"""Bell: events wake the loop; bursts of them are waited out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

QUIET = 0.1
"""Seconds without another event after which a burst is over: a file was written whole."""
LONGEST_BURST = 2.0
"""Seconds after which a burst that does not end is looked at nevertheless."""


class Clock(Protocol):
    """The only clock of the daemon."""

    def now(self) -> datetime:
        """Return the time of day, which may jump."""

    def ticks(self) -> float:
        """Return seconds that never jump."""

    def spent(self) -> float:
        """Return the seconds of a core that this process has used."""


class Bell:
    """Rung from any thread; heard by the loop."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self.ticks = ticks
        self.lock = threading.Lock()
        self.woken = threading.Event()
        self.first: float | None = None
        self.last = 0.0

    def ring(self) -> None:
        """Report that a file may have changed. Only the first event of a burst wakes."""
        with self.lock:
            self.last = self.ticks()
            if self.first is not None:
                return
            self.first = self.last
        self.woken.set()

    def wake(self) -> None:
        """Wake the loop for another reason."""
        self.woken.set()

    def wait(self, seconds: float) -> None:
        """Wait until woken, or for so many seconds."""
        self.woken.wait(seconds)
        self.woken.clear()

    def left(self) -> float | None:
        """Return in how many seconds a burst is over, None if nothing rang."""
        with self.lock:
            if self.first is None:
                return None
            over = min(self.last + QUIET, self.first + LONGEST_BURST)
            return max(0.0, over - self.ticks())

    def heard(self) -> bool:
        """Return whether a burst is over, and forget it."""
        with self.lock:
            if self.first is None:
                return False
            if self.ticks() < min(self.last + QUIET, self.first + LONGEST_BURST):
                return False
            self.first = None
            return True
