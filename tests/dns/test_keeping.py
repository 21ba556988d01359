"""How long answers are kept, how many, and who asks meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import pytest

from proxygen.dns.answers import LookupFailure, LookupResult
from proxygen.dns.cache import OCTETS, Cache
from proxygen.dns.resolver import Resolver
from tests.dns.scripted import Says, Scripted, answer, delegating, holding, rooting


class Ticks:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    """Return a clock."""
    return Ticks()


@pytest.fixture
def world(network: str, port: int, ticks: Ticks) -> Iterator[tuple[Scripted, Resolver]]:
    """Return a root that delegates ``a.example`` to .2 and .3, and what asks it."""
    at = f"{network}1"
    hosts = {"ns1.a.example": f"{network}2", "ns2.a.example": f"{network}3"}
    says = dict.fromkeys(hosts.values(), holding("a.example"))
    with Scripted(port, {at: rooting(at, delegating("a.example", hosts)), **says}) as servers:
        yield servers, Resolver(roots=(at,), port=port, ticks=ticks, system=lambda: ())


def failing(rcode: dns.rcode.Rcode) -> Says:
    """Return a server that fails."""
    return lambda query: answer(query, rcode=rcode)


@pytest.mark.parametrize(
    ("says", "seconds"),
    [
        pytest.param(holding("a.example", "a.example 100 A 192.0.2.1"), 100, id="the TTL"),
        pytest.param(holding("a.example", "a.example 0 A 192.0.2.1"), 5, id="no TTL"),
        pytest.param(holding("a.example", "a.example 99999 A 192.0.2.1"), 300, id="a long TTL"),
        pytest.param(holding("a.example", ttl=30), 30, id="the SOA's minimum"),
        pytest.param(holding("a.example", ttl=9999), 60, id="a long minimum"),
        pytest.param(failing(dns.rcode.SERVFAIL), 30, id="failure"),
    ],
)
def test_an_answer_is_kept_as_long_as_it_says_within_bounds(
    world: tuple[Scripted, Resolver], ticks: Ticks, says: Says, seconds: int
) -> None:
    servers, asking = world
    for address in list(servers.says)[1:]:
        servers.says[address] = says
    first = asyncio.run(asking.resolve("a.example", "A"))
    asked = len(servers.asked)
    ticks.now = seconds - 0.5
    assert asyncio.run(asking.resolve("a.example", "A")) is first
    assert len(servers.asked) == asked
    ticks.now = seconds + 0.5
    asyncio.run(asking.resolve("a.example", "A"))
    assert len(servers.asked) > asked


def test_servers_that_differ_are_asked_again_soon(
    world: tuple[Scripted, Resolver], ticks: Ticks
) -> None:
    servers, asking = world
    two, three = list(servers.says)[1:]
    servers.says[two] = holding("a.example", "a.example 300 A 192.0.2.1")
    servers.says[three] = holding("a.example", "a.example 300 A 192.0.2.2")
    assert asyncio.run(asking.resolve("a.example", "A")).differing
    servers.says[three] = servers.says[two]
    ticks.now = 31
    assert not asyncio.run(asking.resolve("a.example", "A")).differing


def test_new_name_servers_of_a_domain_are_seen_after_minutes(
    network: str, port: int, ticks: Ticks
) -> None:
    root, before, after = (f"{network}{number}" for number in (1, 2, 3))
    says = {
        root: rooting(root, delegating("a.example", {"ns.a.example": before})),
        before: holding("a.example", "a.example 60 A 192.0.2.2"),
        after: holding("a.example", "a.example 60 A 192.0.2.3"),
    }
    with Scripted(port, says) as servers:
        asking = Resolver(roots=(root,), port=port, ticks=ticks, system=lambda: ())
        assert asyncio.run(asking.resolve("a.example", "A")).records == ("192.0.2.2",)
        servers.says[root] = rooting(root, delegating("a.example", {"ns.a.example": after}))
        ticks.now = 301
        assert asyncio.run(asking.resolve("a.example", "A")).records == ("192.0.2.3",)
        assert servers.names().count("example") == 1  # a registry does not move


def test_an_undelegated_domain_is_asked_about_again_after_a_minute(
    world: tuple[Scripted, Resolver], network: str, ticks: Ticks
) -> None:
    servers, asking = world
    root = f"{network}1"
    delegated = servers.says[root]
    servers.says[root] = rooting(root, holding("example"))
    assert asyncio.run(asking.resolve("a.example", "A")).failure is LookupFailure.NO_DELEGATION
    servers.says[root] = delegated
    assert asyncio.run(asking.resolve("a.example", "A")).failure is LookupFailure.NO_DELEGATION
    ticks.now = 61
    assert asyncio.run(asking.resolve("a.example", "A")).failure is LookupFailure.NONE


def test_the_oldest_makes_room(ticks: Ticks) -> None:
    cache = Cache(ticks, entries=3)
    for each in "abcbde":
        cache.put(each, each, 10)
    assert [cache.get(each) for each in "abcde"] == [None, "b", None, "d", "e"]
    assert len(cache) == 3
    ticks.now = 11
    assert cache.get("b") is None


def test_each_thread_may_use_it_in_its_turn(world: tuple[Scripted, Resolver]) -> None:
    servers, asking = world
    found: list[LookupResult] = []

    def work(rdtype: str) -> Callable[[], None]:
        return lambda: found.append(asyncio.run(asking.resolve("a.example", rdtype)))

    for rdtype in ("A", "AAAA", "A"):
        thread = threading.Thread(target=work(rdtype))
        thread.start()
        thread.join(20)
    assert [each.failure for each in found] == ["", "", ""]
    assert len([at for at, *_ in servers.asked]) == 2 + 4


def test_one_event_loop_after_the_other_may_be_busy(
    world: tuple[Scripted, Resolver], network: str, port: int
) -> None:
    asking = Resolver(roots=(f"{network}1",), port=port, in_flight=1, system=lambda: ())

    async def several(prefix: str) -> list[LookupResult]:
        return await asyncio.gather(
            *(asking.resolve(f"{prefix}{number}.a.example", "A") for number in range(6))
        )

    for prefix in "mn":
        assert {each.failure for each in asyncio.run(several(prefix))} == {"nxdomain"}


def test_one_who_gives_up_does_not_take_the_answer_from_others(
    world: tuple[Scripted, Resolver],
) -> None:
    servers, asking = world
    for address in list(servers.says)[1:]:
        servers.says[address] = holding("a.example", "a.example 60 A 192.0.2.1")

    async def two() -> LookupResult:
        first = asyncio.create_task(asking.resolve("a.example", "A"))
        second = asyncio.create_task(asking.resolve("a.example", "A"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(two()).records == ("192.0.2.1",)


def test_questions_come_from_ports_and_with_identifiers_nobody_can_guess(
    world: tuple[Scripted, Resolver],
) -> None:
    servers, asking = world
    for number in range(20):
        asyncio.run(asking.resolve(f"n{number}.a.example", "A"))
    assert len({each[:2] for each in servers.wires}) > 30
    assert len({port for _, port in servers.senders}) > 30


def test_servers_are_asked_without_recursion_for_signatures_in_small_datagrams(
    world: tuple[Scripted, Resolver],
) -> None:
    servers, asking = world
    asyncio.run(asking.resolve("a.example", "A"))
    for wire in servers.wires:
        query = dns.message.from_wire(wire)
        assert query.flags == 0
        assert query.payload == 1232
        assert query.ednsflags & dns.flags.DO


def test_the_root_servers_are_asked_for_no_more_than_the_registry(
    world: tuple[Scripted, Resolver], network: str
) -> None:
    servers, asking = world
    asyncio.run(asking.resolve("private.name.a.example", "A"))
    assert servers.names(f"{network}1") == ["example", "a.example"]


def test_what_is_large_takes_the_place_of_many(ticks: Ticks) -> None:
    """A zone with giant answers must not fill the memory of a process that runs for months."""
    cache = Cache(ticks, 10)
    for number in range(8):
        cache.put(number, number, 60)
    cache.put("large", "large", 60, 6 * OCTETS)
    assert [each for each in range(8) if cache.get(each) is not None] == [5, 6, 7]
    cache.put("giant", "giant", 60, 60 * OCTETS)
    assert (len(cache), cache.get("giant")) == (1, "giant")
    cache.drop("giant")
    assert cache.taken == 0
