"""Year: an installation lived through for a year, its clock handed in, with what happens in it."""

from __future__ import annotations

import email
import email.policy
import heapq
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from proxygen.apply.mails import send_mails
from proxygen.apply.outcome import SILENT, Outcome
from proxygen.plan.wake import wake_at
from proxygen.reconcile import reconcile
from proxygen.stores.bundles import Bundles
from tests import certificates
from tests.live import ports
from tests.live.installation import Clock, TrialInstallation, challenge_port
from tests.live.small_authority import Limits, SmallAuthority
from tests.standins import MemoryStore

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2027, 3, 1, 9, 17, tzinfo=UTC)
LIMITS = {"orders": 300, "registered_domain": 50, "name_set": 5, "failed_validations": 5}
CONTACT = "hostmaster@example.net"
BROKEN, SUPPLIED = "broken.example", "supplied.example"


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


@dataclass
class Sink:
    """A mail server that keeps what it is given.

    Without slots: aiosmtpd asks for all members, which Python 3.11.2 fails at with them.
    """

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

    def __init__(self, installation: TrialInstallation, pace: timedelta, seed: int = 1) -> None:
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
        told = send_mails(self.site, self.parts, outcome)
        assert outcome.observed
        wake = wake_at(self.site, outcome.observed, outcome.waiting, now)
        return outcome, min(wake, told) if told else wake


def domains(count: int) -> dict[str, object]:
    """Return so many domains: half of them share a registered domain, as a platform's do."""
    return {
        f"d{number}.example": {
            "url": f"www.d{number}.example" if number % 2 else f"d{number}.platform.example",
            "certificate": "acme",
        }
        for number in range(count)
    }


def customers() -> dict[str, object]:
    """Return two domains with troubles of their own, and contacts."""
    return {
        BROKEN: {
            "url": f"www.{BROKEN}",
            "certificate": "acme",
            "contact": f"it@{BROKEN}",
            "language": "de",
        },
        SUPPLIED: {
            "url": f"www.{SUPPLIED}",
            "certificate": {"file": {"certificate": "supplied.pem"}},
        },
    }


def supply(ours: TrialInstallation, ends: datetime, lasts: timedelta = 200 * DAY) -> None:
    """Put a supplied certificate in place."""
    made = certificates.leaf(
        certificates.intermediate(certificates.root(start=START - 900 * DAY, end=ends + 900 * DAY)),
        f"www.{SUPPLIED}",
        start=ends - lasts,
        end=ends,
    )
    path = ours.layout.config.parent / "supplied.pem"
    path.write_bytes(certificates.key_pem(made.key) + certificates.pem(made.certificate))


class Failures:
    """What happens in the year: an authority away for a week, a broken DNS, a supplied file."""

    def __init__(self, year: Year, *authorities: SmallAuthority) -> None:
        self.year = year
        self.authorities = authorities
        self.repaired: datetime | None = None
        self.ended: datetime | None = None
        first = authorities[0]
        year.at(START + 150 * DAY, lambda: setattr(first, "away", "503"))
        year.at(START + 157 * DAY, lambda: setattr(first, "away", None))
        year.at(START + 200 * DAY, self.breaks)
        supply(year.ours, START + 80 * DAY)
        year.at(START + 78 * DAY, lambda: supply(year.ours, START + 450 * DAY, lasts=373 * DAY))

    def breaks(self) -> None:
        """The DNS of one domain breaks, until a part of its last days before the end is over."""
        bundle = self.year.parts.bundles.facts(BROKEN)
        assert bundle
        for authority in self.authorities:
            authority.failing[f"www.{BROKEN}"] = "dns"
        self.ended = bundle.not_after
        self.year.at(bundle.not_after - min(2 * DAY, bundle.lifetime * 0.1), self.repairs)

    def repairs(self) -> None:
        """Somebody reads the mails."""
        self.repaired = self.year.ours.clock.now
        for authority in self.authorities:
            del authority.failing[f"www.{BROKEN}"]


@contextmanager
def lived(
    folder: Path, profile: str, count: int, pace: timedelta
) -> Iterator[tuple[Year, Failures, list[Mail]]]:
    """Have a year that was lived through."""
    clock = Clock(START)
    (folder / "second").mkdir()
    with challenge_port() as port, sink(clock) as (server, smtp), ExitStack() as stack:
        ours = TrialInstallation(folder / "root", clock, port)
        ca, other = (
            stack.enter_context(
                SmallAuthority(
                    place, clock=clock, http_port=port, limits=Limits(), ari_retry_after=86_400
                )
            )
            for place in (folder, folder / "second")
        )
        ours.model(
            ca,
            domains(count) | customers(),
            # A week without the authority is longer than a life of 160 hours.
            fallback=other if profile == "shortlived" else None,
            acme={"profile": profile, "limits": LIMITS},
            notifiers={"email": {"host": "localhost", "port": smtp, "security": "none"}},
        )
        year = Year(ours, pace)
        troubles = Failures(year, ca, other)
        year.live(START + 365 * DAY)
        yield year, troubles, server.mails
