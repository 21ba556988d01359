"""Resolving: look a name up, at the servers responsible or at resolvers, and keep the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from functools import partial

import dns.exception
import dns.name
import dns.rdatatype

from proxygen.dns import system as host
from proxygen.dns.answers import SETTLED, AnswerSource, Led, LookupFailure, LookupResult, ReplyKind
from proxygen.dns.cache import ANSWERS, FAILURE, NEGATIVE, Cache, clamp
from proxygen.dns.chain import follow
from proxygen.dns.delegation import Delegations, Hop, Lost, Rootless
from proxygen.dns.questions import DnsClient, Errand, Exhausted
from proxygen.dns.reach import is_public, is_routed
from proxygen.dns.recursive import Recursive
from proxygen.dns.responses import CHAIN, Heard, is_under, read_response
from proxygen.dns.roots import ROOTS
from proxygen.dns.signatures import Signatures
from proxygen.dns.wildcards import is_synthesized
from proxygen.dns.wire import DnsQuestion, NameServer
from proxygen.host.suffixes import registered_domain
from proxygen.languages.lines import terminal_text
from proxygen.names.causes import Cause, cause

SECONDS = 20.0
"""How long one look may take, whatever servers do."""
QUESTIONS = 250
"""How many questions one look may cost, wherever name servers lead."""
ROOTLESS = 600.0
"""How long this host's resolvers are asked at once after no root server could be reached."""
LOOKS = 4
"""Looks at a time for each question in flight: those that wait for dead servers ask little."""


