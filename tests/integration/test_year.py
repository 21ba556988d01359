"""A simulated year: no certificate ends, no limit is hit, and the mails are those of the design.

The authority is a small one that is true to RFC 8555 and RFC 9773 and keeps Let's Encrypt's
limits; its clock is the installation's. 200 domains in all, under three lifetimes.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.live.small_authority import LETS_ENCRYPT
from tests.live.year import BROKEN, CONTACT, DAY, START, SUPPLIED, Mail, lived

pytestmark = pytest.mark.apart

HOUR = timedelta(hours=1)


def about(mails: list[Mail], name: str, to: str) -> list[Mail]:
    """Return the mails to somebody about a name."""
    return [each for each in mails if each.to == to and name in each.text]


def days(mails: list[Mail], end: datetime) -> list[int]:
    """Return how many days on the calendar before *end* each mail was sent."""
    return [(end.date() - each.at.date()).days for each in mails]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("profile", "count", "pace"),
    [
        pytest.param("classic", 78, 24 * HOUR, id="90 days"),
        pytest.param("tlsserver", 78, 24 * HOUR, id="45 days"),
        pytest.param("shortlived", 38, 12 * HOUR, id="6 days"),
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
