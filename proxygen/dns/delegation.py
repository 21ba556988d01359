"""From the root servers down to the zone of a name, and what all its servers say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from zlib import crc32

import dns.rdatatype
from dns.message import Message
from dns.rdata import Rdata
from dns.rrset import RRset

from proxygen.dns import reach
from proxygen.dns.answers import SETTLED, LookupFailure, ReplyKind
from proxygen.dns.cache import FAILURE, Cache, clamp
from proxygen.dns.questions import DnsClient, Errand, Exhausted
from proxygen.dns.responses import (
    Heard,
    hosts_in,
    is_under,
    plain_name,
    read_response,
    records_at,
    zone_words,
)
from proxygen.dns.wire import DnsQuestion, NameServer, WireReply
from proxygen.host.suffixes import is_public, registered_domain
from proxygen.names.causes import Cause, cause

HOSTS = 13
"""Name servers of a zone that are looked at; more than any registry allows."""
ADDRESSES = 26
ASKED = 8
"""Server addresses of a zone that are asked for an answer."""
DEPTH = 3
"""How far name servers may lie below other name servers without addresses of their own."""
CUTS = 20
HIGH = (60.0, 86_400.0)
"""Seconds that a delegation of a public suffix is kept, whatever its TTL."""
LOW = (5.0, 300.0)
"""The same of a customer's: who changes name servers wants to see it."""


class Lost(Exception):
    """The way to the zone of a name ends; *trouble* and *why* tell why, *zone* where."""

    def __init__(self, trouble: LookupFailure, why: Cause, zone: str = "") -> None:
        super().__init__(trouble, why, zone)
        self.failure = trouble
        self.because = (why,)
        self.zone = zone


class Rootless(Lost):
    """Not a single root server answers."""

    def __init__(self, why: Cause) -> None:
        super().__init__(LookupFailure.CANNOT_LOOK, why)


@dataclass(frozen=True, slots=True)
class Delegation:
    """A zone as its parent delegates it; *ds* are the parent's DS records for it."""

    apex: str
    servers: tuple[NameServer, ...]
    above: Delegation | None = None
    ds: tuple[Rdata, ...] = ()
    homeless: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """Return whether an unbroken chain of DS records leads here; the root begins it."""
        return self.above is None or (bool(self.ds) and self.above.signed)


@dataclass(frozen=True, slots=True)
class Hop:
    """What the servers of the zone of a name say about it; *dnssec*: what is wrong with that."""

    zone: Delegation
    name: str
    heard: tuple[Heard, ...]
    dnssec: Cause | None = None

    def unserved(self) -> tuple[LookupFailure, Cause]:
        """Return what it means that none of them answers."""
        return why_unserved(self.zone, self.heard)

    def unknown(self) -> tuple[LookupFailure, Cause]:
        """Return what it means that they know no such name."""
        zone = zone_words(self.zone.apex)
        return LookupFailure.NX_DOMAIN, cause("unknown-name", zone=zone, name=self.name)


