"""Servers that lag, lie, flood or say nothing: a look ends, and nobody speaks for others."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns.message import Message

from proxygen.dns.answers import LookupFailure, LookupResult, ReplyKind
from proxygen.dns.resolver import Resolver
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

Worlds = Callable[..., tuple[Scripted, Resolver]]


@pytest.fixture
def world(network: str, port: int) -> Worlds:
    """Return what makes a root at .1 that delegates ``a.example`` to .2, which *says*."""

    def make(says: Says, *, held: bool = False, **settings: object) -> tuple[Scripted, Resolver]:
        zone = delegating("a.example", {"ns.a.example": f"{network}2"})
        root = rooting(f"{network}1", zone)
        servers = Scripted(port, {f"{network}1": root, f"{network}2": says}, held=held)
        usual = {"patience": 0.1, "system": lambda: ()}
        asking = Resolver(roots=(f"{network}1",), port=port, **(usual | settings))  # type: ignore[arg-type]
        return servers, asking

    return make


def resolve(
    world: tuple[Scripted, Resolver], name: str = "a.example", rdtype: str = "A"
) -> LookupResult:
    """Look once."""
    servers, asking = world
    with servers:
        return asyncio.run(asking.resolve(name, rdtype))


def changed(change: Callable[[bytes], bytes]) -> Says:
    """Return a server whose right answer is changed on its way."""
    right = holding("a.example", "a.example 60 A 192.0.2.1")

    def says(query: Message) -> bytes:
        said = right(query)
        assert isinstance(said, Message)
        return change(said.to_wire())

    return says


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        pytest.param(lambda wire: wire[:20], ReplyKind.BROKEN, "is not parsed", id="cut"),
        pytest.param(
            lambda wire: wire[:2] + b"\x84\0" + b"\xff" * 40,
            ReplyKind.BROKEN,
            "the answer is not parsed: it has more than 300 records",
            id="junk",
        ),
        pytest.param(
            lambda wire: wire.replace(b"\1a\7example", b"\1b\7example"),
            ReplyKind.BROKEN,
            "a different query",
            id="a different query",
        ),
        pytest.param(
            lambda wire: wire[:2] + bytes((wire[2] & 0x7F,)) + wire[3:],
            ReplyKind.BROKEN,
            "a different query",
            id="a question",
        ),
        pytest.param(
            lambda wire: bytes((wire[0] ^ 1,)) + wire[1:],
            ReplyKind.SILENT,
            "no answer",
            id="forged id",
        ),
        pytest.param(
            lambda wire: wire[:2] + bytes((wire[2] | 2,)) + wire[3:],
            ReplyKind.BROKEN,
            "over TCP: connection refused",
            id="truncated, no TCP",
        ),
        pytest.param(
            lambda wire: wire[:2] + bytes((wire[2] & ~4,)) + wire[3:],
            ReplyKind.LAME,
            "not authoritative for a.example",
            id="without authority",
        ),
    ],
)
def test_what_is_no_answer_is_called_so(
    world: Worlds, change: Callable[[bytes], bytes], kind: ReplyKind, words: str
) -> None:
    found = resolve(world(changed(change)))
    assert found.records == ()
    assert found.replies[0].kind is kind
    assert words in why(found.replies[0].why)


@pytest.mark.parametrize(
    ("rcode", "kind", "trouble"),
    [
        (dns.rcode.SERVFAIL, ReplyKind.SERVFAIL, LookupFailure.SERVFAIL),
        (dns.rcode.REFUSED, ReplyKind.REFUSED, LookupFailure.SERVERS_LAME),
        (dns.rcode.NOTAUTH, ReplyKind.LAME, LookupFailure.SERVERS_LAME),
        (dns.rcode.NOTIMP, ReplyKind.BROKEN, LookupFailure.SERVERS_SILENT),
    ],
)
def test_each_error_has_its_kind(
    world: Worlds, rcode: dns.rcode.Rcode, kind: ReplyKind, trouble: LookupFailure
) -> None:
    found = resolve(world(lambda query: answer(query, rcode=rcode)))
    assert (found.replies[0].kind, found.failure) == (kind, trouble)
    assert f"answers {dns.rcode.to_text(rcode)}" in cause_words(found.because)


def test_a_server_older_than_edns_is_asked_without_it(world: Worlds) -> None:
    right = holding("a.example", "a.example 60 A 192.0.2.1")

    def says(query: Message) -> bytes | Message | None:
        return right(query) if query.edns < 0 else answer(query, rcode=dns.rcode.FORMERR)

    assert resolve(world(says)).records == ("192.0.2.1",)


def test_a_lost_datagram_is_asked_for_again(world: Worlds) -> None:
    right = holding("a.example", "a.example 60 A 192.0.2.1")
    turns = itertools.count()
    found = resolve(world(lambda query: right(query) if next(turns) else None))
    assert found.records == ("192.0.2.1",)


def test_a_lost_datagram_is_asked_for_again_beside_one_that_came(world: Worlds) -> None:
    records = [f"{each}.a.example 60 A 192.0.2.1" for each in ("lost", "came")]
    right = holding("a.example", *records)
    turns = itertools.count()

    def says(query: Message) -> bytes | Message | None:
        lost = asked_for(query)[0] == "lost.a.example" and not next(turns)
        return None if lost else right(query)

    servers, asking = world(says)

    async def both() -> list[LookupResult]:
        names = ("lost.a.example", "came.a.example")
        return await asyncio.gather(*(asking.resolve(each, "A") for each in names))

    with servers:
        assert all(each.records for each in asyncio.run(both()))


def test_where_others_wait_in_vain_a_question_is_not_asked_again(
    world: Worlds, network: str
) -> None:
    servers, asking = world(silent, tries=9)

    async def both() -> list[LookupResult]:
        return await asyncio.gather(*(asking.resolve(f"n{n}.a.example", "A") for n in range(2)))

    with servers:
        asyncio.run(both())
    assert len(servers.names(f"{network}2")) < 5


@pytest.mark.parametrize(
    "upward",
    [
        pytest.param("", id="the root"),
        pytest.param("example", id="above"),
        pytest.param("a.example", id="itself"),
        pytest.param("bank.example", id="aside"),
        pytest.param("x.a.example", id="below, but elsewhere"),
    ],
)
def test_a_referral_elsewhere_is_lame_and_not_followed(
    world: Worlds, network: str, upward: str
) -> None:
    servers, asking = world(delegating(upward, {"ns.evil.example": f"{network}3"}))
    servers.says[f"{network}3"] = holding("example", "www.a.example 60 A 192.0.2.66")
    found = resolve((servers, asking), "www.a.example")
    assert (found.replies[0].kind, found.failure) == (ReplyKind.LAME, LookupFailure.SERVERS_LAME)
    assert servers.names(f"{network}3") == []


def test_nobody_speaks_for_the_servers_of_other_zones(world: Worlds, network: str) -> None:
    """The address of ns.bank.example, given by a.example below its own zone, is not taken."""
    poison = delegating("sub.a.example", {"ns.bank.example": f"{network}3"})
    servers, asking = world(poison)
    servers.says[f"{network}3"] = holding("sub.a.example", "www.sub.a.example 60 A 192.0.2.66")
    found = resolve((servers, asking), "www.sub.a.example")
    assert found.records == ()
    assert servers.names(f"{network}3") == []


def test_records_of_other_names_in_an_answer_are_not_taken(world: Worlds, network: str) -> None:
    def says(query: Message) -> Message:
        return answer(
            query, "a.example 60 CNAME www.bank.example.", "www.bank.example 60 A 9.9.9.9"
        )

    servers, asking = world(says)
    plain = delegating("a.example", {"ns.a.example": f"{network}2"})

    def root(query: Message) -> bytes | Message | None:
        bank = asked_for(query)[0].endswith("bank.example")
        return answer(query, rcode=dns.rcode.NXDOMAIN) if bank else plain(query)

    servers.says[f"{network}1"] = rooting(f"{network}1", root)
    found = resolve((servers, asking))
    assert (found.chain, found.records) == (("www.bank.example",), ())
    assert found.failure is LookupFailure.NO_DELEGATION


def test_records_are_bounded_and_printable(world: Worlds) -> None:
    texts = [f'a.example 60 TXT "{number:03} {"x" * 200}"' for number in range(150)]
    long = " ".join(f'"{"y" * 250}"' for _ in range(8))
    found = resolve(world(holding("a.example", *texts[:5])), rdtype="TXT")
    assert len(found.records) == 5
    servers, asking = world(holding("a.example", f"a.example 60 TXT {long}"))
    assert len(resolve((servers, asking), rdtype="TXT").records[0]) == 1000
    said = resolve(
        world(holding("a.example", 'a.example 60 TXT "\\027[31mred\\010line"')), rdtype="TXT"
    )
    assert said.records == ("\\x1b[31mred\\nline",)
    numbers = [f"a.example 60 A 192.0.2.{number}" for number in range(150)]
    many = resolve(world(holding("a.example", *numbers)))
    assert len(many.records) == 100


def test_no_zone_makes_a_lookup_ask_without_end(world: Worlds, network: str) -> None:
    """Each zone has its name servers in thirteen more, and so on (NXNSAttack)."""
    numbers = itertools.count()

    def endless(query: Message) -> bytes | Message | None:
        name, _ = asked_for(query)
        domain = ".".join(name.split(".")[-2:])
        hosts = {f"ns.z{next(numbers)}.example": "" for _ in range(13)}
        return delegating(domain, hosts)(query)

    servers, asking = world(silent)
    servers.says[f"{network}1"] = rooting(f"{network}1", endless)
    found = resolve((servers, asking), "www.victim.example")
    assert found.failure is LookupFailure.SERVERS_SILENT
    assert len(servers.asked) <= 250


def test_a_lookup_ends_in_time_whatever_servers_do(world: Worlds, network: str) -> None:
    servers, asking = world(silent, patience=60.0, tries=50, within=0.5)
    found = resolve((servers, asking))
    assert found.failure is LookupFailure.SERVERS_SILENT


def test_nothing_is_raised_when_resolvers_leave_no_time(network: str, port: int) -> None:
    addresses = [f"{network}{number}" for number in range(1, 7)]
    with Scripted(port, dict.fromkeys(addresses, silent)):
        resolvers = [(each, port) for each in addresses]
        asking = Resolver(resolvers, patience=0.1, within=0.3)
        assert asyncio.run(asking.resolve("a.example", "A")).failure is LookupFailure.CANNOT_LOOK
        assert zone_of(asking, "a.example") == ("", [])
        assert asyncio.run(asking.led("a.example", "TXT")).replies == ()


def test_no_more_than_eight_servers_of_a_zone_are_asked(world: Worlds, network: str) -> None:
    servers, asking = world(silent)
    hosts = {f"ns{number}.a.example": f"{network}{number}" for number in range(10, 22)}
    servers.says |= {at: holding("a.example", "a.example 60 A 192.0.2.1") for at in hosts.values()}
    servers.says[f"{network}1"] = rooting(f"{network}1", delegating("a.example", hosts))
    found = resolve((servers, asking))
    assert found.records == ("192.0.2.1",)
    assert len(found.replies) == 8
    assert len({at for at, *_ in servers.asked}) == 1 + 8


def test_each_host_of_a_zone_is_asked_before_one_is_asked_twice(
    world: Worlds, network: str
) -> None:
    def root(query: Message) -> Message:
        addresses = [f"a.ns.example 60 A {network}{number}" for number in range(10, 20)]
        return answer(
            query,
            authority=("a.example 60 NS a.ns.example.", "a.example 60 NS b.ns.example."),
            additional=(*addresses, f"b.ns.example 60 A {network}30"),
            aa=False,
        )

    servers, asking = world(silent)
    servers.says[f"{network}1"] = rooting(f"{network}1", root)
    servers.says[f"{network}30"] = holding("a.example", "a.example 60 A 192.0.2.1")
    found = resolve((servers, asking))
    assert found.records == ("192.0.2.1",)


def test_servers_of_a_family_without_a_route_are_left_out(world: Worlds, network: str) -> None:
    unrouted = "3fff::1"

    def root(query: Message) -> Message:
        return answer(
            query,
            authority=("a.example 60 NS ns.a.example.",),
            additional=(f"ns.a.example 60 A {network}2", f"ns.a.example 60 AAAA {unrouted}"),
            aa=False,
        )

    servers, asking = world(
        holding("a.example", "a.example 60 A 192.0.2.1"), routed=lambda each: each != unrouted
    )
    servers.says[f"{network}1"] = rooting(f"{network}1", root)
    found = resolve((servers, asking))
    assert [each.server for each in found.replies] == [f"ns.a.example ({network}2)"]


def test_never_more_questions_are_in_flight_than_allowed(world: Worlds, network: str) -> None:
    names = [f"n{number}.a.example" for number in range(4)]
    hosts = {f"ns{number}.a.example": f"{network}{number}" for number in range(10, 18)}
    right = holding("a.example", *(f"{each} 60 A 192.0.2.1" for each in names))
    servers, asking = world(silent, held=True, in_flight=5, patience=5.0)
    servers.says[f"{network}1"] = rooting(f"{network}1", delegating("a.example", hosts))
    servers.says |= dict.fromkeys(hosts.values(), right)

    async def all_of_them() -> list[LookupResult]:
        looks = [asking.resolve(each, "A") for each in names]
        several = [asking.led(each, "A") for each in names[:2]]
        found = asyncio.gather(*looks)
        await asyncio.gather(*several)
        return await found

    with servers:
        found = asyncio.run(all_of_them())
    assert all(len(each.replies) == 8 and each.records for each in found)
    assert servers.most == asking.asking.most == 5


def test_many_names_on_a_dead_server_wait_for_few_questions(world: Worlds, network: str) -> None:
    servers, asking = world(silent, tries=1)

    async def all_of_them() -> list[LookupResult]:
        return await asyncio.gather(*(asking.resolve(f"n{n}.a.example", "A") for n in range(40)))

    with servers:
        found = asyncio.run(all_of_them())
        assert {each.failure for each in found} == {LookupFailure.SERVERS_SILENT}
        assert "did not answer a moment ago" in cause_words(found[-1].because)
        assert len(servers.names(f"{network}2")) < 8
        asyncio.run(asking.led("n9.a.example", "TXT"))
        assert "n9.a.example" in servers.names(f"{network}2")[-2:]


def test_a_server_that_answers_again_is_believed_at_once(world: Worlds, network: str) -> None:
    servers, asking = world(silent, patience=0.02)
    names = [f"n{number}.a.example" for number in range(4, 12)]

    async def all_of_them() -> list[LookupResult]:
        return await asyncio.gather(*(asking.resolve(each, "A") for each in names[1:]))

    with servers:
        for number in range(3):
            asyncio.run(asking.resolve(f"n{number}.a.example", "A"))
        right = holding("a.example", *(f"{each} 60 A 192.0.2.1" for each in names))
        servers.says[f"{network}2"] = right
        assert asyncio.run(asking.resolve(names[0], "A")).records == ("192.0.2.1",)
        assert all(each.records for each in asyncio.run(all_of_them()))


def test_after_a_pause_many_names_ask_a_silent_server_again(world: Worlds, network: str) -> None:
    seconds = 0.0
    servers, asking = world(silent, held=True, patience=0.4, tries=1, ticks=lambda: seconds)
    names = [f"n{number}.a.example" for number in range(9)]

    async def all_of_them() -> list[LookupResult]:
        return await asyncio.gather(*(asking.resolve(each, "A") for each in names))

    with servers:
        asyncio.run(all_of_them())
        seconds = 31.0
        right = holding("a.example", *(f"{each} 60 A 192.0.2.1" for each in names))
        servers.says[f"{network}2"] = right
        assert all(each.records for each in asyncio.run(all_of_them()))


def test_a_server_silent_about_one_name_is_not_dead(world: Worlds, network: str) -> None:
    right = holding("a.example", *(f"n{number}.a.example 60 A 192.0.2.1" for number in range(9)))

    def says(query: Message) -> bytes | Message | None:
        return None if asked_for(query)[0].startswith("x") else right(query)

    servers, asking = world(says, tries=1)

    async def several() -> list[LookupResult]:
        await asking.resolve("n0.a.example", "A")
        dropped = [asyncio.create_task(asking.resolve(f"x{n}.a.example", "A")) for n in range(5)]
        while len([each for each in servers.names() if each.startswith("x")]) < 5:
            await asyncio.sleep(0)
        await asking.resolve("n1.a.example", "A")
        await asyncio.gather(*dropped)
        return await asyncio.gather(*(asking.resolve(f"n{n}.a.example", "A") for n in range(2, 9)))

    with servers:
        assert all(each.records for each in asyncio.run(several()))
