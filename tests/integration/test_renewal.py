"""The life of certificates after the first one, at an authority with renewal information."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from proxygen.errors import IssueFailed
from proxygen.observe.site import observe
from proxygen.plan.quota import QuotaKind
from proxygen.plan.wake import wake_at
from proxygen.reconcile import make_plan
from tests.live.installation import Clock, TrialInstallation, challenge_port
from tests.live.small_authority import Limits, SmallAuthority, Window

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
A = {"a.example": {"url": "www.a.example", "certificate": "acme"}}
AB = A | {"b.example": {"url": "www.b.example", "certificate": "acme"}}
FREE = Limits(orders=None, registered_domain=None, name_set=None, failed_validations=None)


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of the challenges."""
    with challenge_port() as found:
        yield found


@pytest.fixture
def ours(tmp_path: Path, port: int) -> TrialInstallation:
    """Return an installation without a model."""
    return TrialInstallation(tmp_path / "root", Clock(), port)


@pytest.fixture
def ca(tmp_path: Path, ours: TrialInstallation) -> Iterator[SmallAuthority]:
    """Return an authority with renewal information."""
    with SmallAuthority(tmp_path, clock=ours.clock, http_port=ours.http_port, limits=FREE) as made:
        yield made


def second(folder: Path, ours: TrialInstallation, limits: Limits = FREE) -> SmallAuthority:
    """Return another authority."""
    folder.mkdir()
    return SmallAuthority(folder, clock=ours.clock, http_port=ours.http_port, limits=limits)


def forecast(ours: TrialInstallation) -> datetime:
    """Return when `proxygen plan` says that the last certificate comes."""
    plan = make_plan(ours.site, ours.parts, observe(ours.site, ours.parts))
    assert plan.forecast
    return plan.forecast.last


def asked(ca: SmallAuthority) -> tuple[int, int]:
    """Return how many orders were made, and how often renewal information was asked for."""
    return ca.counts["newOrder"], ca.counts["renewalInfo"]


