"""How each name of the model stands, and what is said of it in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxygen.model.certificate import Bundle
from proxygen.names.states import Evidence, NameState, State
from proxygen.texts.names import ModelName, model_names
from tests.certificates import DAY, NOON
from tests.known_names import (
    ELSEWHERE,
    HOST,
    LATE,
    SITE,
    TEXT,
    A,
    evidence,
    finding,
    moved,
    refused,
    waiting,
)
from tests.models import bundle, site, stand_in

WANTED = next(each for each in SITE.certificates if each.owner == A)
WITHOUT_LATE = replace(WANTED, names=tuple(name for name in WANTED.names if name != LATE))


def one(
    known: NameState | None, issued: Bundle | None = None, of: str = TEXT, name: str = LATE
) -> ModelName:
    """Return how a name stands."""
    bundles = {A: issued} if issued else {}
    book = {A: {known.name: known}} if known else {}
    return next(each for each in model_names(site(of), bundles, book, NOON) if each.name == name)


@pytest.mark.parametrize(
    ("known", "state", "words"),
    [
        (None, State.READY, "not checked yet"),
        (NameState(LATE, NOON, Evidence(NOON)), State.READY, "ready to be ordered"),
        (waiting(), State.WAITING, "points to another server (404 Not Found)"),
        (refused(), State.FAILED, "the authority refused it: DNS problem: NXDOMAIN"),
        (refused(problem=""), State.FAILED, "it could not be proven: DNS problem: NXDOMAIN"),
        (moved(), State.MOVED, "removed from the certificate on 2026-11-19: the A record"),
    ],
    ids=lambda value: str(value) if isinstance(value, State) else "",
)
def test_a_name_that_no_certificate_covers(
    known: NameState | None, state: State, words: str
) -> None:
    found = one(known, bundle(WITHOUT_LATE))
    assert found.state is state
    assert words in found.words


def test_since_when_it_is_so_and_when_it_is_checked_next() -> None:
    known = waiting()
    found = one(known)
    assert (found.since, found.next_check) == (known.bad_since, known.look_at)
    issued = bundle(WANTED)
    found = one(None, issued)
    assert (found.since, found.next_check, found.words) == (
        issued.not_before,
        None,
        f"until {issued.not_after:%Y-%m-%d %H:%M} UTC",
    )


def test_one_that_is_issued_and_could_not_be_proven_now_is_told_as_both() -> None:
    found = one(waiting(), bundle(WANTED))
    assert (found.state, found.is_at_risk) == (State.ISSUED, True)
    assert "cannot be proven now: the A record" in found.words
    assert found.since == NOON - 2 * DAY
    assert found.next_check


def test_so_is_one_that_the_authority_refused_to_renew() -> None:
    found = one(refused(), bundle(WANTED))
    assert (found.state, found.is_at_risk) == (State.ISSUED, True)
    assert "cannot be proven now: the authority refused it" in found.words


def test_a_stand_in_covers_nothing() -> None:
    book: dict[str, dict[str, NameState]] = {}
    (first, *_) = model_names(SITE, {"global": stand_in(SITE)}, book, NOON)
    assert (first.state, first.bundle) == (State.READY, None)


def test_of_a_name_that_skips_the_preflight_only_the_authority_counts() -> None:
    text = TEXT.replace("    language: de\n", f"    skip_preflight: [{LATE}]\n")
    found = one(waiting(), of=text)
    assert (found.state, found.next_check) == (State.READY, None)
    assert "skip_preflight" in found.words
    found = one(refused(), of=text)
    assert found.state is State.FAILED
    assert found.next_check == refused().refusal.again  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("certificate", "title"),
    [
        ("{file: {certificate: a.pem}}", "supplied"),
        ("hook", "supplied"),
        ("selfsigned", "self-signed"),
        ("global", "global"),
    ],
)
def test_where_no_authority_is_asked_there_is_no_state(certificate: str, title: str) -> None:
    text = TEXT.replace("    certificate: acme\n", f"    certificate: {certificate}\n")
    found = one(None, of=text)
    assert (found.state, found.title) == (None, title)
    assert found.words


def test_what_is_in_trouble_comes_first() -> None:
    every = [
        one(refused()),
        one(waiting()),
        one(waiting(), bundle(WANTED)),
        one(moved()),
        one(None),
        one(None, bundle(WANTED)),
    ]
    backwards = every[::-1]
    assert sorted(backwards, key=lambda each: each.rank) == every


def test_what_others_said_is_bounded_and_made_printable() -> None:
    known = refused()
    assert known.refusal
    odd = replace(known, refusal=replace(known.refusal, words="\x1b[31m" + "x" * 5000))
    assert "\x1b" not in one(odd).words
    assert len(one(odd).words) <= 300
    loud = replace(ELSEWHERE, facts=(("words", "a\nb" * 500),))
    assert "\n" not in one(waiting(LATE, loud)).words


def test_the_names_of_the_url_and_the_extra_names_come_in_the_models_order() -> None:
    found = [each.name for each in model_names(SITE, {}, {}, NOON)]
    assert found[:4] == ["mail.example.net", "smtp.example.net", HOST, LATE]
    assert evidence().findings == ()


def test_what_a_check_only_remarked_is_told_once_the_authority_refused_the_name() -> None:
    known = refused()
    assert known.evidence
    known = replace(known, evidence=replace(known.evidence, findings=(finding("not-fetched"),)))
    assert any("could not be reached from here" in each for each in one(known).reasons)
