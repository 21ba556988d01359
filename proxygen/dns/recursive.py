"""Resolvers asked to do the whole work: those the model names, or this host's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import dns.flags
import dns.rcode
import dns.rdatatype
from dns.message import Message

from proxygen.dns import reach
from proxygen.dns.answers import SETTLED, Found, Kind, Reply, Source, Trouble
from proxygen.dns.chain import further
from proxygen.dns.questions import Asking, Errand, Exhausted
from proxygen.dns.responses import (
    CHAIN,
    HOSTLESS,
    Heard,
    at,
    none,
    plain,
    presented,
    refusal,
    soa_of,
    under,
)
from proxygen.dns.wire import Question, Said, Server
from proxygen.host.suffixes import registered
from proxygen.names.causes import Cause, cause

HOSTS = 13
ADDRESSES = 26


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
        told = await self.told(Question(name, rdtype, recursive=True), errand)
        last = told[-1] if told else None
        if last is not None and last.message is not None and last.kind is Kind.SERVFAIL:
            return await self.unchecked(name, rdtype, told, errand)
        found, seconds = self.found(name, rdtype, told)
        if found.trouble is Trouble.CANNOT_LOOK:
            return await self.silent(found, errand), seconds
        return found, seconds

    async def told(self, question: Question, errand: Errand) -> list[Heard]:
        """Ask one resolver after the other; what serves stands last, or else a SERVFAIL."""
        told: list[Heard] = []
        for server in self.servers:
            told.append(await self.once(server, question, errand))
            if told[-1].kind in SETTLED:
                return told
        return sorted(told, key=lambda each: each.kind is Kind.SERVFAIL)

    async def unchecked(
        self, name: str, rdtype: str, told: Sequence[Heard], errand: Errand
    ) -> tuple[Found, float]:
        """Ask again without DNSSEC (RFC 4035 section 3.2.2): does it fail for its sake alone?"""
        failed = told[-1]
        heard = await self.once(failed.server, Question(name, rdtype, True, True), errand)
        if heard.kind not in SETTLED:
            return await self.circling(self.found(name, rdtype, told)[0], errand), 0.0
        found, _ = self.found(name, rdtype, [heard])
        return replace(found, dnssec=cause("not-validated", failed.why)), 0.0

    async def circling(self, found: Found, errand: Errand) -> Found:
        """Return *found*, which failed, with the chain of aliases if that is what failed.

        A resolver follows aliases itself, and fails where they lead in a circle or too far.
        """
        walked = found
        while not walked.trouble or walked.trouble is found.trouble:
            last = (walked.name, *walked.chain)[-1]
            told = await self.told(Question(last, "CNAME", recursive=True), errand)
            if not told or not told[-1].target:
                return found
            walked = further(walked, told[-1].target)
        return walked

    async def silent(self, found: Found, errand: Errand) -> Found:
        """Return *found* as the trouble of the name when a resolver answers other questions."""
        told = await self.told(Question("", "NS", recursive=True), errand)
        if not told or told[-1].kind not in SETTLED:
            return found
        return replace(found, trouble=Trouble.SERVERS_SILENT)

    async def once(self, server: Server, question: Question, errand: Errand) -> Heard:
        """Return what one resolver says."""
        try:
            return resolved((await self.asking.all((server,), question, errand))[0], question)
        except Exhausted as end:
            return Heard(server, Kind.SILENT, why=end.why)

    def found(self, name: str, rdtype: str, told: Sequence[Heard]) -> tuple[Found, float]:
        """Return what the last resolver found."""
        replies = tuple(each.reply() for each in told)
        if not told or told[-1].kind not in SETTLED:
            return self.nothing(name, rdtype, replies), 0.0
        last = told[-1]
        chain, trouble = followed(last, name) if rdtype != "CNAME" else ((), Trouble.NONE)
        end = chain[-1] if chain else name
        if last.kind is Kind.NX_DOMAIN and not trouble:
            trouble = absent(end, last.apex)
        found = Found(
            name,
            rdtype,
            () if trouble else last.records,
            chain,
            last.apex or "",
            replies[-1:],
            trouble,
            because(trouble, end, last),
            source=self.source,
        )
        return found, last.seconds

    def nothing(self, name: str, rdtype: str, replies: tuple[Reply, ...]) -> Found:
        """Return that no resolver answers, or that they cannot either."""
        failed = any(each.kind is Kind.SERVFAIL for each in replies)
        trouble = Trouble.SERVFAIL if failed else Trouble.CANNOT_LOOK
        said = [cause("server", each.why, server=each.server) for each in replies]
        why = (cause("resolvers", *said) if said else cause("no-resolvers"),)
        return Found(
            name, rdtype, replies=replies, trouble=trouble, because=why, source=self.source
        )

    async def zone(self, name: str, errand: Errand) -> tuple[str, tuple[Server, ...]] | None:
        """Return the apex of the zone of *name* and its servers, None when nobody tells."""
        apex = await self.apex(name, errand)
        if not apex:
            return None
        named = (await self.told(Question(apex, "NS", recursive=True), errand))[-1]
        targets = (each.target for each in named.rrset or () if hasattr(each, "target"))
        hosts = sorted(filter(None, map(plain, targets)))[:HOSTS]
        servers: list[Server] = []
        for host in hosts:
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


def resolved(said: Said, question: Question) -> Heard:
    """Return what a resolver says: the records at the end of the chain in its answer."""
    message = said.message
    if message is None:
        return Heard(said.server, said.kind, why=said.why)
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return refusal(said.server, message)
    if not message.flags & (dns.flags.RA | dns.flags.AA) and not message.answer:
        return Heard(said.server, Kind.REFUSED, why=cause("no-resolver"))
    wanted = dns.rdatatype.from_text(question.rdtype)
    passed = aliases(message, question.name) if wanted != dns.rdatatype.CNAME else []
    if "" in passed:
        return Heard(said.server, Kind.BROKEN, why=HOSTLESS)
    end = passed[-1] if passed else question.name
    soa = soa_of(message)
    apex = plain(soa.name) if soa else None
    rrset = at(message.answer, end, wanted)
    if rrset is None:
        return none(said.server, message, apex)
    return Heard(
        said.server,
        Kind.ANSWER,
        presented(rrset),
        target=plain(rrset[0].target) if wanted == dns.rdatatype.CNAME else "",
        apex=end if wanted == dns.rdatatype.SOA else apex,
        seconds=float(min(each.ttl for each in message.answer)),
        rrset=rrset,
        message=message,
    )


def aliases(message: Message, name: str) -> list[str]:
    """Return the targets of the CNAME records from *name* on, until one repeats."""
    targets: list[str] = []
    while len(targets) <= CHAIN and (alias := at(message.answer, name, dns.rdatatype.CNAME)):
        name = plain(alias[0].target)
        if name in targets:
            break
        targets.append(name)
    return targets


def followed(last: Heard, name: str) -> tuple[tuple[str, ...], Trouble]:
    """Return the chain in an answer, and whether it leads in a circle or too far."""
    if last.message is None:
        return (), Trouble.NONE
    chain = aliases(last.message, name)
    if len(chain) > CHAIN:
        return tuple(chain[:CHAIN]), Trouble.CHAIN_TOO_LONG
    again = chain and at(last.message.answer, chain[-1], dns.rdatatype.CNAME)
    return tuple(chain), Trouble.CNAME_LOOP if again or name in chain else Trouble.NONE


def absent(name: str, apex: str | None) -> Trouble:
    """Return what "no such name" means: the zone that says it stands above the domain, or not."""
    domain = registered(name)
    above = apex is not None and apex != domain and under(domain, apex)
    return Trouble.NO_DELEGATION if above else Trouble.NX_DOMAIN


def because(trouble: Trouble, name: str, last: Heard) -> tuple[Cause, ...]:
    """Return the detail of a trouble that a resolver tells."""
    if trouble is Trouble.NO_DELEGATION:
        return (cause("unknown-name", zone=last.apex or ".", name=registered(name)),)
    if trouble is Trouble.NX_DOMAIN and last.apex:
        return (cause("unknown-name", zone=last.apex, name=name),)
    if trouble is Trouble.NX_DOMAIN:
        return (cause("no-such-name", name=name),)
    return (cause("way-ends", name=name),) if trouble else ()