def test_a_certificate_is_renewed_at_the_moment_of_its_window_and_says_what_it_replaces(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    ours.round()
    first = ours.bundle("a.example")
    assert first.renewal
    assert first.renewal.moment
    assert first.renewal.start
    assert first.renewal.start <= first.renewal.moment <= (first.renewal.end or first.not_after)
    assert asked(ca) == (1, 1)

    ours.clock.now = first.renewal.moment - MINUTE
    ours.round()
    assert ours.bundle("a.example").fingerprint == first.fingerprint
    ours.clock.now = first.renewal.moment
    outcome = ours.round()
    assert "the authority suggests to renew it now" in outcome.done[0]
    assert ours.bundle("a.example").fingerprint != first.fingerprint
    assert [order.replaces for order in ca.orders] == [None, first.identifier]


def test_nothing_is_asked_before_the_authority_said_to_come_again(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    ours.round()
    ours.clock.advance(6 * HOUR - MINUTE)
    again = TrialInstallation(ours.layout.root, ours.clock, ours.http_port)  # as after a restart
    before = dict(ca.counts)
    again.round()
    assert dict(ca.counts) == before
    ours.clock.advance(40 * MINUTE)  # what spreads the looks is on top of Retry-After
    again.round()
    assert asked(ca) == (1, 2)


def test_a_revoked_certificate_is_replaced_at_the_next_poll_and_the_page_that_explains_is_told(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, AB)
    ours.round()
    kept = ours.bundle("b.example")
    ca.recall("www.a.example", explanation="https://ca.example/incident")
    ours.clock.advance(7 * HOUR)
    outcome = ours.round()
    assert outcome.done == [
        "issue the certificate of a.example (acme): "
        "the authority suggests to renew it now (https://ca.example/incident)"
    ]
    assert ours.bundle("b.example").fingerprint == kept.fingerprint


def test_a_window_that_moved_is_followed(ours: TrialInstallation, ca: SmallAuthority) -> None:
    ours.model(ca, A)
    ours.round()
    start = ours.clock.now + 2 * DAY
    ca.move(Window(start, start + 2 * DAY), "www.a.example")
    ours.clock.advance(7 * HOUR)
    ours.round()
    renewal = ours.bundle("a.example").renewal
    assert renewal
    assert renewal.moment == start + DAY


def test_an_authority_without_renewal_information_is_not_asked_for_it_all_the_time(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ca.ari = False
    ours.model(ca, A)
    ours.round()
    before = ca.counts["directory"]
    for _ in range(3):
        ours.clock.advance(HOUR)
        ours.round()
    assert ca.counts["directory"] == before
    bundle = ours.bundle("a.example")
    ours.clock.now = bundle.not_after - 31 * DAY
    ours.round()
    assert len(ca.orders) == 1
    ours.clock.now = bundle.not_after - 30 * DAY
    ours.round()
    assert len(ca.orders) == 2


def test_renewal_information_that_cannot_be_had_is_asked_for_later_and_harms_nothing(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    ours.round()
    first = ours.bundle("a.example").renewal
    assert first
    ca.away = "503"
    ours.clock.advance(7 * HOUR)
    outcome = ours.round()
    assert outcome.failures == []
    renewal = ours.bundle("a.example").renewal
    assert renewal
    assert renewal.moment == first.moment
    before = ca.counts["away"]
    ours.clock.advance(timedelta(seconds=30))
    ours.round()
    assert ca.counts["away"] == before


def test_a_failure_waits_and_is_counted_over_restarts(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, AB)
    ca.failing["www.a.example"] = "connection"
    waits = []
    for _ in range(5):
        again = TrialInstallation(ours.layout.root, ours.clock, ours.http_port, draw=0)
        outcome = again.round()
        assert [of for of, _ in outcome.failures] == ["a.example"]
        attempt = again.parts.bundles.failures()["a.example"]
        waits.append(attempt.again - ours.clock.now)
        orders = len(ca.orders)
        ours.clock.now = attempt.again - timedelta(seconds=1)
        waiting = again.round().waiting
        assert [(each.owner, each.code) for each in waiting] == [("a.example", "failed")]
        assert len(ca.orders) == orders
        ours.clock.now = attempt.again
    assert waits == [MINUTE, 10 * MINUTE, 100 * MINUTE, DAY, DAY]
    del ca.failing["www.a.example"]
    assert ours.round().failures == []
    assert ours.parts.bundles.failures() == {}


def test_an_authority_that_is_away_is_asked_once_for_all(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    many = {f"{n}.example": {"url": f"www.{n}.example", "certificate": "acme"} for n in range(50)}
    ours.model(ca, many)
    ca.away = "503"
    outcome = ours.round()
    assert len(outcome.failures) == 50
    assert ca.counts["away"] < 10
    trouble = ours.parts.bundles.failures_below("troubles")[ca.directory]
    assert trouble.count == 1
    assert ours.parts.bundles.failures() == {}
    ca.away = None
    assert {each.code for each in ours.round().waiting} == {"authority"}
    ours.clock.now = trouble.again
    assert ours.round().failures == []
    assert ours.parts.bundles.failures_below("troubles") == {}


def test_the_second_authority_takes_over_and_the_first_has_it_back(
    ours: TrialInstallation, ca: SmallAuthority, tmp_path: Path
) -> None:
    with second(tmp_path / "second", ours) as other:
        ours.model(ca, A, other)
        ca.away = "503"
        assert ours.round().failures == []
        bundle = ours.bundle("a.example")
        assert bundle.authority == other.directory
        assert bundle.renewal
        ca.away = None
        ours.clock.advance(DAY)
        assert ours.round().done == []
        ours.clock.now = bundle.renewal.moment or bundle.not_after
        ours.round()
        assert ours.bundle("a.example").authority == ca.directory


def test_a_name_that_cannot_be_proven_is_not_taken_to_the_second_authority(
    ours: TrialInstallation, ca: SmallAuthority, tmp_path: Path
) -> None:
    with second(tmp_path / "second", ours) as other:
        ours.model(ca, A, other)
        ca.failing["www.a.example"] = "connection"
        (failure,) = ours.round().failures
        assert isinstance(failure[1], IssueFailed)
        assert other.counts["newOrder"] == 0


def test_a_profile_that_changed_is_asked_for(ours: TrialInstallation, ca: SmallAuthority) -> None:
    ours.model(ca, A)
    ours.round()
    ours.model(ca, A, acme={"profile": "shortlived"})
    outcome = ours.round()
    assert outcome.done == [
        "issue the certificate of a.example (acme): the profile is now shortlived, not none"
    ]
    bundle = ours.bundle("a.example")
    assert bundle.lifetime < 7 * DAY
    assert bundle.profile == "shortlived"
    assert ours.round().done == []


def test_what_is_over_the_limits_waits_and_the_forecast_says_until_when(
    ours: TrialInstallation, tmp_path: Path
) -> None:
    many = {f"{n}.example": {"url": f"www.{n}.example", "certificate": "acme"} for n in range(10)}
    with second(tmp_path / "strict", ours, Limits(orders=4)) as ca:
        ours.model(ca, many, acme={"limits": {"orders": 4}})
        began = ours.clock.now
        last = forecast(ours)
        while waiting := ours.round().waiting:
            assert forecast(ours) == last
            ours.clock.now = min(each.until for each in waiting)
        assert (len(ca.issued), ca.refused) == (10, [])
        assert last == ours.clock.now == began + 6 * HOUR


def test_a_clock_that_was_a_year_ahead_costs_no_order_and_leaves_nothing_behind(
    ours: TrialInstallation, tmp_path: Path
) -> None:
    theirs = Clock()
    with SmallAuthority(tmp_path, clock=theirs, http_port=ours.http_port) as ca:
        ours.model(ca, A)
        ours.round()
        first = ours.bundle("a.example")
        ours.clock.now += 365 * DAY
        (failure,) = ours.round().failures
        assert "set the clock" in str(failure[1])
        ours.clock.now = theirs.now = theirs.now + HOUR
        outcome = ours.round()
        assert (outcome.failures, outcome.waiting) == ([], [])
        assert outcome.done == ["issue the certificate of global (selfsigned): it is not valid yet"]
        assert ours.bundle("a.example").fingerprint == first.fingerprint
        assert len(ca.orders) == 1


def test_a_clock_that_is_a_year_behind_orders_nothing(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    ours.round()
    orders = len(ca.orders)
    ours.clock.now -= 365 * DAY
    ours.round()
    assert len(ca.orders) == orders


@pytest.mark.parametrize("away", ["503", "refuse"])
def test_an_authority_that_is_away_holds_no_poll_up_for_ever(
    ours: TrialInstallation, ca: SmallAuthority, away: Literal["503", "refuse"]
) -> None:
    many = {f"{n}.example": {"url": f"www.{n}.example", "certificate": "acme"} for n in range(100)}
    ours.model(ca, many)
    ours.round()
    ca.away = away
    ours.clock.advance(7 * HOUR)
    assert ours.round().failures == []
    assert ca.counts["away"] < 50


def live(ours: TrialInstallation, hours: int) -> None:
    """Let proxygen go on for some hours, a round whenever something is due."""
    end = ours.clock.now + hours * HOUR
    while ours.clock.now < end:
        outcome = ours.round()
        assert outcome.observed
        due = wake_at(ours.site, outcome.observed, outcome.waiting, ours.clock.now)
        ours.clock.now = min(end, max(due, ours.clock.now + MINUTE))


def test_failed_orders_do_not_use_up_the_limits_of_certificates(
    ours: TrialInstallation, tmp_path: Path
) -> None:
    limits = {"orders": 300, "registered_domain": 50, "name_set": 5, "failed_validations": 5}
    with second(tmp_path / "strict", ours, Limits()) as ca:
        ours.model(ca, A, acme={"limits": limits})
        ca.failing["www.a.example"] = "dns"
        live(ours, 5 * 24)
        assert len(ca.orders) > 5
        del ca.failing["www.a.example"]
        live(ours, 31)  # the next daily attempt
        assert ours.bundle("a.example")
        assert ca.refused == []


def test_a_short_life_without_renewal_information_survives_a_bad_dns(
    ours: TrialInstallation, tmp_path: Path
) -> None:
    limits = {"orders": 300, "registered_domain": 50, "name_set": 5, "failed_validations": 5}
    with second(tmp_path / "strict", ours, Limits()) as ca:
        ca.ari = False
        ours.model(ca, A, acme={"limits": limits, "profile": "shortlived"})
        ours.round()
        first = ours.bundle("a.example")
        ours.clock.now = first.not_after - 80 * HOUR
        ca.failing["www.a.example"] = "dns"
        live(ours, 40)
        del ca.failing["www.a.example"]
        live(ours, 39)
        assert ours.bundle("a.example").not_after > first.not_after


def test_a_short_life_survives_an_authority_that_is_away_for_days(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A, acme={"profile": "shortlived"})
    ours.round()
    first = ours.bundle("a.example")
    ours.clock.now = first.not_after - 80 * HOUR
    ca.away = "503"
    live(ours, 60)
    ca.away = None
    live(ours, 19)
    assert ours.bundle("a.example").not_after > first.not_after


def test_a_profile_that_is_corrected_is_asked_for_at_once(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A, acme={"profile": "nonsense"})
    for _ in range(4):
        outcome = ours.round()
        ours.clock.now = ours.parts.bundles.failures_below("troubles")[ca.directory].again
    assert outcome.exit_code == 5
    ours.round()
    assert ours.round().exit_code == 5  # it waits, and was not obtained
    ours.model(ca, A, acme={"profile": "classic"})
    assert ours.round().failures == []
    assert ours.bundle("a.example").profile == "classic"


def test_many_failures_at_once_are_all_counted(ours: TrialInstallation, ca: SmallAuthority) -> None:
    many = {f"{n}.example": {"url": f"www.{n}.example", "certificate": "acme"} for n in range(60)}
    ca.failing |= {f"www.{n}.example": "dns" for n in range(60)}
    ours.model(ca, many)
    ours.round()
    entries = list(ours.parts.ledger(ca.directory).entries(ours.clock.now))
    kinds = [each.kind for each in entries]
    assert (kinds.count(QuotaKind.ORDERED), kinds.count(QuotaKind.FAILED)) == (60, 60)


def test_the_limits_of_the_second_authority_are_kept_when_it_takes_over(
    ours: TrialInstallation, ca: SmallAuthority, tmp_path: Path
) -> None:
    many = {f"{n}.example": {"url": f"www.{n}.example", "certificate": "acme"} for n in range(10)}
    with second(tmp_path / "second", ours, Limits(orders=4)) as other:
        ca.away = "503"
        ours.model(ca, many, other)
        model = json.loads(ours.layout.config.read_text())
        model["acme"]["fallback"]["limits"] = {"orders": 4}
        ours.layout.config.write_text(json.dumps(model))
        ours.round()
        assert len(other.issued) == 4
        live(ours, 8)
        assert (len(other.issued), other.refused) == (10, [])


def test_a_failure_of_what_is_due_no_more_is_forgotten(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    ours.round()
    other = {"a.example": A["a.example"] | {"url": "https://other.a.example"}}
    ca.failing["other.a.example"] = "dns"
    ours.model(ca, other)
    assert len(ours.round().failures) == 1
    assert ours.parts.bundles.failures()
    ours.model(ca, A)
    ours.round()
    assert ours.parts.bundles.failures() == {}


def test_an_authority_whose_windows_are_always_over_gets_few_orders(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A, acme={"limits": {"name_set": 5}})
    for _ in range(48):
        ours.round()
        window = Window(ours.clock.now - 2 * HOUR, ours.clock.now - HOUR)
        ca.move(window, "www.a.example")
        ours.clock.advance(HOUR)
    assert len(ca.orders) <= 6


def test_renewal_information_that_is_away_wakes_nobody_all_the_time(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    ours.round()
    ours.clock.advance(7 * HOUR)
    ca.away = "503"
    ours.round()
    outcome = ours.round()
    assert outcome.observed
    due = wake_at(ours.site, outcome.observed, outcome.waiting, ours.clock.now)
    assert due >= ours.clock.now + timedelta(seconds=30)
    ca.away = None
    ours.clock.now = due
    ours.round()
    assert ours.parts.bundles.failures_below("looks") == {}
