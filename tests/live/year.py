"""Year: an installation lived through day by day, its clock handed in, with all that happens."""

from __future__ import annotations

import email
import email.policy
import heapq
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from proxygen.apply.walk import SILENT, Outcome
from proxygen.bundles import Bundles
from proxygen.plan.wake import wake_at
from proxygen.reconcile import reconcile
from proxygen.tell import tell
from tests.live import ports
from tests.live.installation import Clock, Installation
from tests.standins import MemoryStore


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that arrived, by the clock of the installation."""

    at: datetime
    to: str
    message: EmailMessage

    @property
    def subject(self) -> str:
        """What it is about."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """Its plain text."""
        body = self.message.get_body(("plain",))
        assert body
        return str(body.get_content())


@dataclass(slots=True)
class Sink:
    """A mail server that keeps what it is given."""

    clock: Clock
    mails: list[Mail] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a message."""
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        for recipient in envelope.rcpt_tos:
            self.mails.append(Mail(self.clock.now, recipient, message))
        return "250 OK"


@contextmanager
def sink(clock: Clock) -> Iterator[tuple[Sink, int]]:
    """Have a mail server, and its port, for a block."""
    kept, port = Sink(clock), ports.reserve()
    server = Controller(kept, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield kept, port
    finally:
        server.stop()
        ports.release(port)


class Year:
    """Lives through time: *installation* does a round whenever something is due.

    While nothing fails, rounds are at least *pace* apart, as the daemon's are with many
    domains. ``at`` puts something that happens on the calendar.
    """

    def __init__(self, installation: Installation, pace: timedelta, seed: int = 1) -> None:
        store = MemoryStore()  # that values survive a restart is shown elsewhere
        chance = random.Random(seed)
        self.ours = installation
        self.parts = replace(
            installation.parts, store=store, bundles=Bundles(store), draw=chance.random
        )
        self.pace = pace
        self.site = installation.site
        self.events: list[tuple[datetime, int, Callable[[], Any]]] = []
        self.rounds = 0
        self.ended: list[tuple[datetime, str]] = []

    def at(self, moment: datetime, happens: Callable[[], Any]) -> None:
        """Let something happen at a moment."""
        heapq.heappush(self.events, (moment, len(self.events), happens))

    def live(self, until: datetime) -> None:
        """Go on until a moment."""
        clock = self.ours.clock
        while clock.now < until:
            outcome, again = self.round()
            quiet = not (outcome.failures or outcome.waiting)
            wake = max(again, clock.now + (self.pace if quiet else timedelta(minutes=1)))
            self.turn(min(wake, until))

    def turn(self, moment: datetime) -> None:
        """Turn the clock on, to the next event at most."""
        clock = self.ours.clock
        happens: list[Callable[[], Any]] = []
        while self.events and self.events[0][0] <= moment:
            at, _, event = heapq.heappop(self.events)
            if happens and at > clock.now:
                heapq.heappush(self.events, (at, len(self.events), event))
                break
            clock.now = max(clock.now, at)
            happens.append(event)
        if not happens:
            clock.now = moment
        for event in happens:
            event()

    def round(self) -> tuple[Outcome, datetime]:
        """Do a round; return what it did and when the next one is due."""
        self.rounds += 1
        now = self.ours.clock.now
        for owner, bundle in self.parts.bundles.all().items():
            if bundle.not_after <= now:
                self.ended.append((now, owner))
        outcome = reconcile(self.site, self.parts, SILENT)
        told = tell(self.site, self.parts, outcome)
        assert outcome.observed
        wake = wake_at(self.site, outcome.observed, outcome.waiting, now)
        return outcome, min(wake, told) if told else wake
