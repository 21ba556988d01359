"""How many orders an authority's limits allow, and when the next one fits."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxygen.model.site import Limits

ORDERS_IN = timedelta(hours=3)
CERTIFICATES_IN = timedelta(days=7)
VALIDATIONS_IN = timedelta(hours=1)
LONGEST_WINDOW = CERTIFICATES_IN

Registered = Callable[[str], str]
"""From a name to its registered domain, by the public suffix list."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What counts towards a limit: a new order, or *failed* validations of *names*.

    *renewal* marks an order for the names of a certificate that is there: Let's Encrypt counts
    it neither for the account nor for its registered domains. An *exempt* one replaces a
    certificate, and counts for nothing.
    """

    at: datetime
    names: tuple[str, ...]
    failed: bool = False
    renewal: bool = False
    exempt: bool = False


class Quota:
    """The limits of one authority and what was used of them; ``take`` uses more.

    Each limit is kept over every window of its length. That is stricter than a bucket that
    fills up again (as Let's Encrypt's do), so it holds for either kind.
    """

    def __init__(
        self, limits: Limits, entries: Iterable[Entry], registered: Registered, now: datetime
    ) -> None:
        self.limits = limits
        self.registered = registered
        self.used: dict[tuple[str, object], list[datetime]] = {}
        for entry in entries:
            # Noted while the clock was ahead, it counts from now on at the latest.
            self.take(entry, min(entry.at, now))

    def take(self, entry: Entry, at: datetime) -> None:
        """Count an order or failed validations at a moment."""
        for key, _, _ in self.counted(entry):
            insort(self.used.setdefault(key, []), at)

    def free_at(self, entry: Entry, now: datetime) -> datetime:
        """Return the first moment, from *now* on, at which an order is within every limit."""
        moments = [now]
        for key, most, window in (*self.counted(entry), *self.validations(entry)):
            used = self.used.get(key, [])
            if len(used) >= most:
                moments.append(used[-most] + window)
        return max(moments)

    def counted(self, entry: Entry) -> Iterator[tuple[tuple[str, object], int, timedelta]]:
        """Yield each limit that an entry counts for: its key, how many, and in which time."""
        limits = self.limits
        if entry.exempt:
            return
        if entry.failed:
            yield from self.validations(entry)
            return
        if limits.orders and not entry.renewal:
            yield ("orders", ""), limits.orders, ORDERS_IN
        if limits.registered_domain and not entry.renewal:
            for domain in sorted({self.registered(name) for name in entry.names}):
                yield ("domain", domain), limits.registered_domain, CERTIFICATES_IN
        if limits.name_set:
            yield ("names", frozenset(entry.names)), limits.name_set, CERTIFICATES_IN

    def validations(self, entry: Entry) -> Iterator[tuple[tuple[str, object], int, timedelta]]:
        """Yield the limit of failed validations for each name."""
        if most := self.limits.failed_validations:
            for name in entry.names:
                yield ("failed", name), most, VALIDATIONS_IN
