"""Places that answer slowly, probed beside the loop, which waits for none of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from proxygen.apply.probe import AT_ONCE, Probed, probe
from proxygen.services import Endpoint


@dataclass(slots=True)
class SlowPlaces:
    """Probes with the time that a round gives; *seen* are the answers that nobody took yet.

    A thread may be left behind, since nobody can end what it waits for.
    """

    asked: set[Endpoint] = field(default_factory=set)
    seen: dict[Endpoint, Probed] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, endpoints: Iterable[Endpoint]) -> None:
        """Begin to probe places, as many at a time as a round does.

        Those for which the system has no thread now are asked another time.
        """
        for endpoint in endpoints:
            with self.guard:
                if endpoint in self.asked or len(self.asked) >= AT_ONCE:
                    continue
                self.asked.add(endpoint)
            try:
                threading.Thread(target=self.probe, args=(endpoint,), daemon=True).start()
            except RuntimeError:  # what Python makes of EAGAIN
                self.ended(endpoint)

    def probe(self, endpoint: Endpoint) -> None:
        """Probe one place."""
        try:
            seen = probe(endpoint)
            with self.guard:
                self.seen[endpoint] = seen
        finally:
            self.ended(endpoint)

    def ended(self, endpoint: Endpoint) -> None:
        """Have a place be one that may be asked again."""
        with self.guard:
            self.asked.discard(endpoint)

    def take(self, endpoints: Iterable[Endpoint]) -> dict[Endpoint, Probed]:
        """Return the answers of these places that came, each once."""
        with self.guard:
            there = [each for each in endpoints if each in self.seen]
            return {each: self.seen.pop(each) for each in there}
