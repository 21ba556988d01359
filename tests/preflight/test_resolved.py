"""What A and AAAA records show."""

from __future__ import annotations

import pytest

from proxygen.dns.answers import LookupFailure, LookupResult, Reply, ReplyKind
from proxygen.names.causes import cause
from proxygen.names.findings import cause_words, finding_sentence
from proxygen.preflight import Beacon
from tests.preflight.standins import NAME, Dns, evidence_found, only, right, told, web, wrong

REFUSED = (cause("server", cause("refused"), server="ns1"),)
UNSIGNED = cause("unsigned", type="A")
SILENT = (Reply("ns1 (192.0.2.53)", ReplyKind.SILENT, why=cause("no-answer", seconds="3")),)


def failed_lookup(trouble: LookupFailure, rdtype: str = "A", **more: object) -> LookupResult:
    """Return that a look ended in trouble."""
    return LookupResult(NAME, rdtype, zone="shop.example", failure=trouble, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "grave", "words"),
    [
        pytest.param(
            failed_lookup(LookupFailure.NX_DOMAIN), True,
            "www.shop.example does not exist in the zone shop.example", id="nxdomain",
        ),
        pytest.param(
            failed_lookup(LookupFailure.NX_DOMAIN, chain=("gone.hoster.example",)), True,
            "gone.hoster.example does not exist in the zone shop.example", id="dangling alias",
        ),
        pytest.param(
            failed_lookup(LookupFailure.NO_DELEGATION), True,
            "shop.example is not registered, or not delegated to any name server",
            id="not registered",
        ),
        pytest.param(
            failed_lookup(LookupFailure.SERVERS_SILENT, replies=SILENT), True,
            "the name servers of shop.example do not answer (ns1 (192.0.2.53))", id="silent",
        ),
        pytest.param(
            failed_lookup(LookupFailure.SERVERS_LAME, because=REFUSED), True,
            "the name servers of shop.example do not serve the zone (ns1: connection refused)",
            id="lame",
        ),
        pytest.param(
            failed_lookup(LookupFailure.SERVFAIL, because=(cause("answers", rcode="SERVFAIL"),)),
                True,
            "the name servers answer with an error: answers SERVFAIL", id="servfail",
        ),
        pytest.param(
            failed_lookup(LookupFailure.CNAME_LOOP, chain=("b.example", NAME)), True,
            f"the CNAME records form a loop ({NAME} → b.example → {NAME})", id="circle",
        ),
        pytest.param(
            failed_lookup(LookupFailure.CHAIN_TOO_LONG, chain=("b.example", "c.example")), True,
            f"there are too many CNAME records in a chain ({NAME} → b.example → c.example)",
            id="too long",
        ),
        pytest.param(
            LookupResult(NAME, "A", ("192.0.2.1",), zone="shop.example", dnssec=UNSIGNED), True,
            "the DNSSEC signatures of shop.example are invalid: the A record is not signed",
            id="dnssec",
        ),
        pytest.param(
            failed_lookup(LookupFailure.CANNOT_LOOK, because=(cause("no-resolvers"),)), False,
            "it could not be looked up from here: no resolver is configured",
            id="our own trouble",
        ),
        pytest.param(
            LookupResult(NAME, "A", zone="shop.example"), True,
            "the name has neither an A nor an AAAA record", id="no address",
        ),
    ],
)  # fmt: skip
def test_a_name_without_addresses_is_told_once_and_nothing_else_is_asked(
    found: LookupResult, grave: bool, words: str
) -> None:
    dns = Dns({(NAME, "A"): found, (NAME, "AAAA"): found})
    evidence = evidence_found(dns)
    assert finding_sentence(only(evidence)) == words
    assert only(evidence).grave is grave
    assert dns.asked == [(NAME, "A"), (NAME, "AAAA")]
    assert evidence.chain == found.chain


