"""Hostile zones beside good ones: whatever their servers do, others get their share."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from socket import SHUT_RDWR, create_server, socket

import dns.message
import pytest
from dns.message import Message

from proxygen.dns.answers import LookupFailure, LookupResult, ReplyKind
from proxygen.dns.costs import LARGEST, RECORDS, TooHeavy, weigh_message
from proxygen.dns.questions import Exhausted
from proxygen.dns.resolver import Resolver
from proxygen.names.findings import reason_words
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
)

GOOD, EVIL = 20, 60
A, NS, TXT, UNKNOWN = 1, 2, 16, 65400
POINTER = b"\xc0\x0c"
"""To the name of the question."""


def name(*labels: bytes) -> bytes:
    """Return a name as it stands in a message."""
    return b"".join(bytes((len(each),)) + each for each in labels) + b"\0"


def record(rdtype: int, rdata: bytes, owner: bytes = POINTER) -> bytes:
    """Return a record."""
    return owner + struct.pack("!HHIH", rdtype, 1, 60, len(rdata)) + rdata


def wire(query: Message, records: list[bytes], *, claimed: int = 0, tc: bool = False) -> bytes:
    """Return an answer of raw records; *claimed*: how many it says to have."""
    question = query.to_wire()[12:].split(b"\0\0\x29", 1)[0]  # without EDNS
    flags = 0x8400 | (0x0200 if tc else 0)
    counts = (1, claimed or len(records), 0, 0)
    return struct.pack("!6H", query.id, flags, *counts) + question + b"".join(records)


def numbers(count: int) -> list[bytes]:
    """Return A records."""
    return [record(A, struct.pack("!I", each)) for each in range(count)]


LONG = name(*[b"x"] * 100, b"y" * 20)


def long_names(query: Message) -> bytes:
    """Return 200 name servers with a hundred labels each, in 4 KiB: half a second to parse."""
    place = len(wire(query, []))
    base = 0xC000 | (place + 8)
    first = record(A, b"\1\2\3\4", LONG)
    rows = [
        record(NS, bytes((2, 65 + n // 26, 65 + n % 26)) + struct.pack("!H", base))
        for n in range(200)
    ]
    return wire(query, [first, *rows])


def strings(query: Message) -> bytes:
    """Return a record of empty strings."""
    return wire(query, [record(TXT, bytes(3900))])


EVILS: dict[str, Says] = {
    "many records": lambda query: wire(query, numbers(240)),
    "long names": long_names,
    "strings": strings,
    "over TCP": lambda query: wire(query, [], tc=True),
    "nothing": silent,
}


@contextmanager
def streams(address: str, port: int, serve: Callable[[socket], None]) -> Iterator[None]:
    """Have a server over TCP, a thread for each connection."""
    listening = create_server((address, port), backlog=500)

    def one(connection: socket) -> None:
        with suppress(OSError), connection:
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        with suppress(OSError):
            listening.shutdown(SHUT_RDWR)
        listening.close()


def flood(connection: socket) -> None:
    """Answer a question with thousands of records: as many as fit into 64 KiB."""
    connection.settimeout(30)
    asked = connection.recv(4096)
    if len(asked) < 14:
        return
    query = dns.message.from_wire(asked[2:])
    said = wire(query, numbers(4000))
    connection.sendall(len(said).to_bytes(2) + said)
    connection.recv(1)


def drip(connection: socket) -> None:
    """Begin an answer that does not end."""
    connection.settimeout(30)
    connection.sendall(b"\x10\x00")
    while True:
        connection.sendall(b"\0")
        threading.Event().wait(0.2)


STREAMS = {"flood": flood, "drip": drip}


@pytest.mark.parametrize(
    ("evil", "stream"),
    [
        *((each, "") for each in EVILS if each != "over TCP"),
        *(("over TCP", each) for each in STREAMS),
    ],
)
def test_hostile_zones_leave_others_their_share(
    network: str, port: int, evil: str, stream: str
) -> None:
    """Sixty zones with eight servers each beside twenty that are right, all at the same time."""
    bad = {f"ns{each}": f"{network}{10 + each}" for each in range(8)}

    def registry(query: Message) -> bytes | Message | None:
        domain = ".".join(asked_for(query)[0].split(".")[-2:])
        if domain.startswith("good"):
            return delegating(domain, {f"ns.{domain}": f"{network}2"})(query)
        return delegating(domain, {f"{host}.{domain}": at for host, at in bad.items()})(query)

    def right(query: Message) -> bytes | Message | None:
        domain = ".".join(asked_for(query)[0].split(".")[-2:])
        return holding(domain, f"www.{domain} 60 A 192.0.2.1")(query)

    says: dict[str, Says] = {f"{network}1": rooting(f"{network}1", registry), f"{network}2": right}
    says |= dict.fromkeys(bad.values(), EVILS[evil])
    asking = Resolver(roots=(f"{network}1",), port=port, in_flight=50, system=lambda: ())
    names = [f"www.evil{each}.example" for each in range(EVIL)]
    names += [f"www.good{each}.example" for each in range(GOOD)]

    async def good_ones() -> list[LookupResult]:
        tasks = [asyncio.create_task(asking.resolve(each, "A")) for each in names]
        try:
            return await asyncio.gather(*tasks[EVIL:])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with Scripted(port, says), ExitStack() as stack:
        for each in bad.values() if stream else ():
            stack.enter_context(streams(each, port, STREAMS[stream]))
        found = asyncio.run(good_ones())
    assert [each.records for each in found] == [("192.0.2.1",)] * GOOD


# What is refused before it is read


def query_for(rdtype: str = "A") -> Message:
    """Return a question."""
    return dns.message.make_query("a.example.", rdtype, use_edns=0)


def chain(query: Message, hops: int) -> bytes:
    """Return records whose owner is a pointer to a pointer to a pointer, and so on."""
    begin = len(wire(query, [])) + 12
    pointers = b"".join(
        struct.pack("!H", 0xC000 | (12 if each == 0 else begin + 2 * (each - 1)))
        for each in range(hops)
    )
    last = struct.pack("!H", 0xC000 | (begin + 2 * (hops - 1)))
    return wire(query, [record(UNKNOWN, pointers), *[record(A, b"\1\2\3\4", last)] * 50])


def looped(query: Message) -> bytes:
    """Return a name that points to itself."""
    place = len(wire(query, []))
    return wire(query, [record(A, b"\1\2\3\4", struct.pack("!H", 0xC000 | place))])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (wire(query_for(), numbers(RECORDS + 1)), "more than 300 records"),
        (wire(query_for(), [], claimed=65535), "more than 300 records"),
        (wire(query_for(), [record(TXT, bytes(LARGEST))]), "larger than 16 KiB"),
        (wire(query_for(), numbers(2), claimed=3), "shorter than its header says"),
        (wire(query_for(), numbers(1))[:-20], "shorter than its header says"),
        (b"", "shorter than its header says"),
        (looped(query_for()), "no end"),
        (chain(query_for(), 1000), "no end"),
        (chain(query_for(), 200), "longer than allowed"),
        (long_names(query_for()), "longer than allowed"),
        (strings(query_for("TXT")), "longer than allowed"),
    ],
    ids=map(str, range(11)),  # a query has an id of its own in each process
)
def test_what_would_cost_much_is_refused_unread(said: bytes, words: str) -> None:
    with pytest.raises(TooHeavy) as raised:
        weigh_message(said, A)
    assert words in reason_words(raised.value.why)


def test_what_is_right_stays_as_it_is() -> None:
    given = answer(
        query_for(),
        *(f"a.example 60 A 192.0.2.{each}" for each in range(100)),
        authority=(
            "a.example 60 NS ns1.a.example.",
            "a.example 60 SOA ns.a.example. host.a.example. 1 2 3 4 5",
            'a.example 60 TXT "one" "two"',
            "a.example 60 CAA 0 issue x.test",
        ),
    ).to_wire(max_size=4096)
    light, weight = weigh_message(given, A)
    assert light == given
    assert 100 < weight < 160


def test_of_what_nobody_reads_nothing_is_parsed() -> None:
    given = answer(query_for(), "a.example 60 MX 1 mail.a.example.").to_wire(max_size=4096)
    opaque = dns.message.from_wire(weigh_message(given, A)[0]).answer[0]
    assert opaque.rdtype == 0xFF00
    assert weigh_message(given, 15)[0] == given


@pytest.mark.parametrize(
    ("says", "stream", "words"),
    [
        (lambda query: wire(query, [], claimed=301), None, "more than 300 records"),
        (lambda query: wire(query, [], tc=True), flood, "larger than 16 KiB"),
        (long_names, None, "longer than allowed"),
    ],
)
def test_a_lookup_says_why_an_answer_was_refused(
    network: str, port: int, says: Says, stream: Callable[[socket], None] | None, words: str
) -> None:
    zone = delegating("a.example", {"ns.a.example": f"{network}2"})
    parts = {f"{network}1": rooting(f"{network}1", zone), f"{network}2": says}
    asking = Resolver(roots=(f"{network}1",), port=port, system=lambda: ())
    with Scripted(port, parts), ExitStack() as stack:
        if stream:
            stack.enter_context(streams(f"{network}2", port, stream))
        found = asyncio.run(asking.resolve("a.example", "A"))
    assert (found.failure, found.replies[0].kind) == (
        LookupFailure.SERVERS_SILENT,
        ReplyKind.BROKEN,
    )
    assert words in why(found.replies[0].why)


def test_a_zone_that_says_too_much_is_not_asked_on(network: str, port: int) -> None:
    """Each alias leads to the next, and eight servers say a hundred records more with each."""
    servers = {f"ns{each}.a.example": f"{network}{10 + each}" for each in range(8)}

    def says(query: Message) -> bytes:
        return wire(query, [*numbers(230)])

    zone = delegating("a.example", servers)
    parts: dict[str, Says] = {f"{network}1": rooting(f"{network}1", zone)}
    parts |= dict.fromkeys(servers.values(), says)
    asking = Resolver(roots=(f"{network}1",), port=port, system=lambda: ())

    async def several() -> str:
        errand = asking.errand("a.example")
        for each in range(4):
            try:
                await asking.delegations.hop(f"n{each}.a.example", "A", errand)
            except Exhausted as end:
                return why(end.why)
        return ""

    with Scripted(port, parts):
        assert "more data than those of any correct name" in asyncio.run(several())