class Delegations:
    """Finds zones, and asks their servers; what it learnt of the way is kept."""

    def __init__(
        self,
        asking: DnsClient,
        cache: Cache,
        roots: Sequence[str],
        port: int,
        routed: Callable[[str], bool],
        public: Callable[[str], bool],
    ) -> None:
        """*public* tells which addresses may be asked, besides those beside a root server."""
        self.public = public
        self.asking = asking
        self.routed = routed
        self.cache = cache
        self.port = port
        self.root = Delegation("", tuple(NameServer("", each, port) for each in roots))

    def allowed(self, address: str) -> bool:
        """Return whether a name server may be asked at an address that a zone gave."""
        return reach.may_connect(address, self.public, (each.address for each in self.root.servers))

    async def hop(self, name: str, rdtype: str, errand: Errand, most: int = ASKED) -> Hop:
        """Return what every server of the zone of *name* says; raise Lost."""
        zone = await self.zone_of(name, errand, 0)
        for _ in range(CUTS):
            servers = self.within_reach(zone.servers)[:most]
            said = await self.asking.all(servers, DnsQuestion(name, rdtype), errand)
            hop = Hop(
                zone, name, tuple(read_response(each, zone.apex, name, rdtype) for each in said)
            )
            below = await self.below(zone, hop.heard, errand, 0)
            if below is None:
                return hop
            zone = below
        raise Lost(LookupFailure.SERVERS_LAME, cause("too-deep", name=name), zone.apex)

    def within_reach(self, servers: Sequence[NameServer]) -> Sequence[NameServer]:
        """Return the servers to which this host has a route; all of them when it has none.

        Of IPv4 that is taken for granted: who asks so often should not open a socket for it.
        """
        near = (e for e in servers if ":" not in e.address or self.routed(e.address))
        return tuple(near) or servers

    async def zone_of(self, name: str, errand: Errand, depth: int) -> Delegation:
        """Return the zone of *name* as far as it is known: its registered domain's at least."""
        zone = self.known(name)
        domain = registered_domain(name)
        while zone.apex != domain and is_under(domain, zone.apex):
            wanted = domain if zone.apex else domain.rpartition(".")[2]  # roots hold no more
            if self.cache.get(("no zone", wanted)) == zone.apex:
                return zone
            one = await self.one(zone, wanted, "SOA", errand)
            below = await self.below(zone, (one,), errand, depth)
            if below is None:
                self.exists(zone, wanted, one)
                return zone
            zone = below
        return zone

    def known(self, name: str) -> Delegation:
        """Return the lowest zone above *name* that is known."""
        while name:
            if found := self.cache.get(("zone", name)):
                return found  # type: ignore[no-any-return]
            name = name.partition(".")[2]
        return self.root

    def exists(self, zone: Delegation, domain: str, one: Heard) -> None:
        """Keep that a domain is a name in the zone above it; raise Lost when it is not."""
        if one.kind is ReplyKind.NX_DOMAIN:
            apex = one.apex or zone.apex
            why = cause("unknown-name", zone=zone_words(apex), name=domain)
            raise Lost(LookupFailure.NO_DELEGATION, why, apex)
        self.cache.put(("no zone", domain), zone.apex, clamp(one.seconds, LOW))

    async def one(self, zone: Delegation, name: str, rdtype: str, errand: Errand) -> Heard:
        """Return what the first server of *zone* says that serves it; raise Lost."""

        def right(said: WireReply) -> Heard | None:
            one = read_response(said, zone.apex, name, rdtype)
            return one if one.kind in SETTLED or one.cut else None

        servers = spread_servers(self.within_reach(zone.servers), name)
        found, said = await self.asking.first(servers, DnsQuestion(name, rdtype), errand, right)
        if found is not None:
            return found
        trouble, why = why_unserved(
            zone, [read_response(each, zone.apex, name, rdtype) for each in said]
        )
        if zone.above is None and not errand.is_late:  # or somebody between answers for them
            raise Rootless(why)
        raise Lost(trouble, why, zone.apex)

    async def below(
        self, zone: Delegation, told: Sequence[Heard], errand: Errand, depth: int
    ) -> Delegation | None:
        """Return the zone below to which the servers of *zone* lead, None when they answer."""
        settled = [each for each in told if each.kind in SETTLED]
        if settled:
            apex = next((each.apex for each in settled if each.apex is not None), zone.apex)
            return await self.adopt(zone, apex, errand, depth) if apex != zone.apex else None
        for each in told:
            if each.cut and (message := each.message) is not None:
                named = records_at(message.authority, each.cut, dns.rdatatype.NS)
                ds = records_at(message.authority, each.cut, dns.rdatatype.DS)
                return await self.enter(zone, each.cut, named, ds, message, errand, depth)
        return None

    async def adopt(self, zone: Delegation, apex: str, errand: Errand, depth: int) -> Delegation:
        """Return a zone that the servers of the one above serve too, so that none refers to it."""
        named, ds = await asyncio.gather(
            self.one(zone, apex, "NS", errand), self.one(zone, apex, "DS", errand)
        )
        if named.kind is not ReplyKind.ANSWER or named.message is None or named.rrset is None:
            why = cause("no-ns", server=str(named.server), zone=apex)
            raise Lost(LookupFailure.SERVERS_LAME, why, apex)
        records = ds.rrset if ds.kind is ReplyKind.ANSWER and not ds.target else None
        return await self.enter(zone, apex, named.rrset, records, named.message, errand, depth)

    async def enter(
        self,
        zone: Delegation,
        apex: str,
        named: RRset | None,
        ds: RRset | None,
        message: Message,
        errand: Errand,
        depth: int,
    ) -> Delegation:
        """Return the zone below whose servers are *named* in a message, and keep it."""
        servers, homeless = await self.servers(hosts_in(named), zone.apex, message, errand, depth)
        below = Delegation(apex, servers, zone, tuple(ds or ()), homeless)
        self.keep(below, named.ttl if named else 0, errand)
        return below

    def keep(self, zone: Delegation, seconds: float, errand: Errand) -> None:
        """Keep a delegation: long above registered domains, else briefly, briefest in trouble.

        Not one whose servers nobody had the time to look for: who comes next may have it.
        """
        if zone.homeless and errand.short:
            return
        bounds = HIGH if is_public(zone.apex) else LOW
        kept = clamp(seconds, bounds) if not zone.homeless else FAILURE
        octets = sum(len(getattr(each, "digest", b"")) for each in zone.ds)
        self.cache.put(("zone", zone.apex), zone, kept, octets)

    async def every(self, zone: Delegation, errand: Errand) -> tuple[NameServer, ...]:
        """Return the servers that the parent of *zone* names, and those that it names itself."""
        try:
            named = await self.one(zone, zone.apex, "NS", errand)
        except Lost:
            return zone.servers
        if named.rrset is None or named.message is None or named.kind is not ReplyKind.ANSWER:
            return zone.servers
        hosts = hosts_in(named.rrset) - {each.host for each in zone.servers}
        more, _ = await self.servers(hosts, zone.apex, named.message, errand, 0)
        return (*zone.servers, *more)[:ADDRESSES]

    async def servers(
        self, hosts: Collection[str], apex: str, message: Message, errand: Errand, depth: int
    ) -> tuple[tuple[NameServer, ...], tuple[str, ...]]:
        """Return the servers on *hosts*, and those hosts that have no address."""
        named = sorted(hosts)[:HOSTS]
        given = glue_addresses(message)
        glue = {host: given.get(host, ()) if is_under(host, apex) else () for host in named}
        bare = [host for host in named if not glue[host]]
        if depth == 0 or len(bare) == len(named):
            part = errand.part() if bare else errand
            found = [self.addresses(host, part, depth + 1) for host in bare]
            glue |= dict(zip(bare, await asyncio.gather(*found), strict=True))
        glue = {host: tuple(filter(self.allowed, each)) for host, each in glue.items()}
        homeless = tuple(host for host in named if not glue[host])
        return self.interleaved(glue), homeless

    def interleaved(self, glue: dict[str, tuple[str, ...]]) -> tuple[NameServer, ...]:
        """Return servers so that a bound on their number leaves out no host before it must."""
        rows = zip_longest(*([(host, each) for each in glue[host]] for host in glue))
        first = islice(filter(None, chain.from_iterable(rows)), ADDRESSES)
        return tuple(NameServer(host, address, self.port) for host, address in first)

    async def addresses(self, host: str, errand: Errand, depth: int) -> tuple[str, ...]:
        """Return the addresses of a name server, none when it has none or is too far away."""
        if (kept := self.cache.get(("host", host))) is not None:
            return kept  # type: ignore[no-any-return]
        if depth > DEPTH:
            return ()
        try:
            zone = await self.zone_of(host, errand, depth)
            told = [await self.settled(zone, host, each, errand, depth) for each in ("A", "AAAA")]
        except Exhausted:  # which says nothing about the host
            return ()
        except Lost:
            if errand.is_late:
                errand.ends()
            else:
                self.cache.put(("host", host), (), FAILURE)
            return ()
        found = tuple(text for each in told if not each.target for text in each.records)
        seconds = min(each.seconds for each in told)
        self.cache.put(("host", host), found, clamp(seconds, LOW) if found else FAILURE)
        return found

    async def settled(
        self, zone: Delegation, name: str, rdtype: str, errand: Errand, depth: int
    ) -> Heard:
        """Return what one server of the zone of *name* says, which is at *zone* or below."""
        for _ in range(CUTS):
            one = await self.one(zone, name, rdtype, errand)
            below = await self.below(zone, (one,), errand, depth)
            if below is None:
                return one
            zone = below
        raise Lost(LookupFailure.SERVERS_LAME, cause("too-deep", name=name), zone.apex)


