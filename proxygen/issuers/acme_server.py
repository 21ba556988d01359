"""An ACME server: its directory, read once, and the way of speaking with it."""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from proxygen.errors import IssueFailed
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_answers import Directory, https
from proxygen.issuers.acme_failures import Refused
from proxygen.issuers.acme_network import Network
from proxygen.issuers.acme_transport import Answer, Pace, Transport
from proxygen.model.site import Acme

T = TypeVar("T")
AGE = re.compile(r"[0-9]{1,8}", re.ASCII)
DAY = timedelta(days=1)
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
        self.failed: tuple[float, IssueFailed] | None = None

    def __call__(self) -> T:
        """Return the value; raise IssueFailed."""
        with self.lock:
            if self.failed and time.monotonic() < self.failed[0]:
                raise copy.copy(self.failed[1])
            if self.made is None:
                try:
                    self.made = self.make()
                except IssueFailed as error:
                    self.failed = (time.monotonic() + self.seconds, error)
                    raise
            return self.made


class Server:
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
            answer = self.network.get(https(self.settings.directory))
            directory = Directory.read(answer.body)
        except (IssueFailed, Refused, ValueError) as error:
            raise no_directory(self.settings, error) from error
        self.network.new_nonce = directory.new_nonce
        self.transport.shared |= directory.shared
        if theirs := clock_of(answer):
            self.ahead = self.now() - theirs
        return directory

    def check_clock(self) -> None:
        """Raise IssueFailed when our clock is so wrong that nothing obtained would be of use."""
        self.directory()
        if abs(self.ahead) <= SKEW:
            return
        way = "ahead of" if self.ahead > timedelta(0) else "behind"
        here, there = self.now(), self.now() - self.ahead
        raise IssueFailed(
            f"this host's clock is {much(abs(self.ahead))} {way} the authority's",
            where=self.settings.directory,
            remedy="set the clock of this host, and have it kept right (see `timedatectl`)",
            words=f"it is {here:%Y-%m-%d %H:%M} here, and {there:%Y-%m-%d %H:%M} there (UTC)",
            everybody=True,
        )


def much(time: timedelta) -> str:
    """Return a length of time in words."""
    if time >= 2 * DAY:
        return f"{time.days} days"
    minutes = round(time.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def clock_of(answer: Answer) -> datetime | None:
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


def no_directory(settings: Acme, error: Exception) -> IssueFailed:
    """Return the error for a directory that cannot be read."""
    told: dict[str, Any] = {"remedy": "check `acme.directory`: it must be an https:// URL"}
    if isinstance(error, IssueFailed):
        said = (error.what, str(error.where or ""), error.words)
        words = "\n".join(line for line in said if line)
        told = {"remedy": error.remedy, "words": words, "final": error.final}
    elif isinstance(error, Refused):
        told = {
            "remedy": "check `acme.directory`; if it is right, try again later",
            "words": acme_failures.words(error.problem),
            "retry_at": error.retry_at,
        }
    what = f"the ACME directory {settings.directory} cannot be used"
    return IssueFailed(what, where=settings.origin, everybody=True, **told)
