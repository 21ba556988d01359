"""A simulated year: no certificate ends, no limit is hit, and the mails are those of the design.

The authority is a small one that is true to RFC 8555 and RFC 9773 and keeps Let's Encrypt's
limits; its clock is the installation's. 200 domains in all, under three lifetimes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests import certificates
from tests.live.installation import Clock, Installation, challenge_port
from tests.live.small_authority import LETS_ENCRYPT, Limits, SmallAuthority
from tests.live.year import Mail, Year, sink

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2027, 3, 1, 9, 17, tzinfo=UTC)
LIMITS = {"orders": 300, "registered_domain": 50, "name_set": 5, "failed_validations": 5}
CONTACT = "hostmaster@example.net"
BROKEN, SUPPLIED = "broken.example", "supplied.example"


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


def supply(ours: Installation, ends: datetime, lasts: timedelta = 200 * DAY) -> None:
    """Put a supplied certificate in place."""
    made = certificates.leaf(
        certificates.intermediate(certificates.root(start=START - 900 * DAY, end=ends + 900 * DAY)),
        f"www.{SUPPLIED}",
        start=ends - lasts,
        end=ends,
    )
    path = ours.layout.config.parent / "supplied.pem"
    path.write_bytes(certificates.key_pem(made.key) + certificates.pem(made.certificate))


def about(mails: list[Mail], name: str, to: str) -> list[Mail]:
    """Return the mails to somebody about a name."""
    return [each for each in mails if each.to == to and name in each.text]


def days(mails: list[Mail], end: datetime) -> list[int]:
    """Return how many days on the calendar before *end* each mail was sent."""
    return [(end.date() - each.at.date()).days for each in mails]


class Troubles:
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
) -> Iterator[tuple[Year, Troubles, list[Mail]]]:
    """Have a year that was lived through."""
    clock = Clock(START)
    (folder / "second").mkdir()
    with challenge_port() as port, sink(clock) as (server, smtp), ExitStack() as stack:
        ours = Installation(folder / "root", clock, port)
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
        troubles = Troubles(year, ca, other)
        year.live(START + 365 * DAY)
        yield year, troubles, server.mails


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("profile", "count", "pace"),
    [
        pytest.param("classic", 78, 12 * HOUR, id="90 days"),
        pytest.param("tlsserver", 78, 12 * HOUR, id="45 days"),
        pytest.param("shortlived", 38, 6 * HOUR, id="6 days"),
    ],
)
def test_a_year(tmp_path: Path, profile: str, count: int, pace: timedelta) -> None:
    with lived(tmp_path, profile, count, pace) as (year, troubles, mails):
        assert year.ended == []
        assert [each.refused for each in troubles.authorities] == [[], []]
        renewed = 365 * DAY / LETS_ENCRYPT[profile]
        assert len(troubles.authorities[0].issued) > count * renewed

        # The supplied certificate: at 60, 30, 14 and 7 days, then daily until the new one.
        supplied = about(mails, SUPPLIED, CONTACT)
        told = days(supplied[:-1], START + 80 * DAY)
        assert told[:8] == [60, 30, 14, 7, 6, 5, 4, 3]
        assert told[8:] in ([], [2])  # by a round before it was replaced on that day
        assert supplied[-1].at - (START + 78 * DAY) < DAY

        # The broken domain: daily in the last 5 days, or fifth of its life, until it was solved.
        ended, repaired = troubles.ended, troubles.repaired
        assert ended
        assert repaired
        warned = ended - min(5 * DAY, LETS_ENCRYPT[profile] * 0.2)
        for to in (CONTACT, f"it@{BROKEN}"):
            *warnings, solved = about(mails, BROKEN, to)
            assert repaired < solved.at < repaired + 1.25 * DAY + pace  # the next daily attempt
            last = warnings[-1].at
            assert [each.at.date() for each in warnings] == every_day(warned, last)
            assert solved.at.date() - last.date() <= DAY
        assert "dns" in about(mails, BROKEN, CONTACT)[0].text
        assert "Zertifikat" in about(mails, BROKEN, f"it@{BROKEN}")[0].text

        # Nobody is told of anything else: not of the week in which the authority was away.
        expected = {*map(id, supplied), *map(id, about(mails, BROKEN, CONTACT))}
        expected |= {*map(id, about(mails, BROKEN, f"it@{BROKEN}"))}
        assert [each.subject for each in mails if id(each) not in expected] == []


def every_day(start: datetime, end: datetime) -> list[date]:
    """Return the days from one moment to another."""
    first, last = start.date(), end.date()
    return [first + each * DAY for each in range((last - first).days + 1)]
