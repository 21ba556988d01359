"""Obtaining: the half that may take minutes, side by side with the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from proxygen.apply.outcome import Outcome
from proxygen.assemble import Parts

Work = Callable[[Parts | None], tuple[Parts, Outcome]]
Start = Callable[[Callable[[], None]], None]


def side_by_side(work: Callable[[], None]) -> None:
    """Begin work in a thread of its own."""
    threading.Thread(target=work, name="obtain", daemon=True).start()


@dataclass(slots=True)
class Obtaining:
    """Obtains certificates while the loop goes on; one after another, never two at a time.

    *wanted*: there is reason to, once what is under way has ended. *ended* is what became of it.
    It began at *since*, and got on at *progress_at* last.
    *start* has work done, *wake* rings for the loop. *parts* know from one time to the next what
    they read.
    """

    wake: Callable[[], None]
    start: Start = side_by_side
    parts: Parts | None = None
    wanted: bool = False
    running: bool = False
    ended: Outcome | Exception | None = None
    since: float = 0.0
    progress_at: float = 0.0

    def begin(self, work: Work, now: float) -> None:
        """Begin to obtain what is due."""
        self.wanted, self.running = False, True
        self.since = self.progress_at = now

        def whole() -> None:
            try:
                self.parts, self.ended = work(self.parts)
            except Exception as error:  # noqa: BLE001 - the loop is told, and goes on
                self.parts, self.ended = None, error
            self.running = False
            self.wake()

        self.start(whole)

    def result(self) -> Outcome | Exception | None:
        """Return what became of it, once."""
        if self.running:
            return None
        ended, self.ended = self.ended, None
        return ended
