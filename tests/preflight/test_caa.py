"""CAA records found by climbing, and what is told of them."""

from __future__ import annotations

import pytest

from proxygen.dns.answers import LookupFailure, LookupResult, Reply, ReplyKind
from proxygen.names.causes import cause
from proxygen.names.findings import finding_sentence
from proxygen.preflight import Asked, AuthorityIdentity
from tests.preflight.standins import NAME, PRIVATE_CA, Dns, evidence_found, leading_to, only, told

OURS, THEIRS = '0 issue "ca.test"', '0 issue "other.test"'
HERE = "192.0.2.1"


def with_caa(**said: object) -> Dns:
    """Return a DNS with CAA answers by name: ``www`` and ``shop`` are the first labels."""
    names = {"www": NAME, "shop": "shop.example", "example": "example"}
    dns = leading_to(HERE)
    dns.said |= {(names[each], "CAA"): answer for each, answer in said.items()}
    return dns


def climbed(dns: Dns) -> list[str]:
    """Return the names that were asked for CAA records."""
    return [name for name, rdtype in dns.asked if rdtype == "CAA"]


def test_it_is_climbed_to_the_first_records_and_never_to_the_root() -> None:
    dns = with_caa(shop=(THEIRS,), example=(OURS,))
    evidence = evidence_found(dns, addresses=(HERE,))
    assert climbed(dns) == [NAME, "shop.example"]
    assert evidence.caa == (THEIRS,)
    assert told(evidence) == [("caa", True)]
    assert only(evidence).get("record") == '0 issue "ca.test"'
    assert finding_sentence(only(evidence)) == (
        'the CAA records of shop.example do not allow ca.test (0 issue "other.test"):'
        " ca.test is not among them"
    )
    empty = with_caa()
    assert not evidence_found(empty, addresses=(HERE,)).findings
    assert climbed(empty) == [NAME, "shop.example", "example"]


def test_records_of_the_name_itself_hide_those_above() -> None:
    assert not evidence_found(with_caa(www=(OURS,), shop=(THEIRS,)), addresses=(HERE,)).findings


def failing(trouble: LookupFailure = LookupFailure.NONE, **more: object) -> LookupResult:
    """Return a look for CAA that failed."""
    return LookupResult("shop.example", "CAA", zone="shop.example", failure=trouble, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (
            failing(LookupFailure.SERVFAIL, because=(cause("answers", rcode="SERVFAIL"),)),
            [("caa-lookup", True)],
        ),
        (failing(LookupFailure.SERVERS_SILENT), [("caa-lookup", True)]),
        (failing(LookupFailure.SERVERS_LAME), [("caa-lookup", True)]),
        (failing(dnssec=cause("unsigned", type="CAA")), [("caa-lookup", True)]),
        (failing(LookupFailure.CANNOT_LOOK), [("caa-lookup", False)]),
        (failing(LookupFailure.NX_DOMAIN), []),
        (failing(LookupFailure.NO_DELEGATION), []),
    ],
    ids=lambda each: str(each.failure or "dnssec") if isinstance(each, LookupResult) else "",
)
def test_a_lookup_that_fails_above_is_refused_as_nobody_knows_what_it_says(
    found: LookupResult, codes: list[tuple[str, bool]]
) -> None:
    dns = with_caa(shop=found, example=(OURS,))
    evidence = evidence_found(dns, addresses=(HERE,))
    assert told(evidence) == codes
    assert ("example" in climbed(dns)) is not codes
    assert all(each.get("domain") == "shop.example" for each in evidence.findings)


def test_nothing_is_judged_for_an_authority_that_does_not_tell_its_name() -> None:
    asked = Asked(
        "shop.example", NAME, "http-01", (AuthorityIdentity("https://ca.test/directory"),)
    )
    evidence = evidence_found(with_caa(www=(THEIRS,)), asked, addresses=(HERE,))
    assert not evidence.findings
    assert evidence.caa == (THEIRS,)
    failed = evidence_found(with_caa(www=failing(LookupFailure.SERVFAIL)), asked, addresses=(HERE,))
    assert told(failed) == [("caa-lookup", False)]
    nobody = evidence_found(
        with_caa(www=(THEIRS,)), Asked("o", NAME, "http-01", ()), addresses=(HERE,)
    )
    assert not nobody.findings


def test_the_first_authority_decides() -> None:
    second = AuthorityIdentity("https://other.test/directory", ("other.test",))
    for authorities, codes in (
        ((PRIVATE_CA, second), [("caa", True)]),
        ((second, PRIVATE_CA), []),
    ):
        asked = Asked("shop.example", NAME, "http-01", authorities)
        assert told(evidence_found(with_caa(www=(THEIRS,)), asked, addresses=(HERE,))) == codes


def test_the_challenge_and_the_account_must_suit() -> None:
    by_dns = '0 issue "ca.test; validationmethods=dns-01"'
    other = '0 issue "ca.test; accounturi=https://ca.test/account/2"'
    for record, why in (
        (by_dns, cause("method", challenge="http-01")),
        (other, cause("account", account="https://ca.test/account/1")),
    ):
        evidence = evidence_found(with_caa(www=(record,)), addresses=(HERE,))
        assert only(evidence).because == (why,)


def test_where_servers_differ_none_of_them_may_forbid_it() -> None:
    replies = (Reply("ns1", ReplyKind.ANSWER, (OURS,)), Reply("ns2", ReplyKind.ANSWER, (THEIRS,)))
    found = LookupResult(NAME, "CAA", (OURS,), zone="shop.example", replies=replies)
    assert told(evidence_found(with_caa(www=found), addresses=(HERE,))) == [("caa", True)]
