"""Refusals: each type of problem becomes an error that a person can act on."""

from __future__ import annotations

import pytest

from proxygen.issuers.acme_answers import URN, Problem, problem_in
from proxygen.issuers.acme_failures import AuthorityRefused, Over, of_account, of_names

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
    error = of_names(NAMES, AuthorityRefused(Problem(subproblems=(part,))))
    assert error.what.startswith(f"the authority refused {NAMES[1]}: ")
    assert error.words == f"{NAMES[1]}: because ({URN}{kind})"
    assert remedy in error.remedy
    assert (error.problem, error.final) == (URN + kind, final)


def test_different_problems_have_each_their_remedy_and_waiting_may_help_one() -> None:
    parts = (
        Problem(type=URN + "dns", detail="NXDOMAIN").about(NAMES[0]),
        Problem(type=URN + "rejectedIdentifier", detail="policy").about(NAMES[1]),
    )
    error = of_names(NAMES, AuthorityRefused(Problem(type=URN + "compound", subproblems=parts)))
    assert [each.code for each in error.parts] == ["acme-dns", "acme-name"]
    assert all(each.remedy in error.remedy for each in error.parts)
    assert not error.final


def test_an_account_that_is_not_accepted_is_not_blamed_on_the_names() -> None:
    refused = AuthorityRefused(Problem(type=URN + "unauthorized", detail="account is deactivated"))
    error = of_names(NAMES, refused)
    assert "does not accept our account" in error.what
    assert ".well-known" not in error.remedy


def test_a_contact_that_is_not_understood_is_named() -> None:
    refused = AuthorityRefused(Problem(type=URN + "malformed", detail="bad mailto"))
    assert of_account(refused, None).remedy == "correct `contact`"


def test_terms_are_named_where_the_problem_names_no_page() -> None:
    refused = AuthorityRefused(Problem(type=URN + "userActionRequired"))
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
    refused = of_names(NAMES, AuthorityRefused(problem_in(body * 1000), 503))
    assert len(refused.words) <= 200
    assert refused.problem is None


def test_many_names_are_not_all_listed() -> None:
    refused = AuthorityRefused(Problem(type=URN + "caa"))
    for names, said in (
        (("a",), "a"),
        (("a", "b"), "a and b"),
        (("a", "b", "c"), "a, b and c"),
        (tuple("abcdefghijkl"), "a, b, c, d, e, f, g, h, i and 3 more"),
    ):
        assert of_names(names, refused).what.startswith(f"the authority refused {said}: ")


# Whose failure it is


@pytest.mark.parametrize(
    ("status", "kind", "detail", "everybody"),
    [
        (429, "rateLimited", "too many new orders (300) from this account recently", True),
        (429, "rateLimited", 'too many certificates (50) already issued for "x.example"', False),
        (429, "rateLimited", "Too many failed authorizations: webmail.X.example.", False),
        (429, "rateLimited", "(5) already issued for this exact set of identifiers", False),
        (429, "rateLimited", 'too many certificates issued for "ax.example"', True),
        (429, "rateLimited", "see https://authority.example/limits#example", True),
        (429, "unheardOf", "slow down", True),
        (503, "unheardOf", "", True),
        (500, "serverInternal", "", True),
        (400, "badNonce", "", True),
        (400, "invalidProfile", "", True),
        (403, "userActionRequired", "", True),
        (401, "unauthorized", "", True),
        (403, "unauthorized", "Account is not valid, has status deactivated", True),
        (403, "unauthorized", "authorizations for these names not valid", False),
        (400, "malformed", "", False),
        (403, "caa", "", False),
        (400, "rejectedIdentifier", "", False),
        (403, "orderNotReady", "", False),
    ],
)
def test_whether_any_other_certificate_would_be_refused_too(
    status: int, kind: str, detail: str, everybody: bool
) -> None:
    error = of_names(NAMES, AuthorityRefused(Problem(type=URN + kind, detail=detail), status))
    assert error.everybody == everybody


def test_a_limit_that_names_its_name_apart_is_not_everybodys() -> None:
    part = Problem(type=URN + "rateLimited", detail="too many").about(NAMES[0])
    error = of_names(
        NAMES, AuthorityRefused(Problem(type=URN + "rateLimited", subproblems=(part,)), 429)
    )
    assert not error.everybody


def test_what_is_refused_to_the_account_is_refused_to_everybody() -> None:
    assert of_account(AuthorityRefused(Problem(type=URN + "malformed")), None).everybody


def test_an_order_that_came_to_nothing_is_nobody_elses() -> None:
    trouble = Problem(type=URN + "serverInternal", detail="CAA could not be looked up")
    error = of_names(NAMES, Over(trouble, (NAMES[1],)))
    assert not error.everybody
    assert error.unproven == (NAMES[1],)


def test_no_name_is_unproven_when_an_order_is_refused() -> None:
    assert of_names(NAMES, AuthorityRefused(Problem(type=URN + "malformed"), 400)).unproven == ()
