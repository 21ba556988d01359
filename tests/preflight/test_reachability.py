"""Whether names lead here: real web servers on loopback addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxygen.names.causes import cause
from proxygen.names.findings import cause_words
from proxygen.preflight import Asked, AuthorityIdentity, Beacon
from proxygen.preflight.fetching import Fetched
from proxygen.preflight.findings import finding
from proxygen.preflight.reachability import Lead, unasked_lead, weigh_leads
from tests.preflight.standins import (
    LETSENCRYPT,
    NAME,
    Dns,
    evidence_found,
    http,
    leading_to,
    only,
    reply,
    right,
    told,
    web,
    wrong,
)

NO_ROUTE = "fe80::1"
"""Without a scope, no host has a route to it."""


def test_a_name_whose_addresses_all_answer_is_ready(network: str, beacon: Beacon) -> None:
    here, there = f"{network}1", f"{network}2"
    with web(here, beacon.port, right) as one, web(there, beacon.port, right):
        evidence = evidence_found(leading_to(here, there), addresses=(here, there), beacon=beacon)
    assert not evidence.findings
    assert evidence.addresses == (here, there)
    assert f"Host: {NAME}:{beacon.port}\n" in one.seen[0]


def test_an_address_that_is_not_ours_but_leads_here_is_told_and_no_reason_to_wait(
    network: str, beacon: Beacon
) -> None:
    proxy = f"{network}1"
    with web(proxy, beacon.port, right):
        evidence = evidence_found(leading_to(proxy), addresses=(f"{network}2",), beacon=beacon)
        unknown = evidence_found(leading_to(proxy), beacon=beacon)
    assert told(evidence) == [("through-proxy", False)]
    assert not unknown.findings  # who does not know the own addresses knows no foreign ones


def test_a_stated_address_without_connection_is_believed_as_nat_may_have_no_way_back(
    network: str, beacon: Beacon
) -> None:
    evidence = evidence_found(leading_to(f"{network}1"), addresses=(f"{network}1",), beacon=beacon)
    assert told(evidence) == [("not-fetched", False)]
    assert only(evidence).because == (cause("no-hairpin", cause("refused")),)
    assert "behind NAT" in cause_words(only(evidence).because)


@pytest.mark.parametrize(
    ("asked", "stated", "code"),
    [
        pytest.param(http(), True, "not-answered", id="the model has the address"),
        pytest.param(replace(http(), owner="global"), False, "elsewhere", id="the global name"),
    ],
)
def test_a_router_that_answers_in_place_of_this_host_is_told_with_what_to_write(
    network: str, beacon: Beacon, asked: Asked, stated: bool, code: str
) -> None:
    outside = f"{network}1"
    with web(outside, beacon.port, lambda _: reply("200 OK", "Router login")):
        evidence = evidence_found(
            leading_to(outside),
            asked,
            addresses=(outside,) if stated else (),
            local=("192.168.1.2",),
            public=lambda address: not address.startswith("192.168."),
            beacon=beacon,
        )
    assert told(evidence) == [(code, True)]
    words = cause_words(only(evidence).because)
    assert "behind NAT" in words
    assert "`preflight: false` below `acme`" in words


def test_a_host_with_a_public_address_hears_nothing_of_nat(network: str, beacon: Beacon) -> None:
    with web(f"{network}1", beacon.port, wrong):
        evidence = evidence_found(
            leading_to(f"{network}1"),
            replace(http(), owner="global"),
            local=(f"{network}2",),
            beacon=beacon,
        )
    assert told(evidence) == [("elsewhere", True)]
    assert "NAT" not in cause_words(only(evidence).because)


def test_without_a_connection_nothing_is_known_where_no_address_is(
    network: str, beacon: Beacon
) -> None:
    evidence = evidence_found(leading_to(f"{network}1"), beacon=beacon)
    assert told(evidence) == [("not-fetched", False)]


def test_an_interface_is_not_behind_nat(network: str, beacon: Beacon) -> None:
    address = f"{network}1"
    for stated in ((), (address,)):
        evidence = evidence_found(
            leading_to(address), addresses=stated, local=(address,), beacon=beacon
        )
        assert told(evidence) == [("not-answered", True)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(reply("404 Not Found"), "404 Not Found", id="no such file"),
        pytest.param(reply("200 OK", "hello"), "different content", id="different content"),
        pytest.param(reply("200 OK"), "different content", id="nothing in it"),
        pytest.param(reply("503 x", "", "Server: x/1"), "Service Unavailable (x/1)", id="503"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", "ended before", id="half an answer"),
        pytest.param(b"", "ended before", id="no answer"),
        pytest.param(
            reply("302 Found", "", "Location: ftp://files.example/"),
            "it redirects to ftp://files.example/, which is not an HTTP URL",
            id="a redirect elsewhere",
        ),
    ],
)
def test_a_wrong_answer_at_our_address_is_grave(
    network: str, beacon: Beacon, answer: bytes, words: str
) -> None:
    address = f"{network}1"
    with web(address, beacon.port, lambda _: answer):
        evidence = evidence_found(leading_to(address), addresses=(address,), beacon=beacon)
    assert told(evidence) == [("not-answered", True)]
    assert words in cause_words(only(evidence).because)


def test_another_server_is_told_with_what_it_answers(network: str, beacon: Beacon) -> None:
    with web(f"{network}1", beacon.port, wrong):
        evidence = evidence_found(
            leading_to(f"{network}1"), addresses=(f"{network}2",), beacon=beacon
        )
    assert told(evidence) == [("elsewhere", True)]
    assert dict(only(evidence).facts) == {"type": "A", "address": f"{network}1"}
    answered = cause("answered-by", status="404 Not Found", server="Apache")
    assert only(evidence).because == (answered,)


@pytest.mark.parametrize("known", ["stated", "on an interface"])
def test_a_foreign_address_without_connection_is_elsewhere(
    network: str, beacon: Beacon, known: str
) -> None:
    ours = (f"{network}2",)
    evidence = evidence_found(
        leading_to(f"{network}1"),
        addresses=ours if known == "stated" else (),
        local=ours if known != "stated" else (),
        beacon=beacon,
    )
    assert told(evidence) == [("elsewhere", True)]
    assert only(evidence).because == (cause("refused"),)


def test_a_private_address_is_told_and_never_asked(network: str, beacon: Beacon) -> None:
    address = f"{network}1"
    with web(address, beacon.port, right) as server:
        evidence = evidence_found(
            leading_to(address), beacon=beacon, local=(address,), public=lambda _: False
        )
    assert told(evidence) == [("private", True)]
    assert not server.seen


def test_a_private_address_that_was_stated_is_asked(network: str, beacon: Beacon) -> None:
    address = f"{network}1"
    with web(address, beacon.port, right) as server:
        evidence = evidence_found(
            leading_to(address), addresses=(address,), beacon=beacon, public=lambda _: False
        )
    assert not evidence.findings
    assert server.seen


@pytest.mark.parametrize(
    ("directory", "told_of"),
    [
        pytest.param(LETSENCRYPT, [("private", True)], id="seen from the internet"),
        pytest.param("https://ca.test/directory", [], id="seen from beside us"),
    ],
)
def test_a_private_address_of_an_interface_serves_private_authorities(
    directory: str, told_of: list[tuple[str, bool]]
) -> None:
    address = "10.255.255.1"
    asked = http(authority=AuthorityIdentity(directory))
    evidence = evidence_found(leading_to(address), asked, local=(address,), public=lambda _: False)
    assert told(evidence) == told_of


@pytest.mark.parametrize(
    ("stated", "told_of"),
    [
        pytest.param((NO_ROUTE,), [], id="ours"),
        pytest.param(("2001:db8::1",), [("elsewhere", True)], id="ours are others"),
        pytest.param(("192.0.2.1",), [("elsewhere", True)], id="none of ours is of the family"),
        pytest.param((), [("elsewhere", True)], id="none is known"),
    ],
)
def test_without_a_route_what_was_stated_decides(
    beacon: Beacon, stated: tuple[str, ...], told_of: list[tuple[str, bool]]
) -> None:
    evidence = evidence_found(leading_to(NO_ROUTE), addresses=stated, beacon=beacon)
    assert told(evidence) == told_of


@pytest.mark.parametrize("forgotten", [NO_ROUTE, "::1"])
def test_a_forgotten_aaaa_record_is_found_although_the_a_record_is_right(
    network: str, beacon: Beacon, forgotten: str
) -> None:
    """There is no way to ask it from here, or nobody answers who could be us."""
    here = f"{network}1"
    for stated in ((here,), ()):
        with web(here, beacon.port, right):
            evidence = evidence_found(
                leading_to(here, forgotten), addresses=stated, local=(here,), beacon=beacon
            )
        assert told(evidence) == [("elsewhere", True)]
        assert only(evidence).get("type") == "AAAA"
        assert cause_words(only(evidence).because) == "no IPv6 here"


def test_a_host_with_ipv6_of_its_own_waits_for_no_route(beacon: Beacon) -> None:
    evidence = evidence_found(leading_to(NO_ROUTE), local=("2001:db8::7",), beacon=beacon)
    assert told(evidence) == [("not-fetched", False)]


def test_an_ipv6_proxy_in_front_of_a_host_without_ipv6_is_asked(
    network: str, beacon: Beacon
) -> None:
    here = f"{network}1"
    with web(here, beacon.port, right), web("::1", beacon.port, right):
        evidence = evidence_found(leading_to(here, "::1"), local=(here,), beacon=beacon)
    assert not [each for each in evidence.findings if each.grave]


@pytest.mark.parametrize(
    ("stated", "told_of"),
    [
        pytest.param(("192.0.2.1",), [], id="ours"),
        pytest.param(("192.0.2.2",), [("elsewhere", True)], id="ours are others"),
        pytest.param((), [("not-fetched", False)], id="none is known"),
    ],
)
def test_without_a_beacon_the_dns_alone_is_judged(
    stated: tuple[str, ...], told_of: list[tuple[str, bool]]
) -> None:
    assert told(evidence_found(leading_to("192.0.2.1"), addresses=stated)) == told_of


def test_one_wrong_ipv6_address_is_grave_whatever_ipv4_answers(
    network: str, beacon: Beacon
) -> None:
    here = f"{network}1"
    with web(here, beacon.port, right), web("::1", beacon.port, wrong):
        evidence = evidence_found(leading_to(here, "::1"), addresses=(here,), beacon=beacon)
    assert told(evidence) == [("elsewhere", True)]
    assert only(evidence).get("type") == "AAAA"


def test_authorities_go_on_with_ipv4_where_ipv6_gives_no_connection(
    network: str, beacon: Beacon
) -> None:
    here = f"{network}1"
    dns, stated = leading_to(here, "::1"), (here, "2001:db8::1")
    with web(here, beacon.port, right):
        evidence = evidence_found(dns, addresses=stated, beacon=beacon)
    assert told(evidence) == [("elsewhere", False)]
    alone = evidence_found(leading_to("::1"), addresses=stated, beacon=beacon)
    assert told(alone) == [("elsewhere", True)]


GOOD = Fetched(True, True)
DEAD = Lead("2001:db8::1", finding("elsewhere"), Fetched(False, False, "connection refused"))
WRONG = Lead("2001:db8::2", finding("elsewhere"), Fetched(False, True, "404"))
DEAD_4 = Lead("192.0.2.9", finding("elsewhere"), Fetched(False, False, "connection refused"))
PRIVATE = Lead("10.0.0.1", finding("private"))


@pytest.mark.parametrize(
    ("leads", "grave"),
    [
        pytest.param([DEAD, Lead("192.0.2.1", None, GOOD)], False, id="IPv4 instead"),
        pytest.param([DEAD, Lead("2001:db8::9", None, GOOD)], True, id="no other IPv6 instead"),
        pytest.param([DEAD, Lead("192.0.2.1")], True, id="IPv4 was not asked"),
        pytest.param([WRONG, Lead("192.0.2.1", None, GOOD)], True, id="it answers"),
        pytest.param([DEAD_4, Lead("192.0.2.1", None, GOOD)], True, id="any IPv4 may be taken"),
        pytest.param([PRIVATE, Lead("2001:db8::9", None, GOOD)], False, id="private is left out"),
        pytest.param([PRIVATE, WRONG], True, id="nothing is right"),
    ],
)
def test_what_authorities_pass_over_is_no_reason_to_wait(leads: list[Lead], grave: bool) -> None:
    first = weigh_leads(leads)[0].finding
    assert first is not None
    assert first.grave is grave


def test_an_address_for_which_there_was_no_time_is_no_reason_to_wait() -> None:
    (lead,) = weigh_leads([unasked_lead("192.0.2.1")])
    assert lead.finding is not None
    assert not lead.finding.grave


def test_an_address_as_a_name_is_asked_alone_and_nothing_is_looked_up(
    network: str, beacon: Beacon
) -> None:
    address, dns = f"{network}1", Dns()
    with web(address, beacon.port, right) as server:
        evidence = evidence_found(dns, http(address), addresses=(address,), beacon=beacon)
    assert not evidence.findings
    assert evidence.addresses == (address,)
    assert f"Host: {address}:{beacon.port}\n" in server.seen[0]
    assert not dns.asked
    with web(address, beacon.port, wrong):
        evidence = evidence_found(dns, http(address), addresses=(f"{network}2",), beacon=beacon)
    assert told(evidence) == [("not-answered", True)]


def test_so_many_addresses_of_a_family_are_asked_and_the_rest_is_told(
    network: str, beacon: Beacon
) -> None:
    addresses = [f"{network}{number}" for number in range(1, 13)]
    evidence = evidence_found(leading_to(*addresses), addresses=addresses, beacon=beacon)
    assert len(evidence.addresses) == 8
    assert told(evidence) == [("not-fetched", False)] * 8 + [("too-many", False)]
    assert dict(evidence.findings[-1].facts) == {"type": "A", "count": "12", "most": "8"}
