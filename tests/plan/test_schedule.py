"""Which orders go out now, to whom and in which order, and which wait, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from proxygen.errors import Origin
from proxygen.model.certificate import GLOBAL, Authority, Bundle, Certificate, RenewalInfo
from proxygen.model.site import AuthorityLimits
from proxygen.plan.backoff import RememberedFailure, order_purpose
from proxygen.plan.quota import Quota, QuotaEntry
from proxygen.plan.renewal import Reason
from proxygen.plan.schedule import (
    Schedule,
    ScheduleInputs,
    forecast_issuance,
    replaced_identifier,
    schedule,
)
from proxygen.plan.steps import Issue
from tests.certificates import DAY, NOON
from tests.failures import NO
from tests.models import bundle

HERE = Origin("proxygen.yaml", 1, 1)
CA, OTHER = Authority("https://ca/dir"), Authority("https://other/dir", "short")
HOUR = timedelta(hours=1)


def wanted(owner: str, *authorities: Authority) -> Certificate:
    """Return a certificate that the model wants."""
    names = ("mail.example.net",) if owner == GLOBAL else (f"www.{owner}",)
    return Certificate(owner, names, "acme", HERE, authorities=authorities or (CA,))


def due(*certificates: Certificate) -> list[Issue]:
    """Return orders that are due."""
    return [Issue(each, Reason("due", "it is time")) for each in certificates]


def failed(of: str, count: int, about: str = "", *, asked: bool = False) -> RememberedFailure:
    """Return failures in a row that are waited for an hour; *about*: what was wanted."""
    return RememberedFailure(of, NOON, NOON, count, NOON + HOUR, NO, purpose=about, asked=asked)


def stored(of: Certificate, *, ends: timedelta = 20 * DAY) -> dict[str, Bundle]:
    """Return the bundle of a certificate."""
    return {of.owner: bundle(of, ends=NOON + ends)}


def quota(limits: AuthorityLimits, *entries: QuotaEntry) -> dict[str, Quota]:
    """Return the quota of the first authority."""
    return {CA.directory: Quota(limits, entries, lambda name: name, NOON)}


def told(found: Schedule) -> tuple[list[str], list[tuple[str, str]]]:
    """Return whose orders go out, and who waits why."""
    now = [each.certificate.owner for each in found.now]
    return now, [(each.owner, each.code) for each in found.waiting]


A, B, MAIN = wanted("a.example"), wanted("b.example"), wanted(GLOBAL)


def test_the_global_certificate_comes_first_then_those_that_end_first() -> None:
    new, soon, late = wanted("new.example"), wanted("soon.example"), wanted("late.example")
    past = ScheduleInputs(stored(late) | stored(soon, ends=2 * DAY) | stored(MAIN))
    found = schedule(due(late, new, soon, MAIN), past, NOON)
    assert told(found)[0] == [GLOBAL, "soon.example", "new.example", "late.example"]


def test_one_that_failed_waits_and_holds_nobody_up() -> None:
    past = ScheduleInputs({}, {A.owner: failed(A.owner, 2, order_purpose(A))})
    found = schedule(due(A, B), past, NOON)
    assert told(found) == ([B.owner], [(A.owner, "failed")])
    assert found.waiting[0].until == NOON + HOUR
    assert str(found.waiting[0]) == (
        "a.example is postponed until 2026-11-20 13:00 UTC: after 2 failures in a row: " + NO.what
    )


def test_one_whose_names_changed_waits_no_more() -> None:
    past = ScheduleInputs({}, {A.owner: failed(A.owner, 2, order_purpose(A))})
    joined = replace(A, names=(*A.names, "more.a.example"))
    assert told(schedule(due(joined), past, NOON)) == ([A.owner], [])


def test_a_person_who_asks_need_not_wait_unless_the_authority_said_so() -> None:
    mine = ScheduleInputs({}, {A.owner: failed(A.owner, 2, order_purpose(A))}, forced={A.owner})
    theirs = replace(mine, failures={A.owner: failed(A.owner, 2, order_purpose(A), asked=True)})
    assert told(schedule(due(A), mine, NOON)) == ([A.owner], [])
    assert told(schedule(due(A), theirs, NOON)) == ([], [(A.owner, "failed")])


def test_an_authority_in_trouble_is_left_alone_by_everybody() -> None:
    past = ScheduleInputs({}, authority_failures={CA.directory: failed(CA.directory, 1)})
    found = schedule(due(A, B), past, NOON)
    assert told(found) == ([], [(A.owner, "authority"), (B.owner, "authority")])
    assert f"https://ca/dir: {NO.what}" in str(found.waiting[0])
    assert told(schedule(due(A, B), past, NOON + HOUR)) == ([A.owner, B.owner], [])


def test_a_person_may_ask_an_authority_in_trouble_unless_it_said_when() -> None:
    mine = ScheduleInputs(
        {}, authority_failures={CA.directory: failed(CA.directory, 1)}, forced={A.owner}
    )
    theirs = replace(mine, authority_failures={CA.directory: failed(CA.directory, 1, asked=True)})
    assert told(schedule(due(A, B), mine, NOON)) == ([A.owner], [(B.owner, "authority")])
    assert told(schedule(due(A), theirs, NOON)) == ([], [(A.owner, "authority")])


def test_a_trouble_is_over_when_the_authority_is_asked_otherwise() -> None:
    trouble = {CA.directory: failed(CA.directory, 1, "with another profile")}
    past = ScheduleInputs({}, authority_failures=trouble, purposes={CA.directory: "without"})
    assert told(schedule(due(A), past, NOON)) == ([A.owner], [])


BOTH = wanted("a.example", CA, OTHER)


def over(count: int, about: str) -> RememberedFailure:
    """Return failures in a row after which the pause is over."""
    return replace(failed(BOTH.owner, count, about), again=NOON)


@pytest.mark.parametrize(
    ("past", "asked"),
    [
        pytest.param(ScheduleInputs({}), (CA, OTHER), id="nothing serves yet"),
        pytest.param(ScheduleInputs(stored(BOTH)), (CA,), id="a renewal in good time"),
        pytest.param(ScheduleInputs(stored(BOTH, ends=4 * DAY)), (CA, OTHER), id="the end is near"),
        pytest.param(
            ScheduleInputs(stored(BOTH), {BOTH.owner: over(2, order_purpose(BOTH))}),
            (CA,),
            id="failed twice",
        ),
        pytest.param(
            ScheduleInputs(stored(BOTH), {BOTH.owner: over(3, order_purpose(BOTH))}),
            (CA, OTHER),
            id="for long",
        ),
        pytest.param(
            ScheduleInputs(stored(BOTH), {BOTH.owner: over(3, "other names")}),
            (CA,),
            id="another one failed for long",
        ),
        pytest.param(
            ScheduleInputs({}, authority_failures={CA.directory: failed(CA.directory, 1)}),
            (OTHER,),
            id="nothing serves and the first is in trouble",
        ),
        pytest.param(
            ScheduleInputs(
                stored(BOTH), authority_failures={CA.directory: failed(CA.directory, 3)}
            ),
            (OTHER,),
            id="the first has been in trouble for long",
        ),
    ],
)
def test_when_the_second_authority_is_asked(
    past: ScheduleInputs, asked: tuple[Authority, ...]
) -> None:
    assert schedule(due(BOTH), past, NOON).now[0].authorities == asked


def test_a_renewal_in_good_time_waits_for_the_first_authority() -> None:
    past = ScheduleInputs(stored(BOTH), authority_failures={CA.directory: failed(CA.directory, 1)})
    assert told(schedule(due(BOTH), past, NOON)) == ([], [(BOTH.owner, "authority")])


def test_what_is_over_a_limit_waits_until_it_is_within() -> None:
    past = ScheduleInputs({}, quotas=quota(AuthorityLimits(orders=1)))
    found = schedule(due(A, B, MAIN), past, NOON)
    assert told(found) == ([GLOBAL], [(A.owner, "limit"), (B.owner, "limit")])
    assert [each.until for each in found.waiting] == [NOON + 3 * HOUR, NOON + 6 * HOUR]


def test_a_limit_is_a_reason_for_the_second_authority_only_if_the_end_comes_before() -> None:
    used = [QuotaEntry(NOON, ("x.example",))]
    full = quota(AuthorityLimits(registered_domain=1, orders=1), *used)
    more = replace(BOTH, names=("more.a.example",))
    early = schedule(due(more), ScheduleInputs(stored(BOTH, ends=4 * DAY), quotas=full), NOON)
    assert told(early) == ([], [(BOTH.owner, "limit")])
    ending = schedule(due(more), ScheduleInputs(stored(BOTH, ends=HOUR), quotas=full), NOON)
    assert ending.now[0].authorities == (OTHER,)


def test_what_replaces_a_certificate_is_over_no_limit() -> None:
    window = RenewalInfo(NOON, NOON, NOON + DAY, NOON)
    known = replace(stored(A)[A.owner], identifier="a.b", renewal=window)
    full = ScheduleInputs(
        {A.owner: known}, quotas=quota(AuthorityLimits(orders=1), QuotaEntry(NOON, ("x.example",)))
    )
    new = replace(A, names=(*A.names, "more.a.example"))  # else it is a renewal and free anyway
    assert told(schedule(due(new, B), full, NOON)) == ([A.owner], [(B.owner, "limit")])
    young = replace(known, not_before=NOON - DAY)
    again = replace(full, bundles={A.owner: young})
    assert told(schedule(due(new), again, NOON)) == ([], [(A.owner, "limit")])
    assert replaced_identifier(known, A, CA) == "a.b"
    assert replaced_identifier(known, A, OTHER) is None
    assert replaced_identifier(replace(known, stand_in=True), A, CA) is None
    assert replaced_identifier(None, A, CA) is None
    assert replaced_identifier(replace(known, names=("elsewhere.example",)), A, CA) is None


def test_the_forecast_says_when_the_last_one_comes() -> None:
    many = [wanted(f"{number}.example") for number in range(10)]
    found = schedule(due(*many), ScheduleInputs({}, quotas=quota(AuthorityLimits(orders=3))), NOON)
    expected = forecast_issuance(found, 4310)
    assert (len(found.now), len(found.waiting)) == (3, 7)
    assert str(expected) == (
        "10 of 4,310 certificates are due; the last one is ordered Friday 21:00 UTC (2026-11-20)"
    )
    assert forecast_issuance(schedule(due(A), ScheduleInputs({}), NOON), 1) is None
