"""Names looked up at resolvers: those the model names, and this host's own."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from dns.message import Message

from proxygen.dns.answers import AnswerSource, LookupFailure, LookupResult, ReplyKind
from proxygen.dns.resolver import Resolver
from proxygen.names.causes import cause
from proxygen.names.findings import cause_words
from tests.causes import why
from tests.dns.scripted import (
    Says,
    Scripted,
    answer,
    asked_for,
    delegating,
    holding,
    rooting,
    silent,
    zone_of,
)
from tests.live.nameserver import FIRST, SECOND, Internet, Recursor
from tests.live.needs import needs


def resolving(resolver: Recursor) -> Resolver:
    """Return what asks one resolver."""
    return Resolver(((resolver.address, resolver.port),))


def resolve(resolver: Recursor, name: str, rdtype: str = "A") -> LookupResult:
    """Look once, without anything kept here."""
    return asyncio.run(resolving(resolver).resolve(name, rdtype))


@needs("named")
def test_a_resolver_gives_records_and_the_chain(resolver: Recursor) -> None:
    found = resolve(resolver, "far.shop.example")
    assert found.records == ("192.0.2.10",)
    assert found.chain == ("alias.shop.example", "www.hoster.test")
    assert (found.failure, found.source, found.dnssec) == ("", AnswerSource.RESOLVERS, None)
    assert [each.server for each in found.replies] == [resolver.address]


@needs("named")
@pytest.mark.parametrize(
    ("name", "trouble", "words"),
    [
        ("no.shop.example", "nxdomain", "shop.example do not know no.shop.example"),
        (
            "a.nobody.example",
            "no-delegation",
            "the name servers of example do not know nobody.example",
        ),
        ("a.nowhere", "no-delegation", "the name servers of . do not know a.nowhere"),
        ("www.lame.example", "servfail", "answers SERVFAIL"),
        ("round.shop.example", "cname-loop", "-> about.shop.example -> round.shop.example"),
        ("c0.shop.example", "chain-too-long", "more than 10 CNAME records"),
    ],
)
def test_trouble_is_told_as_far_as_a_resolver_knows_it(
    resolver: Recursor, name: str, trouble: str, words: str
) -> None:
    found = resolve(resolver, name)
    assert found.failure == trouble
    assert words in cause_words(found.because)
    assert found.records == ()


@needs("named")
@pytest.mark.parametrize("zone", ["expired", "mismatch", "unsigned"])
def test_what_a_resolver_answers_only_without_dnssec_fails_for_its_sake(
    resolver: Recursor, zone: str
) -> None:
    found = resolve(resolver, f"www.{zone}.example")
    assert "answers only without DNSSEC" in why(found.dnssec)
    assert (found.failure, found.records) == ("", ("192.0.2.10",))


@needs("named")
def test_what_is_signed_right_or_not_at_all_is_fine(resolver: Recursor) -> None:
    for zone in ("signed", "shop"):
        assert resolve(resolver, f"www.{zone}.example").dnssec is None


@needs("named")
def test_the_servers_of_a_zone_are_found_through_a_resolver(
    net: Internet, resolver: Recursor
) -> None:
    apex, servers = zone_of(resolving(resolver), "a.b.glueless.example")
    assert apex == "glueless.example"
    assert [each[:2] for each in servers] == [
        ("ns1.hoster.test", net.at(FIRST)),
        ("ns2.hoster.test", net.at(SECOND)),
    ]
    replies = asyncio.run(resolving(resolver).led("www.lagging.example", "A")).replies
    assert [each.records for each in replies] == [("192.0.2.10",), ("192.0.2.99",)]


def resolver_of(*records: str) -> Says:
    """Return a resolver that knows *records*."""
    holds = holding("example", *records)

    def says(query: Message) -> Message:
        said = holds(query)
        assert isinstance(said, Message)
        said.flags |= dns.flags.RA
        said.flags &= ~dns.flags.AA
        return said

    return says


def failing(query: Message) -> Message:
    """Fail, as resolvers do that can reach nobody."""
    return answer(query, rcode=dns.rcode.SERVFAIL)


def refusing(query: Message) -> Message:
    """Refuse, as resolvers do that do not know who asks."""
    return answer(query, rcode=dns.rcode.REFUSED)


@pytest.mark.parametrize("first", [failing, refusing, silent, lambda query: b"\0\0"])
def test_the_next_resolver_is_asked_when_one_does_not_serve(
    network: str, port: int, first: Says
) -> None:
    one, two = f"{network}1", f"{network}2"
    with Scripted(port, {one: first, two: resolver_of("www.a.example 60 A 192.0.2.1")}) as servers:
        asking = Resolver(((one, port), (two, port)), patience=0.1)
        found = asyncio.run(asking.resolve("www.a.example", "A"))
    assert (found.records, found.failure) == (("192.0.2.1",), "")
    assert all(flags & dns.flags.RD for _, _, _, flags in servers.asked)


def test_nobody_to_ask_is_this_installations_trouble(network: str, port: int) -> None:
    with Scripted(port, {f"{network}1": silent}):
        asking = Resolver(((f"{network}1", port), (f"{network}2", port)), patience=0.05)
        found = asyncio.run(asking.resolve("www.a.example", "A"))
    assert found.failure is LookupFailure.CANNOT_LOOK
    assert f"{network}1: no answer" in cause_words(found.because)
    assert f"{network}2: connection refused" in cause_words(found.because)


def test_a_resolver_that_waits_for_dead_servers_is_not_dead_itself(network: str, port: int) -> None:
    lives = resolver_of("www.b.example 60 A 192.0.2.2")

    def says(query: Message) -> bytes | Message | None:
        return None if "a.example" in asked_for(query)[0] else lives(query)

    with Scripted(port, {f"{network}1": says}):
        asking = Resolver(((f"{network}1", port),), patience=0.05)
        for number in range(5):
            found = asyncio.run(asking.resolve(f"www{number}.a.example", "A"))
            assert found.failure is LookupFailure.SERVERS_SILENT
        assert asyncio.run(asking.resolve("www.b.example", "A")).records == ("192.0.2.2",)


def test_without_a_root_server_the_resolvers_of_this_host_are_asked_and_that_is_kept(
    network: str, port: int
) -> None:
    seconds = 0.0
    root, own = f"{network}1", f"{network}2"
    with Scripted(port, {root: refusing, own: resolver_of("a.example 60 A 192.0.2.1")}) as servers:
        asking = Resolver(
            roots=(root, f"{network}9"),
            port=port,
            ticks=lambda: seconds,
            system=lambda: ((own, port),),
        )
        found = asyncio.run(asking.resolve("a.example", "A"))
        assert (found.records, found.source) == (("192.0.2.1",), AnswerSource.SYSTEM)
        asked = len(servers.names(root))
        seconds = 500.0
        assert asyncio.run(asking.resolve("a.example", "AAAA")).source is AnswerSource.SYSTEM
        assert len(servers.names(root)) == asked
        seconds = 700.0
        servers.says[root] = rooting(root, holding("example", "a.example 60 A 192.0.2.9"))
        again = asyncio.run(asking.resolve("a.example", "A"))
    assert (again.records, again.source) == (("192.0.2.9",), AnswerSource.AUTHORITATIVE)


def test_without_roots_and_resolvers_nothing_can_be_looked_up(network: str, port: int) -> None:
    asking = Resolver(roots=(f"{network}1",), port=port, system=lambda: ())
    found = asyncio.run(asking.resolve("a.example", "A"))
    assert (found.failure, found.because) == ("cannot-look", (cause("no-resolvers"),))
    assert zone_of(asking, "a.example") == ("", [])


def test_a_loop_of_aliases_in_one_answer_is_told(network: str, port: int) -> None:
    def says(query: Message) -> Message:
        loop = ("a.example 60 CNAME b.example.", "b.example 60 CNAME a.example.")
        return answer(query, *loop)

    with Scripted(port, {f"{network}1": says}):
        found = asyncio.run(Resolver(((f"{network}1", port),)).resolve("a.example", "A"))
    assert found.failure is LookupFailure.CNAME_LOOP


def test_where_the_target_of_an_alias_fails_the_alias_is_told(network: str, port: int) -> None:
    """A resolver that follows it fails as a whole; who asks for the alias alone sees which."""
    alias = resolver_of("a.example 60 CNAME b.test.")

    def says(query: Message) -> bytes | Message | None:
        return alias(query) if asked_for(query) == ("a.example", "CNAME") else failing(query)

    with Scripted(port, {f"{network}1": says}):
        found = asyncio.run(Resolver(((f"{network}1", port),)).resolve("a.example", "A"))
    assert (found.failure, found.chain, found.records) == (LookupFailure.SERVFAIL, ("b.test",), ())
    assert "answers SERVFAIL" in cause_words(found.because)


def test_a_server_that_is_no_resolver_is_not_believed(network: str, port: int) -> None:
    upward = delegating("", {"a.root.test": "192.0.2.1"})
    with Scripted(port, {f"{network}1": upward}):
        found = asyncio.run(Resolver(((f"{network}1", port),)).resolve("a.example", "A"))
    assert found.failure is LookupFailure.CANNOT_LOOK
    assert found.replies[0].kind is ReplyKind.REFUSED


def test_silent_root_servers_cost_many_names_no_more_than_one(network: str, port: int) -> None:
    roots = tuple(f"{network}{number}" for number in range(10, 23))
    own = f"{network}2"
    names = [f"www.z{number}.example" for number in range(100)]
    says = resolver_of(*(f"{each} 60 A 192.0.2.1" for each in names))
    with Scripted(port, {own: says, **dict.fromkeys(roots, silent)}) as servers:
        asking = Resolver(
            roots=roots, port=port, patience=1.0, within=60.0, system=lambda: ((own, port),)
        )

        async def all_of_them() -> list[LookupResult]:
            return await asyncio.gather(*(asking.resolve(each, "A") for each in names))

        found = asyncio.run(all_of_them())
    assert {each.source for each in found} == {AnswerSource.SYSTEM}
    assert all(each.records for each in found)
    assert len([at for at, *_ in servers.asked if at != own]) <= 13


@needs("named")
def test_a_resolver_learns_nothing_of_a_record_that_is_still_to_be_written(
    resolver: Recursor,
) -> None:
    name = "_acme-challenge.no.shop.example"
    found = resolve(resolver, name, "TXT")
    assert (found.failure, found.zone, found.source) == ("nxdomain", "shop.example", "resolvers")
    question = dns.message.make_query(name, "TXT", flags=0)
    kept = dns.query.udp(question, resolver.address, timeout=5, port=resolver.port)
    assert kept.rcode() != dns.rcode.NXDOMAIN
    resolve(resolver, "no.shop.example", "TXT")
    question = dns.message.make_query("no.shop.example", "TXT", flags=0)
    kept = dns.query.udp(question, resolver.address, timeout=5, port=resolver.port)
    assert kept.rcode() == dns.rcode.NXDOMAIN


def test_a_name_server_that_is_no_host_is_not_asked_for(network: str, port: int) -> None:
    """Names from the DNS may hold any octets; as text they may be longer than a name can be."""
    octets = ".".join("\\001" * 60 for _ in range(4))

    def says(query: Message) -> Message:
        name, rdtype = asked_for(query)
        records = {
            "SOA": f"{name} 60 SOA ns.test. host.test. 1 3600 600 86400 60",
            "NS": f"{name} 60 NS {octets}.",
            "A": f"{name} 60 A {network}2",
        }
        made = answer(query, *filter(None, [records.get(rdtype)]))
        made.flags |= dns.flags.RA
        return made

    with Scripted(port, {f"{network}1": says}) as servers:
        asking = Resolver([(f"{network}1", port)], port=port, patience=0.5)
        assert zone_of(asking, "a.example") == ("a.example", [])
    assert {kind for _, _, kind, _ in servers.asked} == {"SOA", "NS"}


@pytest.mark.parametrize("target", ["|{touch,it}|sh.evil.test", "a\\.b.test"])
def test_an_alias_of_what_is_no_host_name_leads_nowhere(
    network: str, port: int, target: str
) -> None:
    def says(query: Message) -> Message:
        name, _ = asked_for(query)
        made = answer(query, *([f"{name} 60 CNAME {target}."] if name != "." else []))
        made.flags |= dns.flags.RA
        return made

    with Scripted(port, {f"{network}1": says}):
        asking = Resolver([(f"{network}1", port)], port=port, patience=0.5)
        found = asyncio.run(asking.resolve("a.example", "A"))
    assert (found.chain, found.records) == ((), ())
    assert "does not point to a host name" in cause_words(found.because)


@pytest.mark.parametrize(
    ("address", "asked"),
    [("127.255.255.9", True), ("9.9.9.9", True)]
    + [(each, False) for each in ("10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0")],
)
def test_no_zone_makes_this_host_ask_servers_in_another_private_network(
    network: str, port: int, address: str, asked: bool
) -> None:
    """The resolver on loopback is who it was told to ask: others may be there, nowhere else."""

    def says(query: Message) -> Message:
        name, rdtype = asked_for(query)
        records = {
            "SOA": f"{name} 60 SOA ns.test. host.test. 1 3600 600 86400 60",
            "NS": f"{name} 60 NS ns.a.example.",
            "A": f"{name} 60 A {address}",
        }
        made = answer(query, *filter(None, [records.get(rdtype)]))
        made.flags |= dns.flags.RA
        return made

    with Scripted(port, {f"{network}1": says}):
        asking = Resolver([(f"{network}1", port)], port=port, patience=0.5)
        _, found = zone_of(asking, "a.example")
    assert found == ([("ns.a.example", address, port)] if asked else [])
