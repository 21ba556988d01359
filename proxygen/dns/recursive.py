"""Resolvers asked to do the whole work: those the model names, or this host's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from proxygen.dns import reach
from proxygen.dns.answers import SETTLED, Found, Kind, Source, Trouble
from proxygen.dns.chain import follow
from proxygen.dns.delegation import ADDRESSES, HOSTS, Delegation, Hop
from proxygen.dns.questions import Asking, Errand, Exhausted
from proxygen.dns.responses import Heard, hosts_in, resolved, shown, under
from proxygen.dns.wire import Question, Server
from proxygen.host.suffixes import registered
from proxygen.names.causes import Cause, cause


class Recursive:
    """Asks resolvers in their order, the next one when one does not serve.

    *public* tells which name servers of a zone may be asked besides those beside a resolver.
    """

    def __init__(
        self,
        asking: Asking,
        resolvers: Sequence[tuple[str, int]],
        port: int,
        source: Source,
        public: Callable[[str], bool],
    ) -> None:
        self.asking = asking
        self.public = public
        self.servers = tuple(Server("", address, number) for address, number in resolvers)
        self.port = port
        self.source = source

    async def look(self, name: str, rdtype: str, errand: Errand) -> tuple[Found, float]:
        """Return all about *name*, and the seconds that it may be kept."""
        found, seconds = await follow(self.hop, self.asking, name, rdtype, errand)
        return replace(found, source=self.source), seconds

    async def hop(self, name: str, rdtype: str, errand: Errand) -> Hop:
        """Return what the last resolver says that was asked about *name*."""
        told = await self.told(Question(name, rdtype, recursive=True), errand)
        last = told[-1] if told else None
        if last and last.message and last.kind is Kind.SERVFAIL:
            # Does it fail for the sake of DNSSEC alone (RFC 4035 section 3.2.2)?
            again = await self.once(last.server, Question(name, rdtype, True, True), errand)
            if again.kind in SETTLED:
                return resolved_hop(name, again, cause("not-validated", last.why))
        if last and last.kind in SETTLED:
            return resolved_hop(name, last)
        if last is None or last.kind is Kind.SERVFAIL:
            return Resolved(Delegation("", ()), name, tuple(told))
        root = await self.told(Question("", "NS", recursive=True), errand)
        alive = root[-1].kind in SETTLED
        return Resolved(Delegation("", ()), name, tuple(told), alive=alive)

    async def told(self, question: Question, errand: Errand) -> list[Heard]:
        """Ask one resolver after the other; what serves stands last, or else a SERVFAIL."""
        told: list[Heard] = []
        for server in self.servers:
            told.append(await self.once(server, question, errand))
            if told[-1].kind in SETTLED:
                return told
        return sorted(told, key=lambda each: each.kind is Kind.SERVFAIL)

    async def once(self, server: Server, question: Question, errand: Errand) -> Heard:
        """Return what one resolver says."""
        try:
            (said,) = await self.asking.all((server,), question, errand)
            return resolved(said, question.name, question.rdtype)
        except Exhausted as end:
            return Heard(server, Kind.SILENT, why=end.why)

    async def zone(self, name: str, errand: Errand) -> tuple[str, tuple[Server, ...]] | None:
        """Return the apex of the zone of *name* and its servers, None when nobody tells."""
        apex = await self.apex(name, errand)
        if not apex:
            return None
        named = (await self.told(Question(apex, "NS", recursive=True), errand))[-1]
        servers: list[Server] = []
        for host in sorted(hosts_in(named.rrset))[:HOSTS]:
            for rdtype in ("A", "AAAA"):
                last = (await self.told(Question(host, rdtype, recursive=True), errand))[-1]
                found = filter(self.allowed, last.records)
                servers.extend(Server(host, each, self.port) for each in found)
        return apex, tuple(servers[:ADDRESSES])

    def allowed(self, address: str) -> bool:
        """Return whether a name server may be asked at an address that a zone gave."""
        return reach.allowed(address, self.public, (each.address for each in self.servers))

    async def apex(self, name: str, errand: Errand) -> str:
        """Return the apex of the zone of *name*: the owner of the SOA record above it."""
        while name:
            told = await self.told(Question(name, "SOA", recursive=True), errand)
            last = told[-1] if told else None
            if last is None or last.kind not in SETTLED:
                return ""
            if last.apex and under(name, last.apex):
                return last.apex
            name = name.partition(".")[2]
        return ""


@dataclass(frozen=True, slots=True)
class Resolved(Hop):
    """What resolvers say about a name; *alive*: one answers another question, if not this one."""

    alive: bool = False

    def unserved(self) -> tuple[Trouble, Cause]:
        """Return what it means that none of them answers: they cannot either, or are away."""
        trouble = Trouble.SERVERS_SILENT if self.alive else Trouble.CANNOT_LOOK
        if any(each.kind is Kind.SERVFAIL for each in self.heard):
            trouble = Trouble.SERVFAIL
        said = [cause("server", each.why, server=str(each.server)) for each in self.heard]
        return trouble, cause("resolvers", *said) if said else cause("no-resolvers")

    def unknown(self) -> tuple[Trouble, Cause]:
        """Return what "no such name" means, which a zone above the domain may say."""
        apex, domain = self.heard[-1].apex, registered(self.name)
        if apex is None:
            return Trouble.NX_DOMAIN, cause("no-such-name", name=self.name)
        if apex != domain and under(domain, apex):
            why = cause("unknown-name", zone=shown(apex), name=domain)
            return Trouble.NO_DELEGATION, why
        return Trouble.NX_DOMAIN, cause("unknown-name", zone=apex, name=self.name)


def resolved_hop(name: str, heard: Heard, dnssec: Cause | None = None) -> Resolved:
    """Return what one resolver says that answers."""
    return Resolved(Delegation(heard.apex or "", ()), name, (heard,), dnssec)
