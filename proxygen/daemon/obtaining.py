"""Obtaining certificates, which may take minutes, beside the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from proxygen.apply.outcome import Outcome
from proxygen.assemble import Installation

Work = Callable[[Installation | None], tuple[Installation, Outcome]]
Start = Callable[[Callable[[], None]], None]


def side_by_side(work: Callable[[], None]) -> None:
    """Begin work in a thread of its own."""
    threading.Thread(target=work, name="obtain", daemon=True).start()


@dataclass(slots=True)
class Obtainer:
    """Obtains certificates while the loop goes on, never twice at the same time.

    *wanted*: there is a reason to, once the present work has ended. *ended* is its result. It began
    at *since*, and made progress at *progress_at*. *start* begins work, *wake* rings for the loop.
    *installation* remember from one time to the next what they read.
    """

    wake: Callable[[], None]
    start: Start = side_by_side
    installation: Installation | None = None
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
                self.installation, self.ended = work(self.installation)
            except Exception as error:  # noqa: BLE001 - the loop is told, and goes on
                self.installation, self.ended = None, error
            self.running = False
            self.wake()

        self.start(whole)

    def result(self) -> Outcome | Exception | None:
        """Return its result, once."""
        if self.running:
            return None
        ended, self.ended = self.ended, None
        return ended
