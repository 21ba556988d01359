"""What the daemon's loop is handed in tests: a clock, and a root without services."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from proxygen.daemon.bell import Bell
from proxygen.daemon.loop import Watch
from proxygen.host.logs import LOG
from proxygen.host.watching import Watching
from proxygen.model.layout import Layout
from tests.certificates import NOON

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}


class HandedClock:
    """A clock that goes when it is told to; a step of work takes *costs* seconds of a core."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.jumped = 0.0

    def now(self) -> datetime:
        """Return the time of day."""
        return NOON + timedelta(seconds=self.passed + self.jumped)

    def ticks(self) -> float:
        """Return the seconds that have passed."""
        return self.passed

    def spent(self) -> float:
        """Return that no work costs anything."""
        return 0.0

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day."""
        self.jumped += seconds


class Events(logging.Handler):
    """Keeps the events that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.all: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one event."""
        fields = getattr(record, "fields", {})
        self.all.append({"event": record.getMessage(), "exc": record.exc_info, **fields})

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that name."""
        return [each for each in self.all if each["event"] == name]

    @property
    def reasons(self) -> list[tuple[str, ...]]:
        """The reasons of every round."""
        return [each["because"] for each in self.of("round_begun")]


@contextmanager
def events() -> Iterator[Events]:
    """Have the events of a block."""
    kept, level = Events(), LOG.level
    LOG.addHandler(kept)
    LOG.setLevel(logging.DEBUG)
    try:
        yield kept
    finally:
        LOG.removeHandler(kept)
        LOG.setLevel(level)


def at_once(work: Callable[[], None]) -> None:
    """Do what is done beside the loop before that goes on."""
    work()


class Trial:
    """A loop on a root without services, driven by hand."""

    def __init__(self, root: Path, kept: Events) -> None:
        self.layout = Layout(root, root / "etc/proxygen/proxygen.yaml")
        self.layout.etc.mkdir(parents=True)
        self.events = kept
        self.clock = HandedClock()
        self.watching = Watching(lambda: None, lambda _: None)
        self.watch = self.made()

    def made(self, **more: Any) -> Watch:
        """Return a new loop, as after a restart."""
        bell = Bell(self.clock.ticks)
        given = {"draw": lambda: 0.5, "start_work": at_once} | more
        return Watch(self.layout, self.clock, bell, self.watching, **given)

    def model(self, domains: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Write the model."""
        wanted = {"global": MAIN, "domains": dict(domains or {}), "services": {}, **more}
        self.layout.config.write_text(json.dumps(wanted))

    def changed(self) -> None:
        """Let the loop hear that something was touched, after it became quiet."""
        self.watch.bell.ring()
        self.clock.go(0.3)
        self.watch.step()

    def go(self, seconds: float) -> None:
        """Let time pass as the loop does: from one moment at which it looks to the next."""
        end = self.clock.passed + seconds
        while self.clock.passed < end:
            self.clock.go(min(max(self.watch.step(), 0.001), end - self.clock.passed))
        self.watch.step()

    def leap(self, days: float) -> None:
        """Let much time pass in which nobody looks."""
        self.clock.go(days * 86400)
        self.watch.step()

    @property
    def owners(self) -> set[str]:
        """Whose certificates are stored."""
        return {each.name for each in (self.layout.store / "certificates").glob("*/*")}