class Resolver:
    """Looks names up; made once, used from one event loop after the other.

    Without *resolvers* it asks from the root servers down, without recursion; with them it asks
    these, in their order. *port* is that of every authoritative server. It waits *patience*
    seconds for an answer, asks *tries* times, and no look takes longer than *within* seconds.

    From public root servers down only *public* addresses are asked: a customer's zone does not make
    this host knock at name servers in a private network. With resolvers, those beside one of them
    are asked too.
    """

    def __init__(
        self,
        resolvers: Sequence[tuple[str, int]] = (),
        *,
        roots: Sequence[str] = ROOTS,
        port: int = 53,
        in_flight: int = 50,
        patience: float = 3.0,
        tries: int = 2,
        within: float = SECONDS,
        ticks: Callable[[], float] = time.monotonic,
        system: Callable[[], Sequence[tuple[str, int]]] = host.system_resolvers,
        routed: Callable[[str], bool] = is_routed,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        self.asking = DnsClient(in_flight, patience, tries, ticks)
        self.cache = Cache(ticks)
        self.delegations = Delegations(self.asking, self.cache, roots, port, routed, public)
        self.signatures = Signatures(self.delegations, self.cache)
        self.port = port
        self.public = public
        self.within = within
        self.system = system
        self._resolvers = tuple(resolvers)
        self._turns = Turns(in_flight * LOOKS)

    async def resolve(self, name: str, rdtype: str) -> LookupResult:
        """Return what the DNS says about *name*; whatever it does, this does not raise."""
        name = name.lower().removesuffix(".")
        key = ("look", name, rdtype)
        if (kept := self.cache.get(key)) is not None:
            return kept  # type: ignore[no-any-return]
        if why := why_unaskable(name, rdtype):
            return LookupResult(name, rdtype, failure=LookupFailure.CANNOT_LOOK, because=(why,))
        return await self._turns.once(key, lambda: self._resolve(name, rdtype))

    async def led(self, name: str, rdtype: str, delegated: Collection[str] = ()) -> Led:
        """Return where *name* leads, and what each server says now of the end of the way.

        That is past everything kept; no reply where the zone is not known. An alias that a wildcard
        made is not followed, unless it leads into a zone that is *delegated* to us.

        No resolver is asked about a name that begins with ``_``, or about the target of an alias:
        it would remember that nothing is there, and an authority that asks the same resolver
        would not see what is written a moment later.
        """
        name = name.lower().removesuffix(".")
        if why_unaskable(name, rdtype):
            return Led()
        errand = self.errand(name, fresh=True)
        told: Sequence[Heard] = ()
        passed, place, apex, wildcard = [name], host_part(name), "", ""
        while len(passed) <= CHAIN + 1 and passed[-1] not in passed[:-1]:
            apex, told = await self._now(place, passed[-1], rdtype, errand)
            target = next((each.target for each in told if each.target), "")
            if not target:
                break
            if not any(is_under(target, zone) for zone in delegated) and await is_synthesized(
                passed[-1], told, partial(self._beside, place, rdtype, errand)
            ):
                told, wildcard = [without_alias(each, apex) for each in told], target
                break
            passed.append(target)
            place = target.partition(".")[2] or target
        zone = next((each.apex for each in told if each.apex is not None), "")
        circling = len(passed) > CHAIN + 1 or passed[-1] in passed[:-1]
        crowded = self.asking.crowded_out(errand)
        replies = tuple(each.reply() for each in told)
        return Led(tuple(passed[1:]), replies, zone, circling, crowded, wildcard)

    def forget(self, name: str) -> None:
        """Forget what the DNS said of a name, and who serves its domain: it may have changed."""
        for rdtype in ("A", "AAAA", "CAA", "TXT"):
            found = self.cache.get(("look", name, rdtype))
            for each in (name, *(found.chain if found else ())):
                self.cache.drop(("look", each, rdtype))
        self.cache.drop(("zone", registered_domain(name)))

    def errand(self, name: str, *, fresh: bool = False) -> Errand:
        """Return what a look at *name* may cost; all names of a domain are one party."""
        return Errand(self.within, QUESTIONS, party=registered_domain(name), fresh=fresh)

    async def _resolve(self, name: str, rdtype: str) -> LookupResult:
        found, seconds = await self._found(name, rdtype, self.errand(name))
        self.cache.put(("look", name, rdtype), found, kept_for(found, seconds), result_size(found))
        return found

    async def _found(self, name: str, rdtype: str, errand: Errand) -> tuple[LookupResult, float]:
        try:
            if recursive := self._recursive():
                return await self._apart(name, rdtype) or await recursive.resolve(
                    name, rdtype, errand
                )
            return await follow(self._hop, self.asking, name, rdtype, errand)
        except Rootless:
            return await self._without_roots().resolve(name, rdtype, errand)

    async def _hop(self, name: str, rdtype: str, errand: Errand) -> Hop:
        hop = await self.delegations.hop(name, rdtype, errand)
        wrong = await self.signatures.wrong(hop, errand)
        return replace(hop, dnssec=wrong) if wrong else hop

    async def _apart(self, name: str, rdtype: str) -> tuple[LookupResult, float] | None:
        """Return what the servers of a zone say of a name that begins with ``_``, past resolvers.

        These would remember that nothing is there yet. None for any other name, and where no
        server of the zone can be asked from here.
        """
        if host_part(name) == name:
            return None
        led = await self.led(name, rdtype)
        settled = [each for each in led.replies if each.kind in SETTLED]
        if not settled and not led.circling:
            return None
        place = await self.resolve(host_part((led.targets or (name,))[-1]), "SOA")
        trouble = LookupFailure.CNAME_LOOP if led.circling else LookupFailure.NONE
        if settled and all(each.kind is ReplyKind.NX_DOMAIN for each in settled):
            trouble = LookupFailure.NX_DOMAIN
        found = LookupResult(
            name,
            rdtype,
            records=next((each.records for each in settled if each.records), ()),
            chain=led.targets,
            zone=led.zone,
            replies=led.replies,
            failure=trouble,
            dnssec=place.dnssec,
            wildcard=led.wildcard,
            source=place.source,
        )
        return found, FAILURE

    def _recursive(self) -> Recursive | None:
        """Return the resolvers to ask, None to ask from the root servers down."""
        if self._resolvers:
            return Recursive(
                self.asking, self._resolvers, self.port, AnswerSource.RESOLVERS, self.public
            )
        return self.cache.get("rootless")  # type: ignore[no-any-return]

    def _without_roots(self) -> Recursive:
        """Return this host's resolvers, and keep for a while that no root server answers."""
        recursive = Recursive(
            self.asking, self.system(), self.port, AnswerSource.SYSTEM, self.public
        )
        self.cache.put("rootless", recursive, ROOTLESS)
        return recursive

    async def zone(self, name: str, errand: Errand) -> tuple[str, Sequence[NameServer]] | None:
        """Return the apex of the zone of *name*, and every server of it; None when nobody knows."""
        try:
            if recursive := self._recursive():
                return await recursive.zone(name, errand)
            zone = (await self.delegations.hop(name, "SOA", errand)).zone
            return zone.apex, await self.delegations.every(zone, errand)
        except Rootless:
            return await self._without_roots().zone(name, errand)
        except (Lost, Exhausted):
            return None

    async def _now(
        self, place: str, name: str, rdtype: str, errand: Errand
    ) -> tuple[str, Sequence[Heard]]:
        """Return the zone of *name*, which is that of *place* or below, and what its servers say.

        Nothing when there is no time left.
        """
        zone = await self.zone(place, errand)
        told = await self._by(zone, name, rdtype, errand)
        if cut := next((each.cut for each in told if each.cut), ""):
            zone = await self.zone(cut, errand)
            told = await self._by(zone, name, rdtype, errand)
        return (zone[0] if zone else ""), told

    async def _beside(
        self, place: str, rdtype: str, errand: Errand, sibling: str
    ) -> Sequence[Heard]:
        """Return what the servers say of another name in the zone of *place*, or below."""
        return (await self._now(place, sibling, rdtype, errand))[1]

    async def _by(
        self, zone: tuple[str, Sequence[NameServer]] | None, name: str, rdtype: str, errand: Errand
    ) -> Sequence[Heard]:
        """Return what the servers of a zone say about *name*."""
        if zone is None:
            return ()
        apex, servers = zone
        near = self.delegations.within_reach(servers)
        try:
            said = await self.asking.all(near, DnsQuestion(name, rdtype), errand)
        except Exhausted:
            return ()
        return [read_response(each, apex, name, rdtype) for each in said]


def host_part(name: str) -> str:
    """Return *name* without the labels at its begin that no host has (RFC 8552)."""
    while name.startswith("_") and "." in name:
        name = name.partition(".")[2]
    return name


def without_alias(heard: Heard, apex: str) -> Heard:
    """Return what a server of the zone at *apex* says of a name itself: no wildcard's alias."""
    return Heard(heard.server, ReplyKind.NO_DATA, apex=apex) if heard.target else heard


class Turns:
    """So many looks at a time, and the same one only once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(most)
        self._under_way: dict[object, asyncio.Task[LookupResult]] = {}

    async def once(
        self, key: object, look: Callable[[], Coroutine[None, None, LookupResult]]
    ) -> LookupResult:
        """Return what *look* does; who asks for the same meanwhile gets the same."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._slots, self._under_way = loop, asyncio.Semaphore(self.most), {}
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = loop.create_task(self._in_turn(key, look))
        return await asyncio.shield(task)

    async def _in_turn(
        self, key: object, look: Callable[[], Coroutine[None, None, LookupResult]]
    ) -> LookupResult:
        try:
            async with self._slots:
                return await look()
        finally:
            self._under_way.pop(key, None)


def kept_for(found: LookupResult, seconds: float) -> float:
    """Return how long an answer is kept, when its records say *seconds*."""
    absent = found.failure in (LookupFailure.NX_DOMAIN, LookupFailure.NO_DELEGATION)
    if absent or not (found.failure or found.records):
        return clamp(seconds, NEGATIVE)
    if found.failure or found.dnssec or found.differing:
        return FAILURE
    return clamp(seconds, ANSWERS)


def result_size(found: LookupResult) -> int:
    """Return about how many letters are in what was found."""
    texts = (found.records, *(each.records for each in found.replies))
    return sum(len(each) for records in texts for each in records)


def why_unaskable(name: str, rdtype: str) -> Cause | None:
    """Return why no server can be asked, None when one can."""
    try:
        dns.name.from_text(name)
        dns.rdatatype.from_text(rdtype)
    except (dns.exception.DNSException, ValueError) as error:
        return cause("no-question", words=terminal_text(str(error)))
    return None if name and "\\" not in name else cause("no-name")
