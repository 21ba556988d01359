"""Which of an order's names an authority said something against, and nothing else."""

from __future__ import annotations

import json

import pytest

from proxygen.issuers.acme_answers import URN, Authorization, Directory, Order, problem_in
from proxygen.issuers.acme_failures import Advice, AuthorityRefused, Over, of_names
from proxygen.issuers.acme_order import check_names, check_valid
from tests.issuers.at_pebble import wanted

NAMES = ("a.example", "*.a.example", "www.b.example", "192.0.2.1", "2001:db8::1")


def refused(document: dict[str, object], names: tuple[str, ...] = NAMES) -> list[tuple[str, str]]:
    """Return the names that a refused order leaves out, with the kind of their problem."""
    said = problem_in(json.dumps(document).encode())
    found = of_names(names, AuthorityRefused(said, 403)).refused
    return [(each.name, each.problem.removeprefix(URN)) for each in found]


def part(kind: str, value: str, type_: str = "dns") -> dict[str, object]:
    """Return a subproblem."""
    return {
        "type": f"{URN}{kind}",
        "detail": "because",
        "identifier": {"type": type_, "value": value},
    }


def authorization(value: str, **more: object) -> Authorization:
    """Return a failed authorization."""
    kind = "ip" if value[0].isdigit() else "dns"
    error = {"type": f"{URN}unauthorized", "detail": "no"}
    said = {
        "identifier": {"type": kind, "value": value},
        "status": "invalid",
        "challenges": [{"type": "http-01", "status": "invalid", "error": error}],
        **more,
    }
    return Authorization.read(json.dumps(said).encode())


def test_subproblems_name_what_is_refused() -> None:
    parts = [part("caa", "WWW.b.example"), part("rejectedIdentifier", "a.example")]
    document = {"type": f"{URN}caa", "detail": "see below", "subproblems": parts}
    assert refused(document) == [("www.b.example", "caa"), ("a.example", "rejectedIdentifier")]


def test_addresses_are_told_as_they_are_spelled_here() -> None:
    parts = [part("rejectedIdentifier", "2001:0DB8:0::1", "ip")]
    document = {"type": f"{URN}rejectedIdentifier", "subproblems": parts}
    assert refused(document) == [("2001:db8::1", "rejectedIdentifier")]


def test_a_parts_own_parts_are_about_the_same_name() -> None:
    inner = {"type": f"{URN}dns", "detail": "SERVFAIL"}
    outer = part("compound", "a.example") | {"subproblems": [inner, inner]}
    assert refused({"type": f"{URN}compound", "subproblems": [outer]}) == [("a.example", "dns")]


def test_a_wildcard_that_was_ordered_alone_may_come_without_its_star() -> None:
    document = {"type": f"{URN}caa", "subproblems": [part("caa", "a.example")]}
    assert refused(document, ("*.a.example", "b.example")) == [("*.a.example", "caa")]


@pytest.mark.parametrize("value", ["elsewhere.example", "a.example.evil.example", ""])
def test_names_of_no_order_of_ours_are_left_aside(value: str) -> None:
    assert refused({"type": f"{URN}caa", "subproblems": [part("caa", value)]}) == []


@pytest.mark.parametrize(
    ("detail", "names"),
    [
        ('Cannot issue for "a.example": policy', ["a.example"]),
        ('Cannot issue for "*.a.example": policy', ["*.a.example"]),
        ("CAA record for www.b.example prevents issuance", ["www.b.example"]),
        ("this is forbidden", []),
        ("b.example is forbidden", []),
    ],
)
def test_one_name_may_be_named_in_the_text_alone(detail: str, names: list[str]) -> None:
    document = {"type": f"{URN}rejectedIdentifier", "detail": detail}
    assert [name for name, _ in refused(document)] == names


def test_a_limit_that_mentions_a_name_refuses_no_name() -> None:
    detail = "too many certificates already issued for a.example"
    assert refused({"type": f"{URN}rateLimited", "detail": detail}) == []


def test_failed_authorizations_are_told_wildcards_from_their_parents() -> None:
    failed = [authorization("a.example", wildcard=True), authorization("192.0.2.1")]
    with pytest.raises(Over) as over:
        check_valid(failed)
    error = of_names(NAMES, over.value)
    assert [each.name for each in error.refused] == ["*.a.example", "192.0.2.1"]
    assert error.unproven == ("*.a.example", "192.0.2.1")
    assert "*.a.example: no" in error.words


def test_an_order_is_for_its_names_however_they_are_spelled() -> None:
    said = [("dns", "A.example"), ("dns", "*.a.example"), ("ip", "2001:0db8::0001")]
    order = Order.read(
        json.dumps(
            {
                "status": "pending",
                "identifiers": [{"type": kind, "value": value} for kind, value in said],
                "authorizations": [],
                "finalize": "https://ca.example/f",
            }
        ).encode()
    )
    assert order.is_for(("a.example", "*.a.example", "2001:db8::1"))
    assert not order.is_for(("a.example", "*.a.example", "2001:db8::2"))
    check_names(wanted(*NAMES), [authorization("a.example", wildcard=True)])


def test_what_problems_mean_depends_on_how_names_were_to_be_proven() -> None:
    failed = authorization("a.example").problem
    by_http = of_names(NAMES, Over(failed))
    assert "port 80" in by_http.remedy
    by_dns = of_names(NAMES, Over(failed, advice=Advice(frozenset({"dns-01"}))))
    assert "TXT record" in by_dns.what
    record = '_validation-persist.a.example. IN TXT "ca.example; accounturi=x"'
    standing = Advice(frozenset({"dns-persist-01"}), (record,))
    assert record in of_names(NAMES, Over(failed, advice=standing)).remedy


HOSTILE = ["ca.example", 7, None, "", "*", "a b", "CA.example", "x" * 300, "\x1b[2J.example"]


def test_identities_of_an_authority_are_bounded_and_host_names() -> None:
    meta = {"caaIdentities": [*HOSTILE, *(f"n{number}.example" for number in range(100))]}
    place = "https://ca.example/x"
    said = {"newNonce": place, "newAccount": place, "newOrder": place, "meta": meta}
    identities = Directory.read(json.dumps(said).encode()).meta.caa_identities
    assert identities[0] == "ca.example"
    assert len(identities) <= 20
    assert all(each.isascii() and each.isprintable() for each in identities)


@pytest.mark.parametrize("wrong", ["ca.example", 7, None, {"a": 1}])
def test_identities_that_are_no_list_are_none(wrong: object) -> None:
    place = "https://ca.example/x"
    meta = {"caaIdentities": wrong}
    said = {"newNonce": place, "newAccount": place, "newOrder": place, "meta": meta}
    assert Directory.read(json.dumps(said).encode()).meta.caa_identities == ()
