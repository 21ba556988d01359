"""The limits of a small ACME authority: those of Let's Encrypt, each a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.live.small_authority_wire import Problem

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DOCUMENT = "https://letsencrypt.org/docs/rate-limits/#"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is allowed, by default what Let's Encrypt allows; None: as much as one likes.

    New orders per account and 3 hours; certificates per registered domain and 7 days, and per
    set of names and 7 days; failed validations per account, name and hour.
    """

    orders: int | None = 300
    registered_domain: int | None = 50
    name_set: int | None = 5
    failed_validations: int | None = 5


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and whom it is kept for; *text* and *anchor* are Let's Encrypt's words."""

    key: tuple[object, ...]
    most: int | None
    window: timedelta
    text: str
    anchor: str

    def refusal(self, now: datetime, free: datetime) -> Problem:
        """Return the problem that says when one more is allowed."""
        span = f"{self.window // HOUR}h0m0s"
        told = f"{self.text.format(most=self.most, span=span)}, retry after {free:%F %T} UTC"
        wait = max(1, math.ceil((free - now).total_seconds()))
        detail = f"{told}: see {DOCUMENT}{self.anchor}"
        return Problem("rateLimited", 429, detail, headers={"Retry-After": str(wait)})


class Ledger:
    """What was used of each limit.

    A limit is kept over every window of its length. Let's Encrypt's buckets, which fill up
    little by little, never refuse what this one allows.
    """

    def __init__(self, limits: Limits, registered: Callable[[str], str]) -> None:
        self.limits = limits
        self.registered = registered
        self.used: dict[tuple[object, ...], list[datetime]] = {}

    def require(self, limits: Iterator[Limit], now: datetime) -> None:
        """Raise the Problem of the limit that lasts longest, if any is reached."""
        reached = [(free, limit) for limit in limits if (free := self.free_at(limit, now)) > now]
        if reached:
            free, limit = max(reached, key=lambda each: each[0])
            raise limit.refusal(now, free)

    def free_at(self, limit: Limit, now: datetime) -> datetime:
        """Return when one more is allowed."""
        if limit.most is None:
            return now
        within = sorted(at for at in self.used.get(limit.key, ()) if at > now - limit.window)
        if len(within) < limit.most:
            return now
        return within[-limit.most] + limit.window if limit.most else now + limit.window

    def take(self, limits: Iterator[Limit], now: datetime) -> None:
        """Count one more towards each."""
        for limit in limits:
            within = [at for at in self.used.get(limit.key, ()) if at > now - limit.window]
            self.used[limit.key] = [*within, now]

    def checked(self, account: int, names: frozenset[str], renewal: bool) -> Iterator[Limit]:
        """Yield what a new order must keep."""
        yield from self.for_order(account, renewal)
        yield from self.for_certificate(names, renewal)
        for name in sorted(names):
            yield from self.for_failure(account, name)

    def for_order(self, account: int, renewal: bool) -> Iterator[Limit]:
        """Yield what a new order counts for; a renewal does not."""
        if not renewal:
            text = "too many new orders ({most}) from this account in the last {span}"
            most = self.limits.orders
            yield Limit(("orders", account), most, 3 * HOUR, text, "new-orders-per-account")

    def for_certificate(self, names: frozenset[str], renewal: bool) -> Iterator[Limit]:
        """Yield what a certificate counts for; one that renews counts for its set of names."""
        issued = "too many certificates ({most}) already issued for"
        for domain in sorted({self.registered(name) for name in names}) if not renewal else ():
            text = f'{issued} "{domain}" in the last {{span}}'
            anchor = "new-certificates-per-registered-domain"
            most = self.limits.registered_domain
            yield Limit(("domain", domain), most, 7 * DAY, text, anchor)
        text = f"{issued} this exact set of identifiers in the last {{span}}"
        anchor = "new-certificates-per-exact-set-of-identifiers"
        yield Limit(("names", names), self.limits.name_set, 7 * DAY, text, anchor)

    def for_failure(self, account: int, name: str) -> Iterator[Limit]:
        """Yield what a failed validation counts for."""
        text = f'too many failed authorizations ({{most}}) for "{name}" in the last {{span}}'
        anchor = "authorization-failures-per-identifier-per-account"
        most = self.limits.failed_validations
        yield Limit(("failed", account, name), most, HOUR, text, anchor)


def last_two_labels(name: str) -> str:
    """Return the registered domain of a name below a public suffix of one label."""
    return ".".join(name.split(".")[-2:])
