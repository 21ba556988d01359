"""When to retry what failed: after 1, 10, 100 minutes, then a day; Retry-After always wins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxygen.failure import Failure, NotObtained, Scope, failure
from proxygen.model.certificate import Certificate
from proxygen.model.site import Acme

WAITS = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), timedelta(days=1))
"""After the first failure in a row, the second, the third, and every later one."""

LONGEST_PART = 0.05
"""Of a certificate's lifetime: a day would be too much of one that lives for six."""

JITTER = 0.25
"""By how much of itself a pause grows at most, so that what failed together does not return so."""

LONGEST = WAITS[-1] * (1 + JITTER)
"""No pause of ours is longer."""

LONGEST_ASKED = timedelta(days=9)
"""No authority's own (Retry-After) is longer: what is further away is damaged."""

SKEW = timedelta(hours=1)
"""By how much a failure may be later than now; more, and the clock was wrong when it was noted."""


@dataclass(frozen=True, slots=True)
class RememberedFailure:
    """The last *failure*, *since* when, how often in a row, and when to try *again*.

    *of* is the owner whose certificate could not be obtained, or the directory of the authority
    that could not issue for anybody. *purpose* identifies what was wanted: the failure postpones
    nothing else. *asked* tells that the authority named the moment itself (Retry-After). *source*
    is the hash of the supplied files, empty for other certificates.
    """

    of: str
    at: datetime
    since: datetime
    count: int
    again: datetime
    failure: NotObtained
    purpose: str = ""
    asked: bool = False
    source: str = ""

    def holds(self, now: datetime) -> bool:
        """Return whether it is too early to try again.

        A failure that was noted while the clock was wrong postpones nothing.
        """
        return self.at <= now + SKEW and now < self.again <= self.at + LONGEST_ASKED


def order_purpose(wanted: Certificate) -> str:
    """Return a text that changes with everything about a certificate that matters to its order."""
    proving = (wanted.challenge, wanted.solver)
    facts = (
        wanted.issuer,
        wanted.key_type.value if wanted.key_type_said else "",
        sorted(wanted.names),
        wanted.authorities,
        proving,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def purpose_of(authority: Acme) -> str:
    """Return a text that changes with everything about how an authority is asked."""
    binding = authority.external_account
    facts = (authority.directory, authority.contact, authority.profile, binding)
    roots = tuple(map(str, authority.trusted_roots))
    return hashlib.sha256(repr((facts, roots)).encode()).hexdigest()[:16]


def pause_after(count: int, draw: float, lifetime: timedelta | None = None) -> timedelta:
    """Return how long to wait after *count* failures in a row; *draw* is from 0 to 1.

    *lifetime* is that of the certificate to be renewed, if there is one.
    """
    wait = WAITS[min(max(count, 1), len(WAITS)) - 1]
    if lifetime:
        wait = min(wait, max(lifetime * LONGEST_PART, WAITS[0]))
    return wait * (1 + JITTER * draw)


def postponed_until(
    last_failure: RememberedFailure | None, purpose: str, now: datetime
) -> datetime | None:
    """Return until when a failure postpones something, None if it does not.

    It does not if something else is wanted now, if the pause is over, or if the clock was wrong.
    """
    if last_failure is None or last_failure.purpose != purpose:
        return None
    return last_failure.again if last_failure.holds(now) else None


def after_failures(last_failure: RememberedFailure) -> Failure:
    """Return why an order is postponed after it failed once or several times in a row."""
    code = "after-failure" if last_failure.count == 1 else "after-failures"
    return failure(
        code, Scope.OWNER, last_failure.of, count=last_failure.count, parts=(last_failure.failure,)
    )
