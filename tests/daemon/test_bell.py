"""A burst of events is waited out, but not for ever."""

from __future__ import annotations

import pytest

from proxygen.daemon.bell import LONGEST_BURST, QUIET, Bell
from tests.daemon.surroundings import HandedClock


@pytest.fixture
def clock() -> HandedClock:
    return HandedClock()


def test_a_single_event_is_heard_after_a_moment_of_quiet(clock: HandedClock) -> None:
    bell = Bell(clock.ticks)
    assert bell.left() is None
    bell.ring()
    assert not bell.heard()
    assert bell.left() == pytest.approx(QUIET)
    clock.go(QUIET)
    assert bell.heard()
    assert bell.left() is None
    assert not bell.heard()


def test_a_file_that_is_still_being_written_is_waited_for(clock: HandedClock) -> None:
    bell = Bell(clock.ticks)
    for _ in range(5):
        bell.ring()
        clock.go(QUIET / 2)
        assert not bell.heard()
    clock.go(0.6 * QUIET)
    assert bell.heard()


def test_a_burst_that_does_not_end_is_heard_after_a_while(clock: HandedClock) -> None:
    bell, heard = Bell(clock.ticks), 0
    while clock.passed < 3 * LONGEST_BURST:
        bell.ring()
        heard += bell.heard()
        clock.go(QUIET / 2)
    assert heard == 2


def test_of_a_burst_only_the_first_event_wakes(clock: HandedClock) -> None:
    bell = Bell(clock.ticks)
    bell.ring()
    bell.wait(0)
    assert not bell.woken.is_set()
    for _ in range(1000):
        bell.ring()
    assert not bell.woken.is_set()
    bell.wake()
    assert bell.woken.is_set()
