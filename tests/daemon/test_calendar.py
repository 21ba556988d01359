"""When a round is due, and how long is rested between rounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proxygen.daemon.calendar import (
    ARRIVALS,
    CERTIFICATES,
    FULL,
    LONGEST_ARRIVALS,
    NEVER,
    SHARE,
    SHORTEST_REST,
    Allowance,
    Calendar,
    moved_moment,
)
from tests.certificates import NOON
from tests.daemon.surroundings import HandedClock

HOURS = timedelta(hours=1)


@pytest.fixture
def clock() -> HandedClock:
    return HandedClock()


def rested(clock: HandedClock, due: datetime = NOON + 30 * HOURS) -> Calendar:
    """Return a calendar after a round that ended just now, with the next one *due* then."""
    calendar = Calendar(clock)
    assert not list(calendar.reasons())
    calendar.done(trouble=False)
    calendar.due(due, 0.5)
    return calendar


def test_what_is_due_is_a_reason_once(clock: HandedClock) -> None:
    calendar = rested(clock, NOON + HOURS / 2)
    clock.go(29 * 60)
    assert list(calendar.reasons()) == []
    clock.go(2 * 60)
    assert list(calendar.reasons()) == ["due"]
    assert list(calendar.reasons()) == []


def test_a_round_comes_in_any_case(clock: HandedClock) -> None:
    calendar = rested(clock)
    assert calendar.next() == FULL
    clock.go(FULL)
    assert list(calendar.reasons()) == ["again"]


def test_timed_rounds_take_a_small_share_of_a_core(clock: HandedClock) -> None:
    calendar = rested(clock, NOON)
    calendar.idle = 1.7
    assert calendar.next() == pytest.approx(1.7 * SHARE)
    clock.go(1.7 * SHARE - 1)
    assert list(calendar.reasons()) == []
    clock.go(2)
    assert list(calendar.reasons()) == ["due"]
    calendar.idle = 0.0
    assert calendar.rested == SHORTEST_REST


def test_certificates_that_come_while_one_is_deployed_are_deployed_together(
    clock: HandedClock,
) -> None:
    calendar = rested(clock)
    assert calendar.begins({CERTIFICATES}) == clock.ticks()
    calendar.lasted = 2.0
    assert calendar.begins({CERTIFICATES}) == clock.ticks() + ARRIVALS * 2.0
    assert calendar.begins({CERTIFICATES, "model"}) <= clock.ticks()
    calendar.lasted = 900.0
    assert calendar.begins({CERTIFICATES}) == clock.ticks() + LONGEST_ARRIVALS


@pytest.mark.parametrize(
    "reason", ["start", "asked", "model", "template", "directives", "certificate file"]
)
def test_what_a_person_changed_waits_for_nothing_but_the_lock(
    clock: HandedClock, reason: str
) -> None:
    calendar = rested(clock)
    calendar.idle = 100.0
    calendar.failed()
    assert calendar.begins([reason, "nginx restarted"]) <= clock.ticks()
    calendar.locked()
    assert calendar.begins([reason]) > clock.ticks()


def test_a_service_that_restarts_over_and_over_costs_little(clock: HandedClock) -> None:
    calendar = rested(clock)
    assert calendar.begins(["nginx restarted"]) == 5.0
    calendar.idle = 1.7
    assert calendar.begins(["nginx restarted"]) == pytest.approx(34)


def test_rounds_that_fail_come_ever_less_often(clock: HandedClock) -> None:
    calendar = rested(clock)
    assert [calendar.failed() for _ in range(6)] == [1, 10, 100, 600, 600, 600]
    assert calendar.begins(["again"]) == 600
    calendar.done(trouble=False)
    calendar.due(NOON + HOURS, 0.5)
    assert calendar.failed() == 1


def test_a_service_in_trouble_is_probed_ever_less_often(clock: HandedClock) -> None:
    calendar = rested(clock)
    looks = []
    for _ in range(4):
        calendar.done(trouble=True)
        looks.append(calendar.again_at)
    assert looks == [60, 600, 3600, 3600]
    calendar.done(trouble=False)
    assert calendar.again_at == NEVER


@pytest.mark.parametrize("by", [-90 * 86400, -3600, 3600, 365 * 86400])
def test_a_clock_that_jumps_is_a_reason(clock: HandedClock, by: float) -> None:
    calendar = rested(clock)
    clock.go(15)
    assert list(calendar.reasons()) == []
    clock.jump(by)
    assert "clock" in list(calendar.reasons())
    assert "clock" not in list(calendar.reasons())


def test_a_clock_that_is_slewed_is_no_reason(clock: HandedClock) -> None:
    calendar = rested(clock)
    for _ in range(100):
        clock.go(15)
        clock.jump(0.5)
        assert list(calendar.reasons()) == []


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("minute", [0, 1, 2, 30, 59])
def test_no_round_is_on_the_hour_and_none_early_or_much_later(minute: int, draw: float) -> None:
    due = datetime(2026, 12, 1, 14, minute, tzinfo=UTC)
    at = moved_moment(due, draw)
    assert due <= at <= due + 10 * timedelta(minutes=1)
    assert at.minute >= 2


def test_changes_are_free_up_to_an_allowance_that_comes_back(clock: HandedClock) -> None:
    allowance = Allowance(clock)
    allowance.take(1.9)
    assert allowance.left() == 0.0
    allowance.take(0.3)
    assert allowance.left() == pytest.approx(0.2 * 20)
    clock.go(4)
    assert allowance.left() == pytest.approx(0.0)
    clock.go(60)
    allowance.take(1.9)
    assert allowance.left() == 0.0


def test_no_change_waits_for_longer_than_twenty_seconds(clock: HandedClock) -> None:
    allowance = Allowance(clock)
    allowance.take(600)
    assert allowance.left() == 20
    allowance.take(600)
    assert allowance.left() == 20
