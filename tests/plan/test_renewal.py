"""Why a certificate is obtained anew, and when: to the second, for any lifetime."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from proxygen.errors import Origin
from proxygen.model.certificate import Bundle, Certificate, KeyType
from proxygen.plan.renewal import renew_at, why_issue
from tests.certificates import DAY, NOON
from tests.models import bundle

HERE = Origin("proxygen.yaml", 1, 1)
WANTED = Certificate("shop", ("a.example", "b.example"), "acme", HERE, authority="https://ca/dir")
STORED = bundle(WANTED)
SUPPLIED = replace(WANTED, issuer="file", authority="")
SECOND = timedelta(seconds=1)


def code(
    wanted: Certificate, stored: Bundle | None, source: str = "", now: datetime = NOON
) -> str | None:
    """Return the word for why *wanted* must be obtained."""
    reason = why_issue(wanted, stored, source, now)
    return reason.code if reason else None


@pytest.mark.parametrize(
    ("wanted", "stored", "expected"),
    [
        pytest.param(WANTED, None, "absent", id="nothing stored yet"),
        pytest.param(WANTED, STORED, None, id="all as it should be"),
        pytest.param(WANTED, replace(STORED, stand_in=True), "stand-in", id="a stand-in serves"),
        pytest.param(WANTED, replace(STORED, issuer="file"), "issuer", id="another issuer"),
        pytest.param(WANTED, replace(STORED, authority="x"), "authority", id="another authority"),
        pytest.param(WANTED, replace(STORED, names=("a.example",)), "names", id="a name joined"),
        pytest.param(
            WANTED,
            replace(STORED, names=("b.example", "c.example", "a.example")),
            None,
            id="a spare name, another order",
        ),
        pytest.param(WANTED, replace(STORED, names=("*.example",)), None, id="a wildcard covers"),
        pytest.param(
            replace(WANTED, key_type=KeyType.RSA_2048), STORED, "key type", id="another key type"
        ),
        pytest.param(
            replace(SUPPLIED, key_type=KeyType.RSA_2048),
            bundle(SUPPLIED),
            None,
            id="a supplied key is as it is",
        ),
        pytest.param(
            replace(WANTED, names=("c.example",), key_type=KeyType.RSA_2048),
            replace(STORED, stand_in=True, authority="x"),
            "stand-in",
            id="the first of several reasons",
        ),
    ],
)
def test_why_issue(wanted: Certificate, stored: Bundle | None, expected: str | None) -> None:
    assert code(wanted, stored) == expected


def test_a_supplied_file_is_read_again_when_it_changed() -> None:
    stored = replace(bundle(SUPPLIED), source="before")
    assert code(SUPPLIED, stored, "before") is None
    assert code(SUPPLIED, stored, "after") == "file"
    assert code(SUPPLIED, stored, "") == "file"  # gone or unreadable: somebody must be told


def test_a_supplied_certificate_is_the_administrators_to_renew() -> None:
    stored = replace(bundle(SUPPLIED), source="x")
    assert code(SUPPLIED, stored, "x", stored.not_after + 400 * DAY) is None


@pytest.mark.parametrize(
    ("lifetime", "before_end"),
    [
        (90 * DAY, 30 * DAY),
        (64 * DAY, 64 * DAY / 3),
        (45 * DAY, 15 * DAY),
        (10 * DAY, 10 * DAY / 3),
        (10 * DAY - SECOND, (10 * DAY - SECOND) / 2),
        (6 * DAY, 3 * DAY),
        (timedelta(hours=160), timedelta(hours=80)),
        (timedelta(minutes=10), timedelta(minutes=5)),
    ],
    ids=str,
)
def test_it_is_due_at_its_moment_and_not_a_second_before(
    lifetime: timedelta, before_end: timedelta
) -> None:
    stored = replace(STORED, not_before=NOON, not_after=NOON + lifetime)
    moment = stored.not_after - before_end
    assert renew_at(stored) == moment
    assert code(WANTED, stored, now=moment - SECOND) is None
    assert code(WANTED, stored, now=moment) == "due"
    assert code(WANTED, stored, now=stored.not_after + DAY) == "due"


def test_the_words_say_what_is_the_matter() -> None:
    missing = why_issue(WANTED, replace(STORED, names=()), "", NOON)
    assert str(missing) == "not covered: a.example, b.example"
    due = why_issue(WANTED, STORED, "", STORED.not_after)
    assert str(due) == "ends 2027-01-19 12:00 UTC"