def glue_addresses(message: Message) -> dict[str, tuple[str, ...]]:
    """Return the addresses that a message has, by host, IPv4 first."""
    found: dict[str, tuple[str, ...]] = {}
    for rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
        for each in message.additional:
            if each.rdtype == rdtype:
                texts = tuple(one.to_text() for one in list(each)[:ADDRESSES])
                host = plain_name(each.name)
                found[host] = (*found.get(host, ()), *texts)[: 2 * ADDRESSES]
    return found


def spread_servers(servers: Iterable[NameServer], name: str) -> list[NameServer]:
    """Return *servers* in an order of each name's own.

    One server does not get all the questions, and a question asked twice goes to the same one.
    """
    return sorted(servers, key=lambda each: crc32(f"{each.address} {name}".encode()))


SEVERITY = (
    (frozenset({ReplyKind.SERVFAIL}), LookupFailure.SERVFAIL),
    (frozenset({ReplyKind.LAME, ReplyKind.REFUSED}), LookupFailure.SERVERS_LAME),
)


def why_unserved(zone: Delegation, told: Sequence[Heard]) -> tuple[LookupFailure, Cause]:
    """Return why no server of a zone serves it: what those that answer say comes first."""
    kinds = {each.kind for each in told}
    trouble = next((made for of, made in SEVERITY if kinds & of), LookupFailure.SERVERS_SILENT)
    said = [cause("server", each.why, server=str(each.server)) for each in told]
    said += [cause("homeless", server=host) for host in zone.homeless]
    return trouble, cause("zone", *(said or [cause("no-servers")]), zone=zone_words(zone.apex))
