"""Why a certificate is obtained anew, and when: to the second, for any lifetime."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.errors import Origin
from proxygen.model.certificate import Authority, Bundle, Certificate, KeyType, RenewalInfo
from proxygen.plan.renewal import (
    draw_moment,
    renew_at,
    to_poll,
    warned_from,
    why_issue,
    with_kept_type,
)
from tests.certificates import DAY, NOON
from tests.models import bundle

HERE = Origin("proxygen.yaml", 1, 1)
CA, OTHER = Authority("https://ca/dir"), Authority("https://other/dir", "short")
WANTED = Certificate("shop", ("a.example", "b.example"), "acme", HERE, authorities=(CA, OTHER))
STORED = bundle(WANTED)
SUPPLIED = replace(WANTED, issuer="file", authorities=())
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
            replace(WANTED, key_type=KeyType.RSA_2048), STORED, "key-type", id="another key type"
        ),
        pytest.param(
            replace(WANTED, key_type_said=False),
            replace(STORED, key_type="rsa-2048"),
            None,
            id="another key type, of which the model says nothing",
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
    assert str(missing) == "it does not cover a.example, b.example"
    due = why_issue(WANTED, STORED, "", STORED.not_after)
    assert str(due) == "it ends on 2027-01-19 12:00 UTC"


def suggested(start: datetime, end: datetime, draw: float = 0.5) -> RenewalInfo:
    """Return renewal information with a moment drawn in its window."""
    return draw_moment(start, end, None, NOON + DAY / 4, "https://ca/why", draw)


def test_it_is_renewed_at_the_moment_drawn_in_the_suggested_window() -> None:
    window = suggested(NOON + 10 * DAY, NOON + 12 * DAY)
    stored = replace(STORED, renewal=window)
    assert window.moment == NOON + 11 * DAY
    assert renew_at(stored) == NOON + 11 * DAY
    assert code(WANTED, stored, now=NOON + 11 * DAY - SECOND) is None
    reason = why_issue(WANTED, stored, "", NOON + 11 * DAY)
    assert reason
    assert reason.code == "suggested"
    assert "https://ca/why" in reason.words


@given(st.floats(0, 1))
def test_the_moment_lies_in_the_window(draw: float) -> None:
    moment = suggested(NOON, NOON + DAY, draw).moment
    assert moment
    assert NOON <= moment <= NOON + DAY


def test_a_moment_stays_while_the_window_that_moved_still_holds_it() -> None:
    former = suggested(NOON + 10 * DAY, NOON + 12 * DAY)
    moved = draw_moment(NOON + 11 * DAY, NOON + 20 * DAY, former, NOON + DAY, None, 0.9)
    assert moved.moment == former.moment


def test_a_moment_is_drawn_anew_when_the_window_moved_away() -> None:
    former = suggested(NOON + 10 * DAY, NOON + 12 * DAY)
    moved = draw_moment(NOON - 2 * DAY, NOON - DAY, former, NOON + DAY, None, 0.5)
    assert moved.moment == NOON - 1.5 * DAY
    assert code(WANTED, replace(STORED, renewal=moved)) == "suggested"


def test_a_suggestion_after_people_would_be_warned_is_not_waited_for() -> None:
    late = suggested(STORED.not_after, STORED.not_after + DAY)
    assert renew_at(replace(STORED, renewal=late)) == STORED.not_after - 5 * DAY


@pytest.mark.parametrize(
    ("lifetime", "warned"),
    [(90 * DAY, 5 * DAY), (45 * DAY, 5 * DAY), (20 * DAY, 4 * DAY), (6 * DAY, 1.2 * DAY)],
)
def test_people_are_warned_in_the_last_days_in_proportion(
    lifetime: timedelta, warned: timedelta
) -> None:
    stored = replace(STORED, not_before=NOON, not_after=NOON + lifetime)
    assert warned_from(stored) == stored.not_after - warned
    assert renew_at(stored) < warned_from(stored)


def test_it_is_asked_again_when_the_authority_said_to_and_not_before() -> None:
    known = replace(STORED, identifier="a.b", renewal=RenewalInfo(NOON + DAY / 4))
    assert not to_poll(known, NOON)
    assert to_poll(known, NOON + DAY / 4)
    assert to_poll(replace(known, renewal=None), NOON)


def test_a_clock_that_was_wrong_keeps_nobody_from_asking() -> None:
    ahead = replace(STORED, identifier="a.b", renewal=RenewalInfo(NOON + 300 * DAY))
    assert to_poll(ahead, NOON)


def test_what_has_no_identifier_is_not_asked_about() -> None:
    assert not to_poll(STORED, NOON)
    assert not to_poll(replace(STORED, identifier="a.b", stand_in=True), NOON)


def test_a_clock_that_jumped_back_makes_nothing_due() -> None:
    assert code(WANTED, replace(STORED, not_before=NOON + DAY)) is None


def test_what_the_second_authority_issued_stays_until_it_is_due() -> None:
    theirs = replace(STORED, authority=OTHER.directory, profile="short")
    assert code(WANTED, theirs) is None
    assert code(WANTED, theirs, now=theirs.not_after) == "due"
    assert code(replace(WANTED, authorities=(CA,)), theirs) == "authority"


def test_another_profile_of_its_authority_is_asked_for() -> None:
    assert code(replace(WANTED, authorities=(replace(CA, profile="x"),)), STORED) == "profile"
    assert code(replace(WANTED, authorities=(CA, replace(OTHER, profile="x"))), STORED) is None
    reason = why_issue(WANTED, replace(STORED, profile="x"), "", NOON)
    assert str(reason) == "the profile is now none, not x"


def test_one_that_was_told_to_be_compromised_is_replaced() -> None:
    assert code(WANTED, replace(STORED, replace=True)) == "replace"


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("rsa-2048", KeyType.RSA_2048),
        ("rsa-1024", KeyType.RSA_2048),  # no authority signs a smaller one
        ("rsa-3000", KeyType.RSA_3072),
        ("rsa-3072", KeyType.RSA_3072),
        ("rsa-8192", KeyType.RSA_4096),
        ("ecdsa-p256", KeyType.ECDSA_P256),
        ("ecdsa-p384", KeyType.ECDSA_P384),
        ("ecdsa-p521", KeyType.ECDSA_P384),
        ("ed25519", KeyType.ECDSA_P256),
        ("rsa-", KeyType.ECDSA_P256),
    ],
)
def test_what_is_there_keeps_its_type_unless_the_model_says_one(stored: str, kept: KeyType) -> None:
    unsaid = replace(WANTED, key_type_said=False)
    present = replace(STORED, key_type=stored)
    assert with_kept_type(unsaid, present).key_type == kept
    assert with_kept_type(WANTED, present) is WANTED
    assert with_kept_type(unsaid, None) is unsaid
    assert with_kept_type(unsaid, replace(present, stand_in=True)) is unsaid
    foreign = replace(present, stand_in=True, adopted="postfix")
    assert with_kept_type(unsaid, foreign).key_type == kept