def test_a_family_in_trouble_is_no_reason_to_wait_while_the_other_has_addresses() -> None:
    dns = Dns(
        {(NAME, "A"): ("192.0.2.1",), (NAME, "AAAA"): failed_lookup(LookupFailure.SERVFAIL, "AAAA")}
    )
    assert told(evidence_found(dns, addresses=("192.0.2.1",))) == [("servfail", False)]
    dns.said[NAME, "A"] = ()
    assert told(evidence_found(dns, addresses=("192.0.2.1",))) == [("servfail", True)]


def replies(*said: tuple[str, ...]) -> tuple[Reply, ...]:
    """Return what ns1, ns2 … say; nothing is that there is none."""
    kinds = (ReplyKind.ANSWER if each else ReplyKind.NO_DATA for each in said)
    return tuple(
        Reply(f"ns{number}", kind, each)
        for number, (kind, each) in enumerate(zip(kinds, said, strict=True), 1)
    )


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        pytest.param(
            (("{0}1",), ("{0}2",)), [("differing", False)], id="each leads here, as of a balancer"
        ),
        pytest.param(
            (("{0}1",), ("{0}9",)), [("differing", True), ("elsewhere", True)], id="one is old"
        ),
        pytest.param((("{0}1",), ()), [("differing", True)], id="one has none yet"),
        pytest.param(
            (("{0}1",), ("CNAME old.example",)), [("differing", True)], id="one has an alias"
        ),
        pytest.param((("{0}1",), ("{0}1",)), [], id="they agree"),
    ],
)
def test_servers_that_differ_are_all_believed(
    network: str,
    beacon: Beacon,
    said: tuple[tuple[str, ...], ...],
    codes: list[tuple[str, bool]],
) -> None:
    here = f"{network}1", f"{network}2"
    given = replies(*(tuple(each.format(network) for each in one) for one in said))
    found = LookupResult(NAME, "A", given[0].records, zone="shop.example", replies=given)
    none = LookupResult(NAME, "AAAA", zone="shop.example", replies=replies((), ()))
    with (
        web(here[0], beacon.port, right),
        web(here[1], beacon.port, right),
        web(f"{network}9", beacon.port, wrong),
    ):
        evidence = evidence_found(
            Dns({(NAME, "A"): found, (NAME, "AAAA"): none}), addresses=here, beacon=beacon
        )
    assert told(evidence) == codes
    if codes:
        assert f"ns1: {network}1; ns2: " in cause_words(evidence.findings[0].because)


def test_one_server_without_the_name_matters_although_the_others_are_right() -> None:
    given = (Reply("ns1", ReplyKind.ANSWER, ("192.0.2.1",)), Reply("ns2", ReplyKind.NX_DOMAIN))
    found = LookupResult(NAME, "A", ("192.0.2.1",), zone="shop.example", replies=given)
    none = LookupResult(NAME, "AAAA", zone="shop.example", replies=replies((), ()))
    dns = Dns({(NAME, "A"): found, (NAME, "AAAA"): none})
    evidence = evidence_found(dns, addresses=("192.0.2.1",))
    assert told(evidence) == [("differing", True)]
    assert only(evidence).because == (
        cause("shows", server="ns1", records="192.0.2.1"),
        cause("shows-no-name", server="ns2"),
    )


def test_a_server_that_answered_but_one_question_is_not_said_to_have_no_address() -> None:
    given = (*replies(("192.0.2.1",), ("192.0.2.2",)), Reply("ns3", ReplyKind.SILENT))
    found = LookupResult(NAME, "A", ("192.0.2.1",), zone="shop.example", replies=given)
    none = LookupResult(NAME, "AAAA", zone="shop.example", replies=replies((), (), ()))
    dns = Dns({(NAME, "A"): found, (NAME, "AAAA"): none})
    assert told(evidence_found(dns, addresses=("192.0.2.1", "192.0.2.2"))) == [("differing", False)]


def test_what_is_told_of_thousands_of_records_is_bounded() -> None:
    many = tuple(f"192.0.{number // 250}.{number % 250}" for number in range(5000))
    evidence = evidence_found(Dns({(NAME, "A"): many}))
    assert len(evidence.addresses) == 8
    assert len(repr(evidence)) < 10_000
