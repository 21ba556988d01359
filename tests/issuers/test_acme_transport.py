"""Retry-After, as authorities and hostile ones write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
)

from proxygen.issuers.acme_transport import (
    LONGEST_REFUSAL,
    LONGEST_WAIT,
    Connection,
    retry_moment,
    words_of,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("0", timedelta(seconds=1)),
        ("9" * 5000, timedelta(days=1)),
        ("Fri, 20 Nov 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Fri, 20 Nov 2026 14:05:00 +0200", timedelta(minutes=5)),
        ("Thu, 19 Nov 2026 12:00:00 GMT", timedelta(seconds=1)),
        ("Sat, 20 Nov 2027 12:00:00 GMT", timedelta(days=1)),
    ],
)
def test_retry_after_is_seconds_or_a_date_between_a_second_and_a_day(
    asked: str, wait: timedelta
) -> None:
    assert retry_moment(asked, NOON, LONGEST_WAIT) == NOON + wait


@pytest.mark.parametrize(
    ("asked", "wait"),
    [("604800", timedelta(days=7)), ("9" * 50, timedelta(days=8)), ("700000", timedelta(days=8))],
)
def test_a_refusal_may_ask_for_a_week(asked: str, wait: timedelta) -> None:
    assert retry_moment(asked, NOON, LONGEST_REFUSAL) == NOON + wait


@pytest.mark.parametrize("asked", ["soon", "-5", "1.5", "²", "Fri, 99 Nov 2026 12:00:00 GMT", ","])
def test_what_is_neither_is_ignored(asked: str) -> None:
    assert retry_moment(asked, NOON, LONGEST_WAIT) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectTimeoutError(object(), "no connection in time"), "no connection in time"),
        (ProxyError("Unable to connect", OSError("refused")), "Unable to connect: refused"),
        (ProtocolError("Connection aborted", OSError("reset")), "Connection aborted: reset"),
        (OSError(104, "Connection reset by peer"), "[Errno 104] Connection reset by peer"),
    ],
)
def test_what_a_library_raises_is_told_without_its_objects(
    error: HTTPError | OSError, words: str
) -> None:
    assert words_of(error) == words


def test_a_refused_connection_is_told_without_its_repr() -> None:
    refused = NewConnectionError(Connection("ca.example"), "Connection refused")
    assert words_of(refused) == "Connection refused"
