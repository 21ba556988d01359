"""What is worth a message now."""

from __future__ import annotations

from datetime import datetime

import pytest

from proxygen.errors import IssueFailed, NotServed
from proxygen.model.certificate import GLOBAL
from proxygen.plan.alarms import alerts, thresholds, upcoming
from tests.certificates import DAY, NOON
from tests.mails import (
    DIRECTORY,
    HOUR,
    SITE,
    attempt,
    ending,
    everything,
    seen,
    service,
    trouble,
    waiting,
)
from tests.models import bundle, bundles, site, stand_in

A, B = "customer-a.example", "customer-b.example"


def kinds(found, now: datetime = NOON) -> list[tuple[str, str]]:
    """Return each alert's kind and what it is of."""
    return [(each.kind, each.of) for each in alerts(SITE, found, now)]


def only(found, now: datetime = NOON):
    """Return the one alert there is."""
    (alert,) = alerts(SITE, found, now)
    return alert


def test_a_certificate_is_told_from_its_last_five_days_on() -> None:
    assert kinds(seen(ending(a=5 * DAY + HOUR), attempt())) == []
    assert kinds(seen(ending(a=5 * DAY), attempt())) == [("renewal", A)]


def test_one_of_a_short_life_is_told_from_its_last_fifth_on() -> None:
    wanted = next(each for each in SITE.certificates if each.owner == A)
    short = {A: bundle(wanted, ends=NOON + 29 * HOUR, days=6)}
    assert kinds(seen(bundles(SITE) | short)) == []
    short = {A: bundle(wanted, ends=NOON + 28 * HOUR, days=6)}
    assert kinds(seen(bundles(SITE) | short)) == [("renewal", A)]


def test_one_that_ended_is_told_still() -> None:
    assert kinds(seen(ending(a=-30 * DAY))) == [("renewal", A)]


def test_a_failure_or_a_wait_long_before_the_end_is_no_message() -> None:
    limit = waiting(A, "limit")
    assert kinds(seen(None, attempt(), waiting=(limit,))) == []


def test_neither_a_stand_in_nor_a_certificate_that_never_was_is_told() -> None:
    issued = bundles(SITE) | {GLOBAL: stand_in(SITE)}
    del issued[A]
    assert kinds(seen(issued, attempt()), NOON + 59 * DAY)[:1] != [("renewal", GLOBAL)]
    assert ("renewal", A) not in kinds(seen(issued, attempt()))


@pytest.mark.parametrize(
    ("left", "mark"),
    [(61 * DAY, None), (60 * DAY, "1"), (31 * DAY, "1"), (30 * DAY, "2"), (14 * DAY, "3")],
)
def test_a_supplied_one_is_news_at_each_threshold(left, mark) -> None:
    wanted = next(each for each in SITE.certificates if each.owner == B)
    year = bundles(SITE) | {B: bundle(wanted, ends=NOON + left, days=365)}
    found = alerts(SITE, seen(year), NOON)
    assert [each.mark.split()[1] for each in found] == ([mark] if mark else [])
    assert not [each for each in found if each.daily]


def test_a_supplied_one_is_told_daily_in_its_last_week_and_after_its_end() -> None:
    assert only(seen(ending(b=7 * DAY))).daily
    assert only(seen(ending(b=-DAY))).daily


@pytest.mark.parametrize(
    ("issuer", "days", "left"),
    [
        pytest.param("file", 365, [60, 30, 14, 7], id="a year"),
        pytest.param("file", 90, [45, 30, 14, 7], id="never more than half of a life"),
        pytest.param("file", 6, [3, 3, 3, 3], id="six days: daily from the half on"),
        pytest.param("hook", 90, [22.5, 22.5, 14, 7], id="after other clients would renew"),
    ],
)
def test_the_thresholds_of_a_shorter_life(issuer: str, days: int, left: list[float]) -> None:
    wanted = site(
        f"global: {{url: a.example, certificate: {issuer}}}"
        if issuer == "hook"
        else "global: {url: a.example, certificate: {file: {certificate: a.pem}}}"
    ).global_certificate
    found = bundle(wanted, ends=NOON, days=days)
    assert [(NOON - each) / DAY for each in thresholds(wanted, found)] == left


def test_the_failure_and_the_next_attempt_are_told() -> None:
    alert = only(seen(ending(a=DAY), attempt(), waiting=(waiting(A),)))
    assert (alert.attempt, alert.everybody, alert.again) == (attempt(), False, NOON + 5 * HOUR)


def test_the_trouble_of_the_authority_is_told_when_it_is_the_later_one() -> None:
    later = trouble(at=NOON)
    alert = only(seen(ending(a=DAY), attempt(), troubles={DIRECTORY: later}))
    assert (alert.attempt, alert.everybody) == (later, True)
    alert = only(seen(ending(a=DAY), attempt(), troubles={DIRECTORY: trouble()}))
    assert (alert.attempt, alert.everybody) == (attempt(), False)


def test_a_failure_that_could_not_be_stored_is_told_as_well() -> None:
    error = IssueFailed("refused", words="no")
    alert = only(seen(ending(a=DAY), failures=((A, error),)))
    assert alert.attempt
    assert (alert.attempt.what, alert.attempt.words, alert.attempt.count) == ("refused", "no", 1)


def test_one_that_waits_for_a_limit_is_told_as_such() -> None:
    assert only(seen(ending(a=DAY), waiting=(waiting(A, "limit"),))).limited


def test_a_service_that_does_not_serve_is_an_alarm_with_its_words() -> None:
    error = NotServed("nginx does not serve", words="443: shows abc", remedy="look")
    alert = only(seen(services=(service(),), failures=(("nginx", error),)))
    assert (alert.kind, alert.at_once) == ("unserved", True)
    assert "443: shows abc" in alert.words
    assert kinds(seen(services=(service(unserved=True),))) == [("unserved", "nginx")]


def test_the_gravest_comes_first_and_a_note_last() -> None:
    assert [each[0] for each in kinds(everything())] == [
        *("store", "model", "unserved", "renewal", "renewal", "renewal", "supplied", "terms")
    ]


def test_the_next_moment_at_which_somebody_is_told_is_known() -> None:
    observed = seen(ending(a=20 * DAY)).observed
    assert observed
    assert upcoming(SITE, observed, NOON) == NOON + 15 * DAY  # customer-a enters its last days
    assert upcoming(SITE, observed, NOON + 15 * DAY) == NOON + 30 * DAY  # customer-b, 30 left
