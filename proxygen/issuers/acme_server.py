"""An ACME server: its directory, read once, and the way of speaking with it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_answers import Directory, https_url
from proxygen.issuers.acme_failures import AuthorityRefused
from proxygen.issuers.acme_network import Network
from proxygen.issuers.acme_transport import AcmeResponse, Pace, Transport
from proxygen.model.site import Acme

T = TypeVar("T")
AGE = re.compile(r"[0-9]{1,8}", re.ASCII)
MANY_HOURS = timedelta(days=2)
SKEW = timedelta(hours=1)
"""How far apart our clock and the authority's may be."""


class Once(Generic[T]):
    """A value that the first thread makes while the others wait.

    When that fails it fails for all: who asks within *seconds* is told the same at once.
    """

    def __init__(self, make: Callable[[], T], seconds: float) -> None:
        self.make = make
        self.seconds = seconds
        self.lock = threading.Lock()
        self.made: T | None = None
        self.failed: tuple[float, NotObtained] | None = None

    def __call__(self) -> T:
        """Return the value; raise IssueFailed."""
        with self.lock:
            if self.failed and time.monotonic() < self.failed[0]:
                raise IssueFailed(self.failed[1])
            if self.made is None:
                try:
                    self.made = self.make()
                except IssueFailed as error:
                    self.failed = (time.monotonic() + self.seconds, error.failure)
                    raise
            return self.made


class AcmeServer:
    """The server of one authority; many threads share it. Nothing is sent before it is used.

    *ahead* tells by how much our clock was before its own when it gave its directory, *vain* how
    many questions about renewals had no answer since one had.
    """

    def __init__(
        self, settings: Acme, connections: int, now: Callable[[], datetime], pace: Pace
    ) -> None:
        self.settings = settings
        self.now = now
        roots = settings.trusted_roots
        self.transport = Transport(settings.directory, roots, connections, now, pace)
        self.network = Network(self.transport)
        self.directory = Once(self.read, pace.down)
        self.ahead = timedelta(0)
        self.vain = 0

    def read(self) -> Directory:
        """Read the directory; raise IssueFailed."""
        try:
            answer = self.network.get(https_url(self.settings.directory))
            directory = Directory.read(answer.body)
        except (IssueFailed, AuthorityRefused, ValueError) as error:
            raise IssueFailed(no_directory(self.settings, error)) from error
        self.network.new_nonce = directory.new_nonce
        self.transport.shared |= directory.shared
        if theirs := clock_of(answer):
            self.ahead = self.now() - theirs
        return directory

    def check_clock(self) -> None:
        """Raise IssueFailed if our clock is so wrong that nothing obtained would be of use."""
        self.directory()
        if abs(self.ahead) <= SKEW:
            return
        here, there = self.now(), self.now() - self.ahead
        off = abs(self.ahead)
        hours, minutes = divmod(round(off.total_seconds() / 60), 60)
        way = "ahead" if self.ahead > timedelta(0) else "behind"
        raise IssueFailed(
            not_obtained(
                f"clock-{way}-by-days" if off >= MANY_HOURS else f"clock-{way}",
                Scope.AUTHORITY,
                where=self.settings.directory,
                days=off.days,
                hours=hours,
                minutes=minutes,
                here=f"{here:%Y-%m-%d %H:%M}",
                there=f"{there:%Y-%m-%d %H:%M}",
            )
        )


def clock_of(answer: AcmeResponse) -> datetime | None:
    """Return the time of an answer's Date header, None without one (RFC 9110 section 6.6.1).

    A cache adds how long it kept the answer (RFC 9111 section 5.1).
    """
    age = answer.headers.get("Age", "").strip()
    try:
        sent = parsedate_to_datetime(answer.headers.get("Date", ""))
        kept = timedelta(seconds=int(age) if AGE.fullmatch(age) else 0)
        return sent.astimezone(UTC) + kept if sent.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None


def no_directory(settings: Acme, error: Exception) -> NotObtained:
    """Return the failure for a directory that cannot be read."""
    scope, where, of = Scope.AUTHORITY, settings.origin, settings.directory
    if isinstance(error, IssueFailed):
        why = error.failure
        return not_obtained(
            "no-directory", scope, of, where=where, parts=(why,), words=why.words, final=why.final
        )
    if isinstance(error, AuthorityRefused):
        words, retry_at = acme_failures.problem_words(error.problem), error.retry_at
        return not_obtained(
            "directory-refused", scope, of, where=where, words=words, retry_at=retry_at
        )
    return not_obtained("directory-no-url", scope, of, where=where)
