"""Which names an order is placed for, which wait, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from proxygen.errors import Origin
from proxygen.model.certificate import Authority, Bundle, Certificate
from proxygen.names.states import (
    Answers,
    Evidence,
    Finding,
    NameState,
    NameStates,
    dropped_state,
    state_after_check,
    state_after_refusal,
)
from proxygen.plan.renewal import warned_from
from proxygen.plan.selection import (
    FLAPPING,
    GATHER,
    HOPEFUL,
    MOVED,
    Selection,
    names_due_for_check,
    select_names,
)
from tests.certificates import DAY, NOON
from tests.models import bundle

URL, AUTO, IMAP = "www.a.example", "autodiscover.a.example", "imap.a.example"
WANTED = Certificate(
    "a.example",
    (URL, AUTO, IMAP),
    "acme",
    Origin("m.yaml", 1, 1),
    authorities=(Authority("https://ca/dir"),),
)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOWHERE = Finding("nxdomain", (("name", "b.example"), ("zone", "a.example")))


def bad(name: str, since: datetime = NOON, looks: int = 1) -> NameState:
    """Return what is known of a name that is in trouble since then."""
    known = state_after_check(None, name, Evidence(since, findings=(NOWHERE,)), 0.0)
    for _ in range(looks - 1):
        known = state_after_check(known, name, Evidence(NOON, findings=(NOWHERE,)), 0.0)
    return known


def good(name: str, since: datetime = NOON) -> NameState:
    """Return what is known of a name that is ready since then."""
    return state_after_check(None, name, Evidence(since), 0.0)


def no(name: str) -> NameState:
    """Return what is known of a name that looks good, but was refused just now."""
    return state_after_refusal(good(name), name, "urn:ietf:params:acme:error:dns", "no", NOON, 0.0)


def names(*known: NameState) -> NameStates:
    """Return what is known, by name."""
    return {each.name: each for each in known}


def chosen(
    *known: NameState,
    stored: Bundle | None = None,
    wanted: Certificate = WANTED,
    now: datetime = NOON,
) -> Selection | None:
    """Return what is asked for."""
    return select_names(wanted, stored, "", names(*known), now)


def asked(selection: Selection | None) -> tuple[str, ...]:
    """Return the names that are asked for; none where nothing is."""
    return selection.wanted.names if selection and selection.wanted else ()


def issued_for(*covered: str, ends: datetime = NOON + 60 * DAY) -> Bundle:
    """Return what was issued for some of the names."""
    return bundle(replace(WANTED, names=covered), ends=ends)


DUE = issued_for(URL, AUTO, IMAP, ends=NOON + 29 * DAY)
ENDING = issued_for(URL, AUTO, IMAP, ends=NOON + 4 * DAY)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param((), (URL, AUTO, IMAP), id="nothing is known"),
        pytest.param((good(URL), good(AUTO), good(IMAP)), (URL, AUTO, IMAP), id="all are ready"),
        pytest.param((good(URL), bad(AUTO)), (URL, IMAP), id="one is in trouble"),
        pytest.param((good(URL), bad(AUTO), bad(IMAP)), (URL,), id="the URL alone is ready"),
        pytest.param((good(URL), no(AUTO)), (URL, IMAP), id="one was refused"),
        pytest.param((bad(URL), good(AUTO)), (), id="the URL's own name must be in"),
        pytest.param((no(URL), no(AUTO)), (URL, AUTO, IMAP), id="its refusal is the whole order's"),
        pytest.param((no(URL), bad(AUTO)), (URL, IMAP), id="a refusal and a trouble"),
    ],
)
def test_a_first_order_is_for_the_names_that_are_ready(
    known: tuple[NameState, ...], expected: tuple[str, ...]
) -> None:
    assert asked(chosen(*known)) == expected


def test_without_the_name_of_its_url_a_certificate_waits() -> None:
    found = chosen(bad(URL), good(AUTO))
    assert found is not None
    assert found.until == NOON + MINUTE
    assert found.why is not None
    assert found.why.what == "www.a.example cannot be proven"
    assert found.finding is not None


def test_strict_names_are_all_or_nothing() -> None:
    strict = replace(WANTED, strict=True)
    assert asked(chosen(good(URL), wanted=strict)) == (URL, AUTO, IMAP)
    found = chosen(good(URL), bad(IMAP), wanted=strict)
    assert not asked(found)
    assert found is not None
    assert found.until == NOON + MINUTE
    assert asked(chosen(good(URL), no(IMAP), wanted=strict)) == (URL, AUTO, IMAP)


def test_a_skipped_preflight_keeps_no_name_out() -> None:
    skipping = replace(WANTED, unchecked=(URL, AUTO))
    assert asked(chosen(bad(URL), bad(AUTO), bad(IMAP), wanted=skipping)) == (URL, AUTO)


def test_nothing_is_ordered_while_nothing_changed() -> None:
    assert chosen(bad(AUTO), bad(IMAP), stored=issued_for(URL)) is None
    assert chosen(stored=issued_for(URL, AUTO, IMAP)) is None


def test_a_late_name_joins_by_one_new_order() -> None:
    assert asked(chosen(good(AUTO), stored=issued_for(URL, IMAP))) == (URL, AUTO, IMAP)


def test_late_names_wait_a_moment_for_each_other() -> None:
    found = chosen(good(AUTO), bad(IMAP), stored=issued_for(URL))
    assert found is not None
    assert not asked(found)
    assert found.joins_at == NOON + GATHER
    assert found.until is None
    later = NOON + GATHER
    assert asked(chosen(good(AUTO), bad(IMAP), stored=issued_for(URL), now=later)) == (URL, AUTO)


def test_nobody_waits_for_a_name_that_was_checked_often_in_vain() -> None:
    hopeless = bad(IMAP, since=NOON - 3 * HOUR, looks=HOPEFUL)
    assert asked(chosen(good(AUTO), hopeless, stored=issued_for(URL))) == (URL, AUTO)


def test_a_renewal_waits_some_days_for_a_name_that_leads_elsewhere() -> None:
    for since, expected in ((MOVED - HOUR, ()), (MOVED, (URL, IMAP))):
        found = chosen(bad(AUTO, since=NOON - since), stored=DUE)
        assert asked(found) == expected
    found = chosen(bad(AUTO, since=NOON), stored=DUE)
    assert found is not None
    assert found.until == NOON + MOVED
    assert AUTO in str(found.why)


def test_a_renewal_waits_for_no_name_near_the_end() -> None:
    assert asked(chosen(bad(AUTO), stored=ENDING)) == (URL, IMAP)


def test_near_the_end_the_authority_is_asked_whatever_a_check_says() -> None:
    assert asked(chosen(bad(URL), bad(AUTO), stored=DUE)) == ()
    assert asked(chosen(bad(URL), bad(AUTO), stored=ENDING)) == (URL, IMAP)
    strict = replace(WANTED, strict=True)
    assert asked(chosen(bad(AUTO), stored=ENDING, wanted=strict)) == (URL, AUTO, IMAP)
    ended = issued_for(URL, AUTO, IMAP, ends=NOON - DAY)
    assert asked(chosen(bad(URL), stored=ended)) == ()


def test_a_compromised_key_waits_for_no_name() -> None:
    assert asked(chosen(bad(AUTO), stored=replace(DUE, replace=True))) == (URL, IMAP)


def test_a_short_life_waits_shorter() -> None:
    short = bundle(WANTED, ends=NOON + 2 * DAY, days=6)
    part = timedelta(days=6) / 15
    found = chosen(bad(AUTO), stored=short)
    assert found is not None
    assert found.until == NOON + part


def test_a_name_that_never_was_in_holds_no_renewal_up() -> None:
    due = issued_for(URL, IMAP, ends=NOON + 29 * DAY)
    assert asked(chosen(bad(AUTO), stored=due)) == (URL, IMAP)


def test_others_join_although_a_name_went_bad_an_hour_ago() -> None:
    stored = issued_for(URL, IMAP)
    early = chosen(good(AUTO), bad(IMAP, since=NOON - FLAPPING + MINUTE), stored=stored)
    assert not asked(early)
    late = bad(IMAP, since=NOON - FLAPPING, looks=HOPEFUL)
    assert asked(chosen(good(AUTO), late, stored=stored)) == (URL, AUTO)


def test_a_dropped_name_joins_again_when_it_leads_here_again() -> None:
    back = dropped_state(good(AUTO), NOON)
    assert asked(chosen(back, stored=issued_for(URL, IMAP))) == (URL, AUTO, IMAP)


def test_supplied_certificates_have_all_their_names() -> None:
    supplied = replace(WANTED, issuer="file", authorities=())
    found = select_names(supplied, None, "", names(bad(AUTO)), NOON)
    assert asked(found) == (URL, AUTO, IMAP)


def test_names_are_checked_before_an_order_and_again_when_it_is_time() -> None:
    known = names(good(URL), bad(AUTO))

    def at(now: datetime, *, due: bool) -> list[str]:
        return list(names_due_for_check(WANTED, known, now, due=due))

    assert at(NOON, due=True) == [IMAP]
    assert at(NOON, due=False) == []
    assert at(NOON + MINUTE, due=False) == [AUTO]
    assert at(NOON + HOUR, due=True) == [URL, AUTO, IMAP]


def test_what_skips_the_preflight_is_never_checked() -> None:
    skipping = replace(WANTED, unchecked=WANTED.names)
    assert not list(names_due_for_check(skipping, {}, NOON, due=True))


def test_who_is_asked_for_by_a_person_waits_for_no_others() -> None:
    stored, known = issued_for(URL), names(good(AUTO), bad(IMAP))
    assert not asked(select_names(WANTED, stored, "", known, NOON))
    assert asked(select_names(WANTED, stored, "", known, NOON, hurry=True)) == (URL, AUTO)


def test_a_clock_that_was_ahead_makes_nobody_wait() -> None:
    ahead = good(AUTO, since=NOON + 365 * DAY)
    assert asked(chosen(ahead, bad(IMAP), stored=issued_for(URL))) == (URL, AUTO)
    later = replace(bad(AUTO), look_at=NOON + 365 * DAY)
    assert list(names_due_for_check(WANTED, names(later), NOON, due=False)) == [AUTO]


# Names for which no web server is known to answer challenges.

SOME = Answers(frozenset({URL, AUTO}), frozenset({IMAP}))


@pytest.mark.parametrize(
    ("answers", "wanted", "ordered", "silent", "words"),
    [
        pytest.param(None, WANTED, (URL, AUTO, IMAP), (), "", id="proxygen answers itself"),
        pytest.param(SOME, WANTED, (URL, AUTO), (), "", id="not for an extra name"),
        pytest.param(
            SOME, replace(WANTED, strict=True), (), (IMAP,), "does not answer", id="all must be in"
        ),
        pytest.param(
            Answers(frozenset({AUTO})),
            WANTED,
            (),
            (),
            "has not been probed yet",
            id="not asked yet",
        ),
        pytest.param(
            Answers(), replace(WANTED, challenge="dns-01"), (URL, AUTO, IMAP), (), "", id="by DNS"
        ),
    ],
)
def test_names_without_an_answer_are_left_out_of_a_first_certificate(
    answers: Answers | None,
    wanted: Certificate,
    ordered: tuple[str, ...],
    silent: tuple[str, ...],
    words: str,
) -> None:
    found = select_names(wanted, None, "", {}, NOON, answers=answers)
    assert found is not None
    assert asked(found) == ordered
    assert found.silent == silent
    assert words in (found.why.what if found.why else "")
    assert bool(found.until) == bool(words)


def test_a_name_that_leads_elsewhere_is_told_as_such_though_it_is_not_answered_for_either() -> None:
    found = select_names(WANTED, None, "", names(bad(URL)), NOON, answers=Answers())
    assert found is not None
    assert "cannot be proven" in str(found.why)
    assert not found.silent


def test_what_serves_is_not_renewed_without_a_name_before_the_end_is_near() -> None:
    stored = bundle(WANTED, ends=NOON + 30 * DAY)
    now = warned_from(stored) - HOUR
    found = select_names(WANTED, stored, "", {}, now, answers=SOME)
    assert found is not None
    assert found.until == warned_from(stored)
    assert "does not answer" in str(found.why)
    late = select_names(WANTED, stored, "", {}, warned_from(stored), answers=SOME)
    assert asked(late) == (URL, AUTO)
    assert late is not None
    assert late.unanswered == (IMAP,)


def test_what_serves_without_a_name_that_is_not_answered_for_is_not_due() -> None:
    stored = bundle(replace(WANTED, names=(URL, AUTO)), ends=NOON + 60 * DAY)
    assert select_names(WANTED, stored, "", {}, NOON, answers=SOME) is None


def test_near_the_end_the_authority_is_asked_for_what_must_be_in_though_nobody_answers() -> None:
    stored = bundle(WANTED, ends=NOON + DAY)
    assert asked(select_names(WANTED, stored, "", {}, NOON, answers=Answers())) == (URL,)
