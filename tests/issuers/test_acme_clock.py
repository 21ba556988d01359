"""The clocks of this host and of the authority: a wrong one costs no order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from proxygen.errors import IssueFailed
from proxygen.issuers.acme_server import clock_of
from proxygen.issuers.acme_transport import AcmeResponse
from tests.issuers.at_pebble import Place, at, behind, usual, wanted
from tests.live import needs
from tests.live.between import Between, Reply

pytestmark = needs("pebble", "pebble-challtestsrv")

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def dated(value: str) -> Callable[[str, Reply], Reply]:
    """Return what puts another date on the directory."""
    return at("dir", lambda reply: reply.with_header("Date", value))


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (timedelta(hours=-2), "2 h 0 min ahead of"),
        (timedelta(hours=26), "26 h 0 min behind"),
        (timedelta(days=-400), "400 days ahead of"),
    ],
)
def test_a_wrong_clock_is_told_before_any_order_and_to_all(
    between: Between, common: Place, off: timedelta, words: str
) -> None:
    between.tamper = dated(format_datetime(datetime.now(UTC) + off, usegmt=True))
    with pytest.raises(IssueFailed, match=f"this host's clock is {words} the authority's") as told:
        behind(between, common).issue(wanted("clock.example"), None)
    assert told.value.failure.everybody
    assert "set the clock" in told.value.remedy
    assert {step for step, _ in between.seen} == {"dir"}


@pytest.mark.parametrize("date", ["", "soon", "Fri, 99 Nov 2026 12:00:00 GMT", "\u00b2"])
def test_a_date_that_is_none_is_no_reason_to_stop(
    between: Between, common: Place, date: str
) -> None:
    between.tamper = dated(date)
    assert behind(between, common).issue(wanted("undated.example"), None)


def test_a_clock_that_is_half_an_hour_wrong_is_right_enough(
    between: Between, common: Place
) -> None:
    half = datetime.now(UTC) + timedelta(minutes=30)
    between.tamper = dated(format_datetime(half, usegmt=True))
    assert behind(between, common).issue(wanted("half.example"), None)


def test_pebbles_own_date_is_as_it_should_be(common: Place) -> None:
    one = usual(common)
    one.server.check_clock()
    assert abs(one.server.ahead) < timedelta(minutes=1)
    assert one.server.ahead, "Pebble sends a Date"


@pytest.mark.parametrize(
    ("headers", "theirs"),
    [
        ({"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}, NOON),
        ({"Date": "Fri, 20 Nov 2026 14:00:00 +0200"}, NOON),
        ({"Date": "Fri, 20 Nov 2026 11:00:00 GMT", "Age": "3600"}, NOON),
        ({"Date": "Fri, 20 Nov 2026 12:00:00 GMT", "Age": "9" * 5000}, NOON),
        ({"Date": "Fri, 20 Nov 2026 12:00:00 GMT", "Age": "-5"}, NOON),
        ({"Date": "Fri, 20 Nov 2026 12:00:00 -0000"}, None),
        ({"Date": "Fri, 31 Dec 9999 23:59:59 -1400"}, None),
        ({"Age": "5"}, None),
    ],
)
def test_the_authoritys_clock_is_its_date_and_what_a_cache_adds(
    headers: dict[str, str], theirs: datetime | None
) -> None:
    assert clock_of(AcmeResponse(200, headers, b"", None)) == theirs
