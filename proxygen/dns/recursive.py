"""Resolvers asked to do the whole work: those the model names, or this host's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from proxygen.dns import reach
from proxygen.dns.answers import SETTLED, AnswerSource, LookupFailure, LookupResult, ReplyKind
from proxygen.dns.chain import follow
from proxygen.dns.delegation import ADDRESSES, HOSTS, Delegation, Hop
from proxygen.dns.questions import DnsClient, Errand, Exhausted
from proxygen.dns.responses import Heard, hosts_in, is_under, resolver_reply, zone_words
from proxygen.dns.wire import DnsQuestion, NameServer
from proxygen.host.suffixes import registered_domain
from proxygen.names.causes import Cause, cause


class Recursive:
    """Asks resolvers in their order, the next one when one does not serve.

    *public* tells which name servers of a zone may be asked besides those beside a resolver.
    """

    def __init__(
        self,
        asking: DnsClient,
        resolvers: Sequence[tuple[str, int]],
        port: int,
        source: AnswerSource,
        public: Callable[[str], bool],
    ) -> None:
        self.asking = asking
        self.public = public
        self.servers = tuple(NameServer("", address, number) for address, number in resolvers)
        self.port = port
        self.source = source

    async def resolve(self, name: str, rdtype: str, errand: Errand) -> tuple[LookupResult, float]:
        """Return all about *name*, and the seconds that it may be kept."""
        found, seconds = await follow(self.hop, self.asking, name, rdtype, errand)
        return replace(found, source=self.source), seconds

    async def hop(self, name: str, rdtype: str, errand: Errand) -> Hop:
        """Return what the last resolver says that was asked about *name*."""
        told = await self.told(DnsQuestion(name, rdtype, recursive=True), errand)
        last = told[-1] if told else None
        if last and last.message and last.kind is ReplyKind.SERVFAIL:
            # Does it fail for the sake of DNSSEC alone (RFC 4035 section 3.2.2)?
            again = await self.once(last.server, DnsQuestion(name, rdtype, True, True), errand)
            if again.kind in SETTLED:
                return resolved_hop(name, again, cause("not-validated", last.why))
        if last and last.kind in SETTLED:
            return resolved_hop(name, last)
        if last is None or last.kind is ReplyKind.SERVFAIL:
            return Resolved(Delegation("", ()), name, tuple(told))
        root = await self.told(DnsQuestion("", "NS", recursive=True), errand)
        alive = root[-1].kind in SETTLED
        return Resolved(Delegation("", ()), name, tuple(told), alive=alive)

    async def told(self, question: DnsQuestion, errand: Errand) -> list[Heard]:
        """Ask one resolver after the other; what serves stands last, or else a SERVFAIL."""
        told: list[Heard] = []
        for server in self.servers:
            told.append(await self.once(server, question, errand))
            if told[-1].kind in SETTLED:
                return told
        return sorted(told, key=lambda each: each.kind is ReplyKind.SERVFAIL)

    async def once(self, server: NameServer, question: DnsQuestion, errand: Errand) -> Heard:
        """Return what one resolver says."""
        try:
            (said,) = await self.asking.all((server,), question, errand)
            return resolver_reply(said, question.name, question.rdtype)
        except Exhausted as end:
            return Heard(server, ReplyKind.SILENT, why=end.why)

    async def zone(self, name: str, errand: Errand) -> tuple[str, tuple[NameServer, ...]] | None:
        """Return the apex of the zone of *name* and its servers, None when nobody tells."""
        apex = await self.apex(name, errand)
        if not apex:
            return None
        named = (await self.told(DnsQuestion(apex, "NS", recursive=True), errand))[-1]
        servers: list[NameServer] = []
        for host in sorted(hosts_in(named.rrset))[:HOSTS]:
            for rdtype in ("A", "AAAA"):
                last = (await self.told(DnsQuestion(host, rdtype, recursive=True), errand))[-1]
                found = filter(self.allowed, last.records)
                servers.extend(NameServer(host, each, self.port) for each in found)
        return apex, tuple(servers[:ADDRESSES])

    def allowed(self, address: str) -> bool:
        """Return whether a name server may be asked at an address that a zone gave."""
        return reach.may_connect(address, self.public, (each.address for each in self.servers))

    async def apex(self, name: str, errand: Errand) -> str:
        """Return the apex of the zone of *name*: the owner of the SOA record above it."""
        while name:
            told = await self.told(DnsQuestion(name, "SOA", recursive=True), errand)
            last = told[-1] if told else None
            if last is None or last.kind not in SETTLED:
                return ""
            if last.apex and is_under(name, last.apex):
                return last.apex
            name = name.partition(".")[2]
        return ""


@dataclass(frozen=True, slots=True)
class Resolved(Hop):
    """What resolvers say about a name; *alive*: one answers another question, if not this one."""

    alive: bool = False

    def unserved(self) -> tuple[LookupFailure, Cause]:
        """Return what it means that none of them answers: they cannot either, or are away."""
        trouble = LookupFailure.SERVERS_SILENT if self.alive else LookupFailure.CANNOT_LOOK
        if any(each.kind is ReplyKind.SERVFAIL for each in self.heard):
            trouble = LookupFailure.SERVFAIL
        said = [cause("server", each.why, server=str(each.server)) for each in self.heard]
        return trouble, cause("resolvers", *said) if said else cause("no-resolvers")

    def unknown(self) -> tuple[LookupFailure, Cause]:
        """Return what "no such name" means, which a zone above the domain may say."""
        apex, domain = self.heard[-1].apex, registered_domain(self.name)
        if apex is None:
            return LookupFailure.NX_DOMAIN, cause("no-such-name", name=self.name)
        if apex != domain and is_under(domain, apex):
            why = cause("unknown-name", zone=zone_words(apex), name=domain)
            return LookupFailure.NO_DELEGATION, why
        return LookupFailure.NX_DOMAIN, cause("unknown-name", zone=apex, name=self.name)


def resolved_hop(name: str, heard: Heard, dnssec: Cause | None = None) -> Resolved:
    """Return what one resolver says that answers."""
    return Resolved(Delegation(heard.apex or "", ()), name, (heard,), dnssec)
