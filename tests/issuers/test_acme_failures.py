"""Refusals: each type of problem becomes an error that a person can act on."""

from __future__ import annotations

import pytest

from proxygen.issuers.acme_answers import URN, Problem, problem
from proxygen.issuers.acme_failures import MEANINGS, Refused, listed, of_account, of_names

NAMES = ("webmail.x.example", "autodiscover.x.example")


@pytest.mark.parametrize(
    ("kind", "remedy", "final"),
    [
        ("dns", "A (and AAAA)", False),
        ("connection", "port 80", False),
        ("unauthorized", "/.well-known/acme-challenge/", False),
        ("caa", "CAA", False),
        ("rejectedIdentifier", "model", True),
        ("badCSR", "acme.key_type", True),
        ("invalidProfile", "acme.profile", True),
    ],
)
def test_a_name_that_is_refused(kind: str, remedy: str, final: bool) -> None:
    part = Problem(type=URN + kind, detail="because").about(NAMES[1])
    error = of_names(NAMES, Refused(Problem(subproblems=(part,))))
    assert error.what.startswith(f"the authority refused {NAMES[1]}: ")
    assert error.words == f"{NAMES[1]}: because ({URN}{kind})"
    assert remedy in error.remedy
    assert (error.problem, error.final) == (URN + kind, final)


def test_different_problems_have_each_their_remedy_and_waiting_may_help_one() -> None:
    parts = (
        Problem(type=URN + "dns", detail="NXDOMAIN").about(NAMES[0]),
        Problem(type=URN + "rejectedIdentifier", detail="policy").about(NAMES[1]),
    )
    error = of_names(NAMES, Refused(Problem(type=URN + "compound", subproblems=parts)))
    assert MEANINGS["dns"].remedy in error.remedy
    assert MEANINGS["rejectedIdentifier"].remedy in error.remedy
    assert not error.final


def test_an_account_that_is_not_accepted_is_not_blamed_on_the_names() -> None:
    refused = Refused(Problem(type=URN + "unauthorized", detail="account is deactivated"))
    error = of_names(NAMES, refused)
    assert "does not accept our account" in error.what
    assert ".well-known" not in error.remedy


def test_a_contact_that_is_not_understood_is_named() -> None:
    refused = Refused(Problem(type=URN + "malformed", detail="bad mailto"))
    assert of_account(refused, None).remedy == "correct `contact`"


def test_terms_are_named_where_the_problem_names_no_page() -> None:
    refused = Refused(Problem(type=URN + "userActionRequired"))
    assert "https://a.example/terms" in of_account(refused, "https://a.example/terms").remedy


@pytest.mark.parametrize(
    "body",
    [
        b"<html>503 Service Unavailable</html>",
        b'{"type": 7}',
        b'{"subproblems": [{"identifier": {"type": "dns"}}]}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_problem_document_is_shown_shortened(body: bytes) -> None:
    refused = of_names(NAMES, Refused(problem(body * 1000), 503))
    assert len(refused.words) <= 200
    assert refused.problem is None


def test_many_names_are_not_all_listed() -> None:
    assert listed(("a",)) == "a"
    assert listed(("a", "b", "c")) == "a, b and c"
    assert listed(("a", "b", "c", "d")) == "a, b and 2 more names"
