"""Bar: how far long work is, and how long it will take, in the last line of a terminal."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

WIDTH = 24
"""Characters of the bar itself."""
USUAL_COLUMNS = 80
BEAT = 1.0
"""Seconds after which it is drawn anew although nothing happened."""
FIRST_FORECAST = 2.0
"""Seconds of work before which nobody can tell how long the rest takes."""
CLEAR = "\r\x1b[K"
"""To the first column, and erase the line (ECMA-48)."""


@dataclass(slots=True)
class Bar:
    """A bar on *stream*, a terminal; many threads may tell it how it goes.

    Nothing of it is left once it is closed. Where nobody listens any more the work goes on.
    """

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    failed: int = 0
    what: str = ""
    done: int = 0
    of: int = 0
    began: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock)
    over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Draw it again and again from now on, as a sign of life."""
        threading.Thread(target=self.beat, name="bar", daemon=True).start()

    def beat(self) -> None:
        """Draw it until it is closed."""
        while not self.over.wait(BEAT):
            self.draw()

    def count(self, what: str, done: int, of: int) -> None:
        """Show that so many are *done*; other work, or another number of it, begins from 0."""
        with self.lock:
            if done == 0 or (what, of) != (self.what, self.of):
                self.what, self.of, self.began = what, of, self.clock()
                self.done = self.failed = 0
            self.done = max(self.done, done)
            self.draw()

    def fail(self) -> None:
        """Show that one more failed."""
        with self.lock:
            self.failed += 1

    def above(self, write: Callable[[], None]) -> None:
        """Have something written above the bar."""
        with self.lock:
            self.write(CLEAR)
            write()
            self.draw()

    def draw(self) -> None:
        """Draw the bar, or nothing where there is nothing to wait for."""
        with self.lock:
            busy = self.done < self.of and not self.over.is_set()
            self.write(
                f"{CLEAR}{self.line()[: terminal_width(self.stream) - 1]}" if busy else CLEAR
            )

    def line(self) -> str:
        """Return what it says."""
        full = WIDTH * self.done // self.of
        failed = f"  {self.failed:,} failed" if self.failed else ""
        return (
            f"{self.what} [{'#' * full}{'-' * (WIDTH - full)}] {self.done:,}/{self.of:,}"
            f"{failed}{self.forecast()}"
        )

    def forecast(self) -> str:
        """Return how long the rest takes if it goes on as it did, empty while nobody knows."""
        took = self.clock() - self.began
        if not self.done or took < FIRST_FORECAST:
            return ""
        return f"  about {duration_words(took / self.done * (self.of - self.done))} left"

    def close(self) -> None:
        """Remove it."""
        with self.lock:
            self.over.set()
            self.write(CLEAR)

    def write(self, text: str) -> None:
        """Write to the terminal."""
        with suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()


def terminal_width(stream: TextIO) -> int:
    """Return how wide a terminal is."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    return USUAL_COLUMNS


def duration_words(seconds: float) -> str:
    """Return how long a time is, in the unit that fits."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
