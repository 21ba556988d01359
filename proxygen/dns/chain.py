"""A name followed over its CNAME records to the last one, each hop at all servers of its zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from proxygen.dns.answers import SETTLED, LookupFailure, LookupResult, ReplyKind
from proxygen.dns.delegation import Hop, Lost, Rootless
from proxygen.dns.questions import DnsClient, Errand, Exhausted
from proxygen.dns.responses import CHAIN, Heard
from proxygen.dns.wildcards import is_synthesized
from proxygen.names.causes import Cause, cause

Ask = Callable[[str, str, Errand], Awaitable[Hop]]
"""Asks whoever is responsible for a name of a type."""


async def follow(
    ask: Ask, asking: DnsClient, name: str, rdtype: str, errand: Errand
) -> tuple[LookupResult, float]:
    """Return all about *name*, and the seconds that it may be kept; raise Rootless."""
    found, seconds = LookupResult(name, rdtype), float("inf")
    try:
        while not found.failure:
            hop = await hop_at((name, *found.chain)[-1], rdtype, ask, errand)
            found, most = gather_hop(found, hop)
            seconds = min(seconds, most.seconds if most else 0.0)
            if most is None or not most.target or rdtype == "CNAME":
                break
            if name.startswith("_") and await is_made_up(hop, rdtype, ask, errand):
                found = replace(found, wildcard=most.target)
                break
            found = with_alias(found, most.target)
    except Rootless:
        raise
    except Lost as lost:
        found = with_failure(without_replies(found), lost.failure, lost.because, lost.zone)
    except Exhausted as end:
        found = with_failure(without_replies(found), LookupFailure.SERVERS_SILENT, (end.why,))
    if found.failure is LookupFailure.SERVERS_SILENT and asking.crowded_out(errand):
        found = with_failure(found, LookupFailure.CANNOT_LOOK, (cause("crowded-out"),))
    return found, seconds


async def is_made_up(hop: Hop, rdtype: str, ask: Ask, errand: Errand) -> bool:
    """Return whether a wildcard made the alias at the end of a hop."""

    async def told(sibling: str) -> Sequence[Heard]:
        try:
            return (await ask(sibling, rdtype, errand)).heard
        except Lost:  # which says nothing about the name itself
            return ()

    return await is_synthesized(hop.name, hop.heard, told)


async def hop_at(name: str, rdtype: str, ask: Ask, errand: Errand) -> Hop:
    """Ask for a name, or for its alias where servers fail, and none answers.

    Servers follow aliases too, and fail where these lead in a circle.
    """
    hop = await ask(name, rdtype, errand)
    kinds = {each.kind for each in hop.heard}
    if ReplyKind.SERVFAIL in kinds and not kinds & SETTLED:
        alias = await ask(name, "CNAME", errand)
        hop = alias if any(each.target for each in alias.heard) else hop
    return hop


def gather_hop(found: LookupResult, hop: Hop) -> tuple[LookupResult, Heard | None]:
    """Return what is known with what the servers of one more hop say, and what most of them say."""
    replies = found.replies if found.differing else tuple(each.reply() for each in hop.heard)
    dnssec = found.dnssec or hop.dnssec
    found = replace(found, zone=hop.zone.apex, replies=replies, dnssec=dnssec)
    settled = [each for each in hop.heard if each.kind in SETTLED]
    if not settled:
        trouble, why = hop.unserved()
        return with_failure(found, trouble, (why,)), None
    most = most_usual(settled)
    if most.kind is ReplyKind.NX_DOMAIN:
        trouble, why = hop.unknown()
        return with_failure(found, trouble, (why,)), most
    records = most.records if not most.target or found.rdtype == "CNAME" else ()
    return replace(found, records=records), most


def most_usual(settled: Sequence[Heard]) -> Heard:
    """Return what most servers say; an answer counts more than that there is none."""
    answers = [each for each in settled if each.kind is ReplyKind.ANSWER]
    others = [each for each in settled if each.kind is ReplyKind.NO_DATA]
    candidates = answers or others or settled
    counted = Counter(each.records for each in candidates)
    return max(candidates, key=lambda each: counted[each.records])


def with_alias(found: LookupResult, target: str) -> LookupResult:
    """Return what is known with one more alias passed."""
    seen = (found.name, *found.chain)
    longer = replace(found, chain=(*found.chain, target))
    if target in seen:
        why = cause("circle", chain=" -> ".join((*seen, target)))
        return with_failure(longer, LookupFailure.CNAME_LOOP, (why,))
    if len(longer.chain) > CHAIN:
        return with_failure(
            longer, LookupFailure.CHAIN_TOO_LONG, (cause("aliases", most=str(CHAIN)),)
        )
    return longer


def with_failure(
    found: LookupResult, trouble: LookupFailure, because: tuple[Cause, ...], zone: str | None = None
) -> LookupResult:
    """Return what is known with a trouble; records before it do not count."""
    zone = found.zone if zone is None else zone
    return replace(found, records=(), failure=trouble, because=because, zone=zone)


def without_replies(found: LookupResult) -> LookupResult:
    """Return what is known without the replies about an alias, which are not about its target."""
    return found if found.differing else replace(found, replies=())
