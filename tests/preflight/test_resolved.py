"""What A and AAAA records show."""

from __future__ import annotations

import pytest

from proxygen.dns.answers import Found, Kind, Reply, Trouble
from proxygen.names.causes import cause
from proxygen.names.findings import because, sentence
from proxygen.preflight import Beacon
from tests.preflight.standins import NAME, Dns, looked, only, right, told, web, wrong

REFUSED = (cause("server", cause("refused"), server="ns1"),)
UNSIGNED = cause("unsigned", type="A")
SILENT = (Reply("ns1 (192.0.2.53)", Kind.SILENT, why=cause("no-answer", seconds="3")),)


def in_trouble(trouble: Trouble, rdtype: str = "A", **more: object) -> Found:
    """Return that a look ended in trouble."""
    return Found(NAME, rdtype, zone="shop.example", trouble=trouble, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "grave", "words"),
    [
        pytest.param(
            in_trouble(Trouble.NX_DOMAIN), True,
            "www.shop.example does not exist in the zone shop.example", id="nxdomain",
        ),
        pytest.param(
            in_trouble(Trouble.NX_DOMAIN, chain=("gone.hoster.example",)), True,
            "gone.hoster.example does not exist in the zone shop.example", id="dangling alias",
        ),
        pytest.param(
            in_trouble(Trouble.NO_DELEGATION), True,
            "shop.example is not registered, or not delegated to any name server",
            id="not registered",
        ),
        pytest.param(
            in_trouble(Trouble.SERVERS_SILENT, replies=SILENT), True,
            "the name servers of shop.example do not answer (ns1 (192.0.2.53))", id="silent",
        ),
        pytest.param(
            in_trouble(Trouble.SERVERS_LAME, because=REFUSED), True,
            "the name servers of shop.example do not serve the zone (ns1: connection refused)",
            id="lame",
        ),
        pytest.param(
            in_trouble(Trouble.SERVFAIL, because=(cause("answers", rcode="SERVFAIL"),)), True,
            "the name servers answer with an error: answers SERVFAIL", id="servfail",
        ),
        pytest.param(
            in_trouble(Trouble.CNAME_LOOP, chain=("b.example", NAME)), True,
            f"the CNAME records form a loop ({NAME} → b.example → {NAME})", id="circle",
        ),
        pytest.param(
            in_trouble(Trouble.CHAIN_TOO_LONG, chain=("b.example", "c.example")), True,
            f"there are too many CNAME records in a chain ({NAME} → b.example → c.example)",
            id="too long",
        ),
        pytest.param(
            Found(NAME, "A", ("192.0.2.1",), zone="shop.example", dnssec=UNSIGNED), True,
            "the DNSSEC signatures of shop.example are invalid: the A record is not signed",
            id="dnssec",
        ),
        pytest.param(
            in_trouble(Trouble.CANNOT_LOOK, because=(cause("no-resolvers"),)), False,
            "it could not be looked up from here: no resolver is configured",
            id="our own trouble",
        ),
        pytest.param(
            Found(NAME, "A", zone="shop.example"), True,
            "the name has neither an A nor an AAAA record", id="no address",
        ),
    ],
)  # fmt: skip
def test_a_name_without_addresses_is_told_once_and_nothing_else_is_asked(
    found: Found, grave: bool, words: str
) -> None:
    dns = Dns({(NAME, "A"): found, (NAME, "AAAA"): found})
    evidence = looked(dns)
    assert sentence(only(evidence)) == words
    assert only(evidence).grave is grave
    assert dns.asked == [(NAME, "A"), (NAME, "AAAA")]
    assert evidence.chain == found.chain


def test_a_family_in_trouble_is_no_reason_to_wait_while_the_other_has_addresses() -> None:
    dns = Dns({(NAME, "A"): ("192.0.2.1",), (NAME, "AAAA"): in_trouble(Trouble.SERVFAIL, "AAAA")})
    assert told(looked(dns, addresses=("192.0.2.1",))) == [("servfail", False)]
    dns.said[NAME, "A"] = ()
    assert told(looked(dns, addresses=("192.0.2.1",))) == [("servfail", True)]


def replies(*said: tuple[str, ...]) -> tuple[Reply, ...]:
    """Return what ns1, ns2 … say; nothing is that there is none."""
    kinds = (Kind.ANSWER if each else Kind.NO_DATA for each in said)
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
    found = Found(NAME, "A", given[0].records, zone="shop.example", replies=given)
    none = Found(NAME, "AAAA", zone="shop.example", replies=replies((), ()))
    with (
        web(here[0], beacon.port, right),
        web(here[1], beacon.port, right),
        web(f"{network}9", beacon.port, wrong),
    ):
        evidence = looked(
            Dns({(NAME, "A"): found, (NAME, "AAAA"): none}), addresses=here, beacon=beacon
        )
    assert told(evidence) == codes
    if codes:
        assert f"ns1: {network}1; ns2: " in because(evidence.findings[0].because)


def test_one_server_without_the_name_matters_although_the_others_are_right() -> None:
    given = (Reply("ns1", Kind.ANSWER, ("192.0.2.1",)), Reply("ns2", Kind.NX_DOMAIN))
    found = Found(NAME, "A", ("192.0.2.1",), zone="shop.example", replies=given)
    none = Found(NAME, "AAAA", zone="shop.example", replies=replies((), ()))
    dns = Dns({(NAME, "A"): found, (NAME, "AAAA"): none})
    evidence = looked(dns, addresses=("192.0.2.1",))
    assert told(evidence) == [("differing", True)]
    assert only(evidence).because == (
        cause("shows", server="ns1", records="192.0.2.1"),
        cause("shows-no-name", server="ns2"),
    )


def test_a_server_that_answered_but_one_question_is_not_said_to_have_no_address() -> None:
    given = (*replies(("192.0.2.1",), ("192.0.2.2",)), Reply("ns3", Kind.SILENT))
    found = Found(NAME, "A", ("192.0.2.1",), zone="shop.example", replies=given)
    none = Found(NAME, "AAAA", zone="shop.example", replies=replies((), (), ()))
    dns = Dns({(NAME, "A"): found, (NAME, "AAAA"): none})
    assert told(looked(dns, addresses=("192.0.2.1", "192.0.2.2"))) == [("differing", False)]


def test_what_is_told_of_thousands_of_records_is_bounded() -> None:
    many = tuple(f"192.0.{number // 250}.{number % 250}" for number in range(5000))
    evidence = looked(Dns({(NAME, "A"): many}))
    assert len(evidence.addresses) == 8
    assert len(repr(evidence)) < 10_000
