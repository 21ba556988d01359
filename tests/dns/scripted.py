"""A name server that says whatever a test likes, at several addresses of one port."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.message import Message

from proxygen.dns.resolver import Resolver

Says = Callable[[Message], bytes | Message | None]
"""What an address answers to a question; None: nothing."""


class Scripted:
    """Answers datagrams from a thread of its own; *asked* holds address, name, type and flags.

    With *held* it answers only once no further question comes: *most* is then the largest number
    of questions that were open at once.
    """

    def __init__(self, port: int, says: Mapping[str, Says], *, held: bool = False) -> None:
        self.port = port
        self.says = dict(says)
        self.held = held
        self.most = 0
        self.asked: list[tuple[str, str, str, int]] = []
        self.senders: list[tuple[str, int]] = []
        self.wires: list[bytes] = []
        self.open: list[tuple[socket.socket, bytes, tuple[str, int], str]] = []
        self.selector = selectors.DefaultSelector()
        self.waker, self.woken = socket.socketpair()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> Self:
        for address in self.says:
            channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            channel.bind((address, self.port))
            self.selector.register(channel, selectors.EVENT_READ, address)
        self.selector.register(self.woken, selectors.EVENT_READ, "")
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.waker.send(b"!")
        self.thread.join(10)
        for key in list(self.selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self.waker.close()
        self.selector.close()

    def names(self, address: str = "") -> list[str]:
        """Return the names that were asked for, at one address or at all."""
        return [name for at, name, _, _ in self.asked if address in ("", at)]

    def serve(self) -> None:
        """Answer until woken."""
        while True:
            ready = self.selector.select(0.1 if self.held and self.open else None)
            if any(key.data == "" for key, _ in ready):
                return
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                wire, sender = key.fileobj.recvfrom(4096)
                self.open.append((key.fileobj, wire, sender, key.data))
            self.most = max(self.most, len(self.open))
            if not (self.held and ready):
                self.answer()

    def answer(self) -> None:
        """Answer all that is open."""
        opened, self.open = self.open, []
        for channel, wire, sender, address in opened:
            query = dns.message.from_wire(wire)
            asked = query.question[0]
            name = asked.name.to_text(omit_final_dot=True)
            rdtype = dns.rdatatype.to_text(asked.rdtype)
            self.wires.append(wire)
            self.senders.append(sender)
            self.asked.append((address, name, rdtype, query.flags))
            said = self.says[address](query)
            if said is not None:
                channel.sendto(
                    said if isinstance(said, bytes) else said.to_wire(max_size=4096), sender
                )


def answer(
    query: Message,
    *records: str,
    authority: tuple[str, ...] = (),
    additional: tuple[str, ...] = (),
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    aa: bool = True,
) -> Message:
    """Return an answer; records are ``name ttl type value``, absolute without the final dot."""
    made = dns.message.make_response(query)
    made.set_rcode(rcode)
    if aa:
        made.flags |= dns.flags.AA
    made.answer = rrsets(records)
    made.authority = rrsets(authority)
    made.additional = rrsets(additional)
    return made


def rrsets(records: tuple[str, ...]) -> list[dns.rrset.RRset]:
    """Return records as sets, one for each name and type."""
    grouped: dict[tuple[str, int, str], list[str]] = {}
    for each in records:
        name, ttl, rdtype, value = each.split(" ", 3)
        grouped.setdefault((name, int(ttl), rdtype), []).append(value)
    return [
        dns.rrset.from_text_list(f"{name}.", ttl, "IN", rdtype, values)
        for (name, ttl, rdtype), values in grouped.items()
    ]


def asked_for(query: Message) -> tuple[str, str]:
    """Return the name and the type that a question is about."""
    asked = query.question[0]
    return asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)


def delegating(zone: str, servers: Mapping[str, str], *also: str) -> Says:
    """Return a server that refers all below *zone* to *servers*, addresses by host name."""

    def says(query: Message) -> Message:
        return answer(
            query,
            authority=(*(f"{zone} 86400 NS {host}." for host in servers), *also),
            additional=tuple(f"{host} 86400 A {at}" for host, at in servers.items() if at),
            aa=False,
        )

    return says


def rooting(address: str, below: Says, registry: str = "example") -> Says:
    """Return a root server at *address* that is a registry's too, which *below* speaks for."""
    top = delegating(registry, {f"ns.{registry}": address})
    return lambda query: (below if "." in asked_for(query)[0] else top)(query)


def holding(zone: str, *records: str, ttl: int = 60) -> Says:
    """Return a server of *zone* with *records*; it has an SOA record, and says NXDOMAIN well."""

    def says(query: Message) -> Message:
        name, rdtype = asked_for(query)
        at = [each for each in records if each.split(" ")[0] == name]
        right = [each for each in at if each.split(" ")[2] in (rdtype, "CNAME")]
        soa = f"{zone} {ttl} SOA ns.test. host.test. 1 3600 600 86400 {ttl}"
        code = dns.rcode.NOERROR if at or name == zone else dns.rcode.NXDOMAIN
        return answer(query, *right, authority=() if right else (soa,), rcode=code)

    return says


def silent(_query: Message) -> None:
    """Say nothing."""


def zone_of(asking: Resolver, name: str) -> tuple[str, list[tuple[str, str, int]]]:
    """Return the apex of the zone of a name and its servers; none where nobody knows."""

    async def found() -> tuple[str, list[tuple[str, str, int]]]:
        apex, servers = await asking.zone(name, asking.errand(name)) or ("", ())
        return apex, [(each.host, each.address, each.port) for each in servers]

    return asyncio.run(found())
