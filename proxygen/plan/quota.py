"""How many orders an authority's limits allow, and when the next one fits."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.site import AuthorityLimits

ORDERS_IN = timedelta(hours=3)
CERTIFICATES_IN = timedelta(days=7)
VALIDATIONS_IN = timedelta(hours=1)
LONGEST_WINDOW = CERTIFICATES_IN

Registered = Callable[[str], str]
"""From a name to its registered domain, by the public suffix list."""


class QuotaKind(StrEnum):
    """What an entry counts: a *planned* order counts as an order that also succeeds."""

    PLANNED = "planned"
    ORDERED = "ordered"
    ISSUED = "issued"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class QuotaEntry:
    """What counts towards a limit: an order, a certificate, or failed validations of *names*.

    *renewal*: an order for the names of an existing certificate, which Let's Encrypt counts neither
    for the account nor for its registered domains. *exempt*: it replaces a certificate and counts
    for nothing.
    """

    at: datetime
    names: tuple[str, ...]
    kind: QuotaKind = QuotaKind.PLANNED
    renewal: bool = False
    exempt: bool = False


Counted = tuple[tuple[str, object], int, timedelta]
"""A limit: its key, how many, and in which time."""


class Quota:
    """The limits of one authority and what was used of them; ``take`` uses more.

    Each limit holds for every window of its length. This is stricter than a bucket that fills up
    again (as Let's Encrypt's do), so it is right for either kind.
    """

    def __init__(
        self,
        limits: AuthorityLimits,
        entries: Iterable[QuotaEntry],
        registered: Registered,
        now: datetime,
    ) -> None:
        self.limits = limits
        self.registered = registered
        self.used: dict[tuple[str, object], list[datetime]] = {}
        for entry in entries:
            self.take(entry, min(entry.at, now))

    def take(self, entry: QuotaEntry, at: datetime) -> None:
        """Count an entry at a moment."""
        for key, _, _ in self.counted(entry):
            insort(self.used.setdefault(key, []), at)

    def free_at(self, entry: QuotaEntry, now: datetime) -> datetime:
        """Return the first moment, from *now* on, at which an order is within every limit."""
        moments = [now]
        for key, most, window in (*self.counted(entry), *self.validations(entry)):
            used = self.used.get(key, [])
            if len(used) >= most:
                moments.append(used[-most] + window)
        return max(moments)

    def counted(self, entry: QuotaEntry) -> Iterator[Counted]:
        """Yield each limit that an entry counts for."""
        if entry.exempt:
            return
        if entry.kind is QuotaKind.FAILED:
            yield from self.validations(entry)
        if entry.kind in (QuotaKind.PLANNED, QuotaKind.ORDERED):
            yield from self.orders(entry)
        if entry.kind in (QuotaKind.PLANNED, QuotaKind.ISSUED):
            yield from self.certificates(entry)

    def orders(self, entry: QuotaEntry) -> Iterator[Counted]:
        """Yield the limit of new orders for an account."""
        if self.limits.orders and not entry.renewal:
            yield ("orders", ""), self.limits.orders, ORDERS_IN

    def certificates(self, entry: QuotaEntry) -> Iterator[Counted]:
        """Yield the limits of certificates: per registered domain, and per set of names."""
        limits = self.limits
        if limits.registered_domain and not entry.renewal:
            for domain in sorted({self.registered(name) for name in entry.names}):
                yield ("domain", domain), limits.registered_domain, CERTIFICATES_IN
        if limits.name_set:
            yield ("names", frozenset(entry.names)), limits.name_set, CERTIFICATES_IN

    def validations(self, entry: QuotaEntry) -> Iterator[Counted]:
        """Yield the limit of failed validations for each name."""
        if most := self.limits.failed_validations:
            for name in entry.names:
                yield ("failed", name), most, VALIDATIONS_IN


def is_exempt(former: Bundle | None, at: datetime) -> bool:
    """Return whether an order that replaces a certificate counts for nothing in our own ledger.

    It counts in the first third of the certificate's life, so that an authority that suggests
    renewals over and over meets our limits at last.
    """
    return former is not None and at - former.not_before >= former.lifetime / 3


def is_renewal(wanted: Certificate, bundle: Bundle | None, directory: str) -> bool:
    """Return whether the authority that issued a certificate is asked for its names again."""
    if bundle is None or bundle.stand_in or bundle.authority != directory:
        return False
    return set(bundle.names) == set(wanted.names)
