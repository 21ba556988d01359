"""Looks up names of upstream servers now and then, since nginx gets addresses only.

A lookup never holds the loop up: it is begun, and a later step sees the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxygen.daemon.bell import Clock
from proxygen.host.addresses import Addresses, HostAddresses
from proxygen.model.site import Site
from proxygen.model.upstreams import host_names
from proxygen.plan.observed import Observed
from proxygen.services import WebFacts

SOON, OFTEN, SELDOM = 10.0, 60.0, 900.0
"""Seconds between looks at a name: at first for one without an address, for one that stands still,
and at most for one whose addresses change from look to look, as those of some large services do:
nginx is reloaded for each change."""


@dataclass(slots=True)
class LookupPace:
    """When a name is looked up next, and how long after that again."""

    at: float
    pause: float


@dataclass(slots=True)
class Upstreams:
    """Names with what the last round wrote for each; *asked* are those being looked up."""

    clock: Clock
    addresses: Addresses = field(default_factory=Addresses)
    paces: dict[str, LookupPace] = field(default_factory=dict)
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)

    def after(self, site: Site, observed: Observed) -> None:
        """Take over what a round wrote."""
        names, now = host_names(site), self.clock.ticks()
        self.addresses.only(names)
        self.asked = {name: at for name, at in self.asked.items() if name in names}
        found = (each.facts for each in observed.services.values())
        services = [facts for facts in found if isinstance(facts, WebFacts)]
        self.written = {
            name: addresses for each in services for name, addresses in each.addresses.items()
        }
        first = {name: OFTEN if name in self.written else SOON for name in names}
        self.paces = {
            name: self.paces.get(name) or LookupPace(now + pause, pause)
            for name, pause in first.items()
        }

    def changed(self) -> list[str]:
        """Return the names whose addresses differ from those written; begin the lookups due."""
        now = self.clock.ticks()
        found = [name for name, since in [*self.asked.items()] if self.answered(name, since)]
        due = [name for name, pace in self.paces.items() if pace.at <= now and self.idle(name)]
        self.asked |= dict.fromkeys(due, self.addresses.ticks())
        self.addresses.begin(due)
        return found

    def idle(self, name: str) -> bool:
        """Return whether a name is not being looked up."""
        return name not in self.asked

    def answered(self, name: str, since: float) -> bool:
        """Return whether a lookup ended with other addresses than were written."""
        found = self.addresses.found.get(name)
        if found is None or found.at < since:
            return False
        del self.asked[name]
        written = self.written.get(name, ())
        pause = rest_after(found, written, self.paces[name].pause)
        self.paces[name] = LookupPace(self.clock.ticks() + pause, pause)
        return is_different(found, written)

    def next(self) -> float:
        """Return when there is next an answer to see."""
        if self.asked:
            return self.clock.ticks() + 1.0
        return min((pace.at for pace in self.paces.values()), default=float("inf"))


def rest_after(found: HostAddresses, written: tuple[str, ...], former: float) -> float:
    """Return for how long not to look up a name again; *former*: how long it was before."""
    if not found.addresses:
        return min(2 * former, OFTEN)
    return min(2 * former, SELDOM) if written and is_different(found, written) else OFTEN


def is_different(found: HostAddresses, written: tuple[str, ...]) -> bool:
    """Return whether an answer must be written; a name without an address keeps its last one."""
    return bool(found.addresses) and found.addresses != written
