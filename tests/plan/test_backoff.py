"""Pauses after failures: 1, 10, 100 minutes, then a day, and whatever the authority says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.plan.backoff import LONGEST, RememberedFailure, pause_after, postponed_until
from tests.certificates import DAY, NOON
from tests.failures import NO

MINUTE = timedelta(minutes=1)
FAILED = RememberedFailure("a.example", NOON, NOON, 1, NOON + MINUTE, NO, purpose="this")


@pytest.mark.parametrize(
    ("count", "expected"), [(1, MINUTE), (2, 10 * MINUTE), (3, 100 * MINUTE), (4, DAY), (99, DAY)]
)
def test_pauses_grow_up_to_a_day(count: int, expected: timedelta) -> None:
    assert pause_after(count, 0) == expected


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_what_failed_together_does_not_come_back_together(count: int, draw: float) -> None:
    assert pause_after(count, 0) <= pause_after(count, draw) <= pause_after(count, 1) <= LONGEST


def test_a_short_life_is_not_waited_away() -> None:
    assert pause_after(4, 0, 160 * 60 * MINUTE) == 8 * 60 * MINUTE
    assert pause_after(4, 0, 45 * DAY) == DAY
    assert pause_after(1, 0, 10 * MINUTE) == MINUTE


def test_nobody_waits_longer_than_the_pause() -> None:
    assert postponed_until(FAILED, "this", NOON) == NOON + MINUTE
    assert postponed_until(FAILED, "this", NOON + MINUTE) is None
    assert postponed_until(None, "this", NOON) is None


def test_nobody_waits_for_what_is_wanted_no_more() -> None:
    assert postponed_until(FAILED, "other names", NOON) is None


def test_a_pause_that_was_noted_while_the_clock_was_ahead_is_none() -> None:
    assert postponed_until(replace(FAILED, again=NOON + 300 * DAY), "this", NOON) is None
