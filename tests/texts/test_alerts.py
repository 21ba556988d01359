"""What is worth a message now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.names.states import NameState
from proxygen.plan.backoff import RememberedFailure, order_purpose, purpose_of
from proxygen.texts.alerts import RoundResult, alerts, next_alert, thresholds
from tests.certificates import DAY, NOON
from tests.failures import not_issued, unserved
from tests.known_names import by_name, finding, moved, refused
from tests.known_names import waiting as late
from tests.mails import (
    DIRECTORY,
    HOUR,
    SITE,
    TEXT,
    authority_failure,
    ending,
    everything,
    remembered_failure,
    round_result,
    service,
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
    assert kinds(round_result(ending(a=5 * DAY + HOUR), remembered_failure())) == []
    assert kinds(round_result(ending(a=5 * DAY), remembered_failure())) == [("renewal", A)]


def test_one_of_a_short_life_is_told_from_its_last_fifth_on() -> None:
    wanted = next(each for each in SITE.certificates if each.owner == A)
    short = {A: bundle(wanted, ends=NOON + 29 * HOUR, days=6)}
    assert kinds(round_result(bundles(SITE) | short)) == []
    short = {A: bundle(wanted, ends=NOON + 28 * HOUR, days=6)}
    assert kinds(round_result(bundles(SITE) | short)) == [("renewal", A)]


def test_one_that_ended_is_told_still() -> None:
    assert kinds(round_result(ending(a=-30 * DAY))) == [("renewal", A)]


def test_a_failure_or_a_wait_long_before_the_end_is_no_message() -> None:
    limit = waiting(A, "limit")
    assert kinds(round_result(None, remembered_failure(), waiting=(limit,))) == []


def without(*owners: str, **more: Any) -> dict[str, Bundle]:
    """Return the bundles of a site without those of some owners; *more* by owner."""
    return {key: each for key, each in (bundles(SITE) | more).items() if key not in owners}


def standing_in(since: datetime) -> Bundle:
    """Return the stand-in for the global certificate, made at a moment."""
    return replace(stand_in(SITE), not_before=since, not_after=since + 90 * DAY)


def test_a_global_certificate_that_never_comes_is_told_daily_after_a_day() -> None:
    issued = without(**{GLOBAL: standing_in(NOON)})
    assert kinds(round_result(issued), NOON + DAY - HOUR) == []
    alert = only(round_result(issued), NOON + DAY)
    assert (alert.kind, alert.of, alert.daily) == ("missing", GLOBAL, True)
    assert (alert.since, alert.last_failure) == (NOON, None)
    failed = remembered_failure(GLOBAL, since=NOON - 3 * DAY)
    alert = only(round_result(issued, failed))
    assert (alert.since, alert.last_failure, alert.again) == (NOON - 3 * DAY, failed, failed.again)
    assert only(round_result(without(GLOBAL), failed)).kind == "missing"


def test_so_is_a_global_one_that_another_client_never_brings() -> None:
    hook = site("global: {url: mail.example.net, certificate: hook}")
    bundle = standing_in(NOON - 2 * DAY)
    (alert,) = alerts(hook, round_result({GLOBAL: bundle}), NOON)
    assert (alert.kind, alert.daily, alert.since) == ("missing", True, NOON - 2 * DAY)


def test_a_domains_that_cannot_be_obtained_is_told_weekly_after_a_day() -> None:
    failed = remembered_failure(since=NOON - DAY + HOUR)
    assert kinds(round_result(without(A), failed)) == []
    alert = only(round_result(without(A), failed), NOON + HOUR)
    assert (alert.kind, alert.of, alert.every) == ("missing", A, 7)
    away = authority_failure(since=NOON - 2 * DAY, at=NOON)
    alert = only(round_result(without(A), troubles={DIRECTORY: away}))
    assert (alert.last_failure, alert.everybody) == (away, True)


def test_one_that_is_on_its_way_is_not_told() -> None:
    limit = waiting(A, "limit")
    assert kinds(round_result(without(A), waiting=(limit,))) == []
    assert kinds(round_result(without(A))) == []  # not tried yet
    limit = waiting(GLOBAL, "limit")
    assert (
        kinds(round_result({**without(), GLOBAL: standing_in(NOON - 9 * DAY)}, waiting=(limit,)))
        == []
    )
    brought = site(TEXT.replace("    certificate: acme\n", "    certificate: hook\n", 1))
    issued = {key: each for key, each in bundles(brought).items() if key != A}
    later = alerts(brought, round_result(issued), NOON + 30 * DAY)
    assert [each.of for each in later] == [B]


def test_the_moment_at_which_a_missing_one_is_told_is_known() -> None:
    failed = remembered_failure(since=NOON - HOUR)
    observed = round_result(without(A), failed).observed
    assert observed
    assert next_alert(SITE, observed, NOON) == NOON + 23 * HOUR
    observed = round_result({GLOBAL: standing_in(NOON)}).observed
    assert observed
    assert next_alert(SITE, observed, NOON) == NOON + DAY
    assert next_alert(SITE, observed, NOON + DAY) is None


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_damaged_facts_at_the_edge_of_time_harm_no_others(year: int) -> None:
    moment = datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, tzinfo=UTC)
    damaged = replace(bundles(SITE)[A], not_before=moment, not_after=moment)
    odd = {key: replace(remembered_failure(key), since=moment, again=moment) for key in (A, GLOBAL)}
    for each in (damaged, replace(damaged, owner=GLOBAL, stand_in=True)):
        found = round_result({**ending(c=DAY), each.owner: each}, *odd.values())
        assert kinds(found) == [("renewal", "customer-c.example")]
        assert found.observed
        assert next_alert(SITE, found.observed, NOON) == NOON + 15 * DAY  # customer-b's


@pytest.mark.parametrize(
    ("left", "mark"),
    [(61 * DAY, None), (60 * DAY, "1"), (31 * DAY, "1"), (30 * DAY, "2"), (14 * DAY, "3")],
)
def test_a_supplied_one_is_news_at_each_threshold(left, mark) -> None:
    wanted = next(each for each in SITE.certificates if each.owner == B)
    year = bundles(SITE) | {B: bundle(wanted, ends=NOON + left, days=365)}
    found = alerts(SITE, round_result(year), NOON)
    assert [each.mark.split()[1] for each in found] == ([mark] if mark else [])
    assert not [each for each in found if each.daily]


def test_a_supplied_one_is_told_daily_in_its_last_week_and_after_its_end() -> None:
    assert only(round_result(ending(b=7 * DAY))).daily
    assert only(round_result(ending(b=-DAY))).daily


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


def test_the_failure_and_the_next_try_are_told() -> None:
    alert = only(round_result(ending(a=DAY), remembered_failure(), waiting=(waiting(A),)))
    assert (alert.last_failure, alert.everybody, alert.again) == (
        remembered_failure(),
        False,
        NOON + 5 * HOUR,
    )


def test_the_failure_of_the_authority_is_told_when_it_is_the_later_one() -> None:
    later = authority_failure(at=NOON)
    alert = only(round_result(ending(a=DAY), remembered_failure(), troubles={DIRECTORY: later}))
    assert (alert.last_failure, alert.everybody) == (later, True)
    alert = only(
        round_result(ending(a=DAY), remembered_failure(), troubles={DIRECTORY: authority_failure()})
    )
    assert (alert.last_failure, alert.everybody) == (remembered_failure(), False)


def test_a_failure_of_long_ago_or_of_what_was_wanted_before_is_no_reason() -> None:
    near = ending(a=DAY)
    for own in (
        remembered_failure(again=NOON - 2 * DAY - HOUR),
        remembered_failure(purpose="another"),
    ):
        assert only(round_result(near, own)).last_failure is None
    for other in (
        authority_failure(at=NOON - 90 * DAY, again=NOON - 90 * DAY + HOUR),
        authority_failure(at=NOON, purpose="another"),
    ):
        assert only(round_result(near, troubles={DIRECTORY: other})).last_failure is None


def test_the_failure_of_the_second_authority_is_not_why_the_first_did_not_issue() -> None:
    second = "https://second.example/dir"
    agreed = "terms_of_service_agreed: true"
    fallback = f"{agreed}, fallback: {{directory: '{second}', {agreed}}}"
    two = site(TEXT.replace(agreed, fallback))
    asked = two.authorities[1]
    other = authority_failure(of=second, at=NOON, purpose=purpose_of(asked))
    wanted = next(each for each in two.certificates if each.owner == A)
    own = remembered_failure(purpose=order_purpose(wanted))
    (alert,) = alerts(two, round_result(ending(two, a=DAY), own, troubles={second: other}), NOON)
    assert (alert.last_failure, alert.everybody) == (own, False)


def test_a_failure_that_could_not_be_stored_is_told_as_well() -> None:
    error = not_issued()
    alert = only(round_result(ending(a=DAY), failures=((A, error),)))
    assert alert.last_failure
    assert (alert.last_failure.failure, alert.last_failure.count) == (error.failure, 1)


def test_one_that_waits_for_a_limit_is_told_as_such() -> None:
    assert only(round_result(ending(a=DAY), waiting=(waiting(A, "limit"),))).limited


def test_a_service_that_does_not_serve_is_an_alert_with_its_words() -> None:
    error = unserved()
    alert = only(round_result(services=(service(),), failures=(("nginx", error),)))
    assert (alert.kind, alert.at_once) == ("unserved", True)
    assert alert.failure == error.failure
    assert kinds(round_result(services=(service(unserved=True),))) == [("unserved", "nginx")]


def test_the_gravest_comes_first_and_a_note_last() -> None:
    assert [each[0] for each in kinds(everything())] == [
        *("store", "model", "unserved", "renewal", "renewal", "renewal", "supplied", "terms")
    ]


def test_the_next_moment_at_which_somebody_is_told_is_known() -> None:
    observed = round_result(ending(a=20 * DAY)).observed
    assert observed
    assert next_alert(SITE, observed, NOON) == NOON + 15 * DAY  # customer-a enters its last days
    assert next_alert(SITE, observed, NOON + 15 * DAY) == NOON + 30 * DAY  # customer-b, 30 left


# Names.

WEBMAIL, AUTODISCOVER = f"webmail.{A}", f"autodiscover.{A}"


def serving_without(*known: NameState, **more: Any) -> RoundResult:
    """Return a round in which a certificate serves without some names of its owner."""
    wanted = next(each for each in SITE.certificates if each.owner == A)
    rest = bundle(replace(wanted, names=(WEBMAIL,)))
    return round_result(bundles(SITE) | {A: rest}, names={A: by_name(known)}, **more)


def test_a_name_that_is_left_out_is_told_weekly_after_a_day() -> None:
    assert kinds(serving_without(late(AUTODISCOVER, since=NOON - DAY + HOUR))) == []
    alert = only(serving_without(late(AUTODISCOVER, since=NOON - DAY)))
    assert (alert.kind, alert.of, alert.every, alert.key) == ("names", A, 7, f"names:{A}")
    assert [each.name for each in alert.name_states] == [AUTODISCOVER]
    assert alert.since == NOON - DAY
    assert only(serving_without(refused(AUTODISCOVER))).kind == "names"


def test_nobody_is_told_for_ever_of_a_name_that_is_never_put_right() -> None:
    assert only(serving_without(late(AUTODISCOVER, since=NOON - 27 * DAY))).every == 7
    assert only(serving_without(late(AUTODISCOVER, since=NOON - 28 * DAY))).every == 0


def test_a_name_that_moved_away_is_told_once_and_marked_by_when() -> None:
    alert = only(serving_without(moved(AUTODISCOVER)))
    assert (alert.kind, alert.every, alert.key) == ("moved", 0, f"moved:{A}")
    later = only(serving_without(moved(AUTODISCOVER, NOON)))
    assert alert.mark != later.mark


def test_of_a_name_that_is_in_the_certificate_nobody_is_told() -> None:
    assert kinds(round_result(names={A: by_name([late(AUTODISCOVER)])})) == []


def held(
    since: datetime, issued: dict[str, Bundle] | None = None, *attempts: RememberedFailure
) -> RoundResult:
    """Return a round in which the name of a URL leads elsewhere since then."""
    wait = waiting(A, "names")
    book = {A: by_name([late(WEBMAIL, since=since)])}
    return round_result(issued or without(A), *attempts, names=book, waiting=(wait,))


def test_a_certificate_that_waits_for_its_url_is_missing_since_that_is_in_trouble() -> None:
    assert kinds(held(NOON - DAY + HOUR)) == []
    alert = only(held(NOON - DAY))
    assert (alert.kind, alert.every, alert.since) == ("missing", 7, NOON - DAY)
    assert [each.name for each in alert.name_states] == [WEBMAIL]
    assert alert.again == NOON + 5 * HOUR
    assert only(held(NOON - 28 * DAY)).every == 0


def test_the_check_that_came_after_a_failure_is_the_reason_and_not_the_one_before() -> None:
    before, after = remembered_failure(at=NOON - 2 * HOUR), remembered_failure(at=NOON - HOUR / 2)
    alert = only(held(NOON - 2 * DAY, None, before))
    assert (alert.last_failure, len(alert.name_states)) == (None, 1)
    alert = only(held(NOON - 2 * DAY, None, after))
    assert (alert.last_failure, alert.name_states) == (after, ())


def test_one_that_waits_for_a_limit_does_not_wait_for_its_url() -> None:
    book = {A: by_name([late(WEBMAIL)])}
    limit = waiting(A, "limit")
    assert kinds(round_result(without(A), names=book, waiting=(limit,))) == []
    alert = only(round_result(ending(a=DAY), names=book, waiting=(limit,)))
    assert (alert.limited, alert.name_states) == (True, ())


def test_without_strict_names_an_extra_name_holds_nothing_up() -> None:
    book = {A: by_name([late(AUTODISCOVER)])}
    assert kinds(round_result(without(A), names=book)) == []
    strict = site(TEXT.replace("    language: de\n", "    language: de\n    strict_names: true\n"))
    (alert,) = alerts(strict, round_result(without(A), names=book), NOON)
    assert [each.name for each in alert.name_states] == [AUTODISCOVER]


@pytest.mark.parametrize(
    ("left", "since", "every"),
    [
        pytest.param(DAY, 20 * DAY, 1, id="it ends tomorrow"),
        pytest.param(-DAY, 2 * DAY, 1, id="it ended, the name moved just now"),
        pytest.param(-DAY, 4 * DAY, 7, id="it ended, the name has been away for days"),
        pytest.param(-27 * DAY, 40 * DAY, 7, id="it ended some weeks ago"),
        pytest.param(-28 * DAY, 40 * DAY, 0, id="it ended long ago"),
    ],
)
def test_a_certificate_that_ended_since_its_url_moved_is_not_told_daily_for_ever(
    left: timedelta, since: timedelta, every: int
) -> None:
    alert = only(held(NOON - since, ending(a=left)))
    assert (alert.kind, alert.every) == ("renewal", every)
    assert [each.name for each in alert.name_states] == [WEBMAIL]


def test_the_global_one_is_told_daily_whatever_its_name_does() -> None:
    book = {GLOBAL: by_name([late("mail.example.net", since=NOON - 90 * DAY)])}
    alert = only(round_result(ending(**{GLOBAL: -60 * DAY}), names=book))
    assert alert.every == 1


def test_the_moment_at_which_a_name_is_told_is_known() -> None:
    since = NOON - HOUR
    found = serving_without(late(AUTODISCOVER, finding("nxdomain"), since=since)).observed
    assert found
    assert next_alert(SITE, found, NOON) == since + DAY
    assert next_alert(SITE, found, since + DAY) != since + DAY
