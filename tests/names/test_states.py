"""What is known of a name, from one look and one refusal to the next."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from proxygen.errors import Origin
from proxygen.model.certificate import Certificate
from proxygen.names.causes import Cause, cause
from proxygen.names.states import (
    LOOKS,
    Evidence,
    Finding,
    NameState,
    State,
    check_due,
    dropped_state,
    hastened_state,
    is_stale,
    not_ready,
    state_after_check,
    state_after_refusal,
    state_of,
    up_to_date,
)
from tests.certificates import NOON
from tests.models import bundle

NAME = "autodiscover.a.example"
WANTED = Certificate("a.example", ("www.a.example", NAME), "acme", Origin("m.yaml", 1, 1))
MINUTE = timedelta(minutes=1)
MISSING = Finding("no-address", (("zone", "a.example"),))
NOTE = Finding("through-proxy", (("address", "192.0.2.9"),), grave=False)


def seen(*findings: Finding, at: datetime = NOON, address: str = "192.0.2.1") -> Evidence:
    """Return what a look found."""
    return Evidence(at, (address,), findings=findings)


def after(former: NameState | None, *findings: Finding, at: datetime = NOON) -> NameState:
    """Return what is known after one look more."""
    return state_after_check(former, NAME, seen(*findings, at=at), 0.0)


def test_a_name_in_trouble_is_checked_ever_less_often() -> None:
    known, now, pauses = None, NOON, []
    for _ in range(len(LOOKS) + 2):
        known = after(known, MISSING, at=now)
        pauses.append(known.look_at - now)
        now = known.look_at
    assert pauses[0] == MINUTE
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(days=1)
    assert known is not None
    assert known.bad_since == NOON


def test_checks_within_the_first_hour_are_at_most_fifteen_minutes_apart() -> None:
    now, known = NOON, after(None, MISSING)
    while now - NOON < timedelta(hours=1):
        assert known.look_at - now <= 15 * MINUTE
        now = known.look_at
        known = after(known, MISSING, at=now)


def test_a_pause_is_varied_by_chance() -> None:
    later = state_after_check(None, NAME, seen(MISSING), 1.0)
    assert after(None, MISSING).look_at < later.look_at <= NOON + 1.1 * MINUTE


def test_a_name_that_is_right_again_is_ready_since_then() -> None:
    known = after(after(None, MISSING), NOTE, at=NOON + MINUTE)
    assert known.is_ready(NOON + MINUTE)
    assert (known.ready_since, known.bad_since, known.looks) == (NOON + MINUTE, None, 0)
    again = after(known, at=NOON + 3 * MINUTE)
    assert again.ready_since == NOON + MINUTE


@pytest.mark.parametrize(
    ("since", "stale"),
    [(-2 * MINUTE, False), (59 * MINUTE, False), (60 * MINUTE, True), (-90 * MINUTE, True)],
)
def test_a_check_is_believed_for_an_hour(since: timedelta, stale: bool) -> None:
    assert is_stale(after(None), NOON + since) is stale
    assert is_stale(None, NOON)


def test_an_authority_knows_better_than_a_check() -> None:
    known = state_after_refusal(after(None), NAME, "urn:x:dns", "no such name", NOON, 0.0)
    assert not known.is_ready(NOON)
    same = after(known, at=NOON + 30 * timedelta(seconds=1))
    assert not same.is_ready(NOON + 30 * timedelta(seconds=1))
    assert same.is_ready(NOON + MINUTE)


def test_what_was_refused_is_ready_as_soon_as_something_else_is_found() -> None:
    known = state_after_refusal(after(None), NAME, "", "no", NOON, 0.0)
    other = state_after_check(
        known, NAME, seen(at=NOON + 1 * timedelta(seconds=9), address="192.0.2.2"), 0.0
    )
    assert other.is_ready(NOON + 9 * timedelta(seconds=1))


def test_words_that_are_others_each_time_are_no_change() -> None:
    def mark(*because: Cause, grave: bool) -> str:
        return seen(Finding("not-fetched", (("address", "a"),), grave, because)).mark

    def within(why: Cause) -> Cause:
        return cause("redirected", why, place="http://b.example/")

    slow, refused = cause("no-answer", seconds="10"), cause("refused")
    assert mark(slow, grave=False) == mark(within(refused), grave=False)
    assert mark(slow, grave=True) != mark(refused, grave=True)
    assert mark(within(slow), grave=True) != mark(within(refused), grave=True)
    one, other = cause("no-tls", words="its words"), cause("no-tls", words="other words")
    assert mark(within(one), grave=True) == mark(within(other), grave=True)


def test_refusals_are_waited_for_ever_longer() -> None:
    known, now, pauses = after(None), NOON, []
    for _ in range(5):
        known = state_after_refusal(known, NAME, "", "no", now, 0.0)
        assert known.refusal is not None
        pauses.append(known.refusal.again - now)
        now = known.refusal.again
        known = after(known, at=now)
    assert pauses == [MINUTE, 10 * MINUTE, 100 * MINUTE, 1440 * MINUTE, 1440 * MINUTE]
    assert known.refusal is not None
    assert known.refusal.since == NOON


def test_a_refused_name_is_checked_before_it_is_asked_for_again() -> None:
    known = after(None)
    for _ in range(4):
        known = state_after_refusal(known, NAME, "", "no", NOON, 0.0)
    assert known.refusal is not None
    assert known.refusal.again == NOON + timedelta(days=1)
    assert known.look_at == NOON + MINUTE
    assert after(known, at=known.look_at).look_at <= known.look_at + 2 * MINUTE


def test_a_refusal_of_a_clock_that_was_ahead_does_not_hold() -> None:
    known = state_after_refusal(after(None), NAME, "", "no", NOON + timedelta(days=400), 0.0)
    assert known.refusal is not None
    assert not known.refusal.holds(known.evidence, NOON)


def test_a_person_hastens_what_waits() -> None:
    known = hastened_state(
        state_after_refusal(after(None, MISSING), NAME, "", "no", NOON, 0.0), NOON
    )
    assert known.look_at == NOON
    assert known.refusal is not None
    assert not known.refusal.holds(known.evidence, NOON)


def test_the_states_of_a_name() -> None:
    issued, other = (
        bundle(WANTED),
        bundle(Certificate("o", ("www.a.example",), "acme", WANTED.origin)),
    )
    waiting, ready = after(None, MISSING), after(None)
    failed = state_after_refusal(ready, NAME, "", "no", NOON, 0.0)
    moved = dropped_state(waiting, NOON)

    def state(of: NameState | None, stored: object = None) -> State:
        return state_of(NAME, stored, of, NOON)  # type: ignore[arg-type]

    assert state(None) is State.READY
    assert state(None, issued) is State.ISSUED
    assert state(waiting) is State.WAITING
    assert state(waiting, issued) is State.ISSUED
    assert state(ready) is State.READY
    assert state(failed) is State.FAILED
    assert state(moved, other) is State.MOVED
    assert state(moved, issued) is State.ISSUED
    assert state(dropped_state(ready, NOON), other) is State.READY


def test_of_a_name_that_skips_the_preflight_only_refusals_count() -> None:
    skipping = Certificate(
        **{each: getattr(WANTED, each) for each in ("owner", "names", "issuer", "origin")},
        unchecked=(NAME,),
    )
    waiting = after(None, MISSING)
    assert list(not_ready(WANTED, {NAME: waiting}, NOON)) == [NAME]
    assert not list(not_ready(skipping, {NAME: waiting}, NOON))
    failed = state_after_refusal(waiting, NAME, "", "no", NOON, 0.0)
    assert list(not_ready(skipping, {NAME: failed}, NOON)) == [NAME]


def test_a_name_that_leads_elsewhere_at_each_check_is_asked_for_ever_less_often() -> None:
    """Some answers rotate: that they are others is no news after some refusals."""
    known, now, pauses = after(None), NOON, []
    for count in range(8):
        known = state_after_refusal(known, NAME, "", "no", now, 0.0)
        began = now
        while not known.is_ready(now):
            now = known.look_at
            known = state_after_check(
                known, NAME, seen(at=now, address=f"192.0.2.{count} {now}"), 0.0
            )
        pauses.append(now - began)
    assert pauses == sorted(pauses)
    assert pauses[0] <= MINUTE
    assert pauses[-1] >= 10 * MINUTE
    assert known.refusal is not None
    assert known.refusal.count == 8


def test_where_nothing_can_be_looked_up_a_name_is_what_it_was_for_a_day() -> None:
    blind = Finding("cannot-look", (("words", "no network"),), grave=False)
    known = after(after(None, MISSING), blind, at=NOON + MINUTE)
    assert known.obstacle == MISSING
    assert known.look_at > NOON + MINUTE
    assert known.looks == 2
    assert after(known, blind, at=NOON + timedelta(days=1)).is_ready(NOON + timedelta(days=1))
    assert after(None, blind).is_ready(NOON)


@pytest.mark.parametrize("years", [1, -1])
def test_a_clock_that_was_wrong_postpones_no_check(years: int) -> None:
    then = NOON + years * timedelta(days=365)
    known = after(after(None, MISSING), MISSING, at=then)
    assert check_due(known, NOON) <= NOON
    right = after(known, MISSING)
    assert right.bad_since is not None
    assert right.bad_since <= NOON
    again = state_after_refusal(
        state_after_refusal(known, NAME, "", "no", then, 0.0), NAME, "", "no", NOON, 0.0
    )
    assert again.refusal is not None
    assert again.refusal.since <= NOON


def test_a_name_that_came_back_did_not_move_away() -> None:
    back = after(dropped_state(after(None, MISSING), NOON))
    assert back.dropped is None
    failed = state_after_refusal(back, NAME, "", "no", NOON, 0.0)
    other = bundle(Certificate("o", ("www.a.example",), "acme", WANTED.origin))
    assert state_of(NAME, other, failed, NOON) is State.FAILED


def test_a_name_that_the_model_has_checked_otherwise_is_checked_now() -> None:
    late, now = NOON + timedelta(days=1), NOON + timedelta(hours=1)
    known = {
        NAME: NameState(NAME, late, seen(MISSING), looks=9, by="before"),
        "www.a.example": NameState("www.a.example", late, seen(), by="now"),
    }
    found = up_to_date(known, "now", now)
    assert (found[NAME].look_at, found[NAME].looks) == (now, 0)
    assert found["www.a.example"] == known["www.a.example"]
    assert up_to_date(found, "other", now)["www.a.example"].look_at == now
