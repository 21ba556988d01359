"""Calendar: when a round is due, and how long to rest between rounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxygen.daemon.bell import Clock

SHORTEST_REST = 60.0
"""Seconds between rounds that nobody asked for."""
SHARE = 400
"""Such a round may take one part in so many of a core: a quarter of a percent."""
SERVICE_REST, SERVICE_SHARE = 5.0, 20
"""The same while services restart over and over, or are changed by somebody else."""

BACKOFF = (1.0, 10.0, 100.0, 600.0)
"""Seconds after a round that could not even be done, by how often in a row."""
TROUBLE = (60.0, 600.0, 3600.0)
"""Seconds after a round in which a service could not be brought to what is wanted."""
FULL = 3600.0
"""Seconds after which there is a round in any case."""
LOCKED = 0.5
"""Seconds between looks at a lock that another run holds."""
JUMP = 30.0
"""Seconds by which the time of day may drift away from one look to the next."""

OFFSET = timedelta(minutes=1)
"""Moments are moved by up to this much, so that hosts do not ask an authority all at once."""
HOUR = timedelta(minutes=2)
"""What would be due in the first minutes of an hour waits for a random moment after them."""

ALLOWED = 2.0
"""Seconds of a core that changes of files may take at once."""
LONGEST_DEBT = 1.0
"""More than that nobody pays for: after 20 seconds every change is looked at."""

CALENDAR = frozenset({"due", "again", "clock"})
FILES = frozenset({"model", "template", "directives", "certificate file"})
AT_ONCE = FILES | {"start", "asked"}
"""Reasons for which a round begins without a rest; any other one is about a service."""
CERTIFICATES = "certificates"
"""The reason when some arrived: the first one is deployed at once, those that follow together."""
ARRIVALS, LONGEST_ARRIVALS = 4.0, 120.0
"""How many times as long as a deployment took there is none for further certificates, at most."""

NEVER = float("inf")


@dataclass(slots=True)
class Calendar:
    """When there is a round; all moments but *wake* are of the clock that does not jump.

    *wake* is when a certificate is due, *again_at* when to retry a service that could not be
    brought to what is wanted, *full_at* when there is a round in any case. *held_until* and
    *locked_until* postpone rounds: after one that failed, and while another run is at work.
    *may_obtain_at* is when certificates may be obtained, and *obtaining_failures* how often in a
    row that failed as a whole. *idle* is the cost of a round that found nothing to do, in seconds
    of a core, and *lasted* how long the last one took.
    """

    clock: Clock
    wake: datetime | None = None
    again_at: float = NEVER
    full_at: float = NEVER
    held_until: float = 0.0
    locked_until: float = 0.0
    ended: float = 0.0
    idle: float = 0.0
    lasted: float = 0.0
    may_obtain_at: float = 0.0
    obtaining_failures: int = 0
    failures: int = 0
    troubles: int = 0
    shift: float | None = None

    def reasons(self) -> Iterator[str]:
        """Yield the reasons for a round by the calendar; each moment is reported once."""
        now = self.clock.ticks()
        if self.jumped():
            yield "clock"
        if self.wake and self.clock.now() >= self.wake and now >= self.rested:
            self.wake = None
            yield "due"
        if now >= min(self.again_at, self.full_at):
            self.again_at, self.full_at = NEVER, now + FULL
            yield "again"

    def jumped(self) -> bool:
        """Return whether the time of day jumped, so that something else may be due."""
        shift = self.clock.now().timestamp() - self.clock.ticks()
        former, self.shift = self.shift, shift
        return former is not None and abs(shift - former) > JUMP

    @property
    def rested(self) -> float:
        """When a round may begin that only the calendar wants."""
        return self.ended + max(SHORTEST_REST, SHARE * self.idle)

    def begins(self, reasons: Collection[str]) -> float:
        """Return when a round may begin for these reasons."""
        if AT_ONCE & set(reasons):
            return self.locked_until
        if set(reasons) == {CERTIFICATES}:
            rest = min(ARRIVALS * self.lasted, LONGEST_ARRIVALS)
            return max(self.locked_until, self.held_until, self.ended + rest)
        service = self.ended + max(SERVICE_REST, SERVICE_SHARE * self.idle)
        return max(self.locked_until, self.held_until, 0.0 if CALENDAR & set(reasons) else service)

    def next(self) -> float:
        """Return when there is next something to do."""
        moments = [self.again_at, self.full_at]
        if self.wake:
            due = self.clock.ticks() + (self.wake - self.clock.now()).total_seconds()
            moments.append(max(due, self.rested))
        return min(moments)

    # What became of a round.

    def locked(self) -> None:
        """Wait, as another run is at work."""
        self.locked_until = self.clock.ticks() + LOCKED

    def failed(self) -> float:
        """Note a round that failed; return after how many seconds the next one may begin."""
        self.failures += 1
        pause = pause_after(self.failures, BACKOFF)
        self.ended = self.clock.ticks()
        self.held_until, self.full_at = self.ended + pause, self.ended + FULL
        return pause

    def done(self, *, trouble: bool) -> None:
        """Note a round; *trouble*: a service could not be brought to what is wanted."""
        self.failures, self.held_until = 0, 0.0
        self.ended = self.clock.ticks()
        self.full_at = self.ended + FULL
        self.troubles = self.troubles + 1 if trouble else 0
        self.again_at = self.ended + pause_after(self.troubles, TROUBLE) if trouble else NEVER

    def due(self, moment: datetime, draw: float) -> None:
        """Note when the next certificate is due; *draw*, from 0 to 1, moves the moment."""
        self.wake = moved_moment(moment, draw)

    def obtaining_locked(self) -> None:
        """Wait, as another process obtains certificates."""
        self.may_obtain_at = self.clock.ticks() + LOCKED

    def obtaining_failed(self) -> float:
        """Note that obtaining failed; return after how many seconds it may begin again."""
        self.obtaining_failures += 1
        pause = pause_after(self.obtaining_failures, BACKOFF)
        self.may_obtain_at = self.clock.ticks() + pause
        return pause


@dataclass(slots=True)
class Allowance:
    """The processor time that changes of files may take: ALLOWED at once, then a share of a core.

    A file that changes all the time is read now and then; a person's change at once.
    """

    clock: Clock
    used: float = 0.0
    at: float = 0.0

    def take(self, seconds: float) -> None:
        """Count the seconds of a core that a change took."""
        self.used = min(self.present() + seconds, ALLOWED + LONGEST_DEBT)
        self.at = self.clock.ticks()

    def left(self) -> float:
        """Return after how many seconds the next change may be handled."""
        return max(0.0, self.present() - ALLOWED) * SERVICE_SHARE

    def present(self) -> float:
        """Return how many seconds are not paid for yet."""
        return max(0.0, self.used - (self.clock.ticks() - self.at) / SERVICE_SHARE)


def pause_after(times: int, waits: tuple[float, ...]) -> float:
    """Return how long to wait after so many failures in a row."""
    return waits[min(times, len(waits)) - 1]


def moved_moment(moment: datetime, draw: float) -> datetime:
    """Return a moment a little later: never at a round minute, and never on the hour."""
    later = moment + OFFSET * draw
    hour = later.replace(minute=0, second=0, microsecond=0)
    return later if later - hour >= HOUR else later + HOUR + 4 * OFFSET * draw
