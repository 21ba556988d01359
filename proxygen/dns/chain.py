"""A name followed over its CNAME records to the last one, each hop at all servers of its zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxygen.dns.answers import SETTLED, Found, Kind, Trouble
from proxygen.dns.delegation import Delegations, Hop, Lost, Rootless, unserved
from proxygen.dns.questions import Errand, Exhausted
from proxygen.dns.responses import CHAIN, Heard, shown
from proxygen.dns.signatures import Signatures
from proxygen.names.causes import Cause, cause


@dataclass(slots=True)
class Followed:
    """What is known so far; *seconds* is how long the shortest-lived part may be kept."""

    found: Found
    seconds: float = float("inf")


async def follow(
    delegations: Delegations, signatures: Signatures, name: str, rdtype: str, errand: Errand
) -> tuple[Found, float]:
    """Return all about *name*, and the seconds that it may be kept; raise Rootless."""
    so_far = Followed(Found(name, rdtype))
    try:
        while target := await step(delegations, signatures, so_far, errand):
            so_far.found = further(so_far.found, target)
            if so_far.found.trouble:
                break
    except Rootless:
        raise
    except Lost as lost:
        so_far.found = in_trouble(unanswered(so_far.found), lost.trouble, lost.because, lost.zone)
    except Exhausted as end:
        so_far.found = in_trouble(unanswered(so_far.found), Trouble.SERVERS_SILENT, (end.why,))
    if so_far.found.trouble is Trouble.SERVERS_SILENT and delegations.asking.crowded_out(errand):
        so_far.found = in_trouble(so_far.found, Trouble.CANNOT_LOOK, (cause("crowded-out"),))
    return so_far.found, so_far.seconds


async def step(
    delegations: Delegations, signatures: Signatures, so_far: Followed, errand: Errand
) -> str:
    """Ask for the name at the end of the chain; return the target of its alias, if it is one."""
    found = so_far.found
    name = (found.name, *found.chain)[-1]
    hop = await delegations.hop(name, found.rdtype, errand)
    if failing(hop):  # servers follow aliases too, and fail where these lead in a circle
        alias = await delegations.hop(name, "CNAME", errand)
        hop = alias if any(each.target for each in alias.heard) else hop
    dnssec = found.dnssec or await signatures.wrong(hop, errand)
    so_far.found, most = gathered(replace(found, dnssec=dnssec), hop)
    so_far.seconds = min(so_far.seconds, most.seconds if most else 0.0)
    return most.target if most and found.rdtype != "CNAME" else ""


def failing(hop: Hop) -> bool:
    """Return whether servers fail, and none answers."""
    kinds = {each.kind for each in hop.heard}
    return Kind.SERVFAIL in kinds and not kinds & SETTLED


def gathered(found: Found, hop: Hop) -> tuple[Found, Heard | None]:
    """Return what is known with what the servers of one more hop say, and what most of them say."""
    replies = found.replies if found.differing else tuple(each.reply() for each in hop.heard)
    found = replace(found, zone=hop.zone.apex, replies=replies)
    settled = [each for each in hop.heard if each.kind in SETTLED]
    if not settled:
        trouble, why = unserved(hop.zone, hop.heard)
        return in_trouble(found, trouble, (why,), hop.zone.apex), None
    most = usual(settled)
    if most.kind is Kind.NX_DOMAIN:
        why = cause("unknown-name", zone=shown(hop.zone.apex), name=hop.name)
        return in_trouble(found, Trouble.NX_DOMAIN, (why,), hop.zone.apex), most
    records = most.records if not most.target or found.rdtype == "CNAME" else ()
    return replace(found, records=records), most


def usual(settled: Sequence[Heard]) -> Heard:
    """Return what most servers say; an answer counts more than that there is none."""
    answers = [each for each in settled if each.kind is Kind.ANSWER]
    others = [each for each in settled if each.kind is Kind.NO_DATA]
    candidates = answers or others or settled
    counted = Counter(each.records for each in candidates)
    return max(candidates, key=lambda each: counted[each.records])


def further(found: Found, target: str) -> Found:
    """Return what is known with one more alias passed."""
    seen = (found.name, *found.chain)
    longer = replace(found, chain=(*found.chain, target))
    if target in seen:
        why = cause("circle", chain=" -> ".join((*seen, target)))
        return in_trouble(longer, Trouble.CNAME_LOOP, (why,))
    if len(longer.chain) > CHAIN:
        return in_trouble(longer, Trouble.CHAIN_TOO_LONG, (cause("aliases", most=str(CHAIN)),))
    return longer


def in_trouble(
    found: Found, trouble: Trouble, because: tuple[Cause, ...], zone: str | None = None
) -> Found:
    """Return what is known with a trouble; records before it do not count."""
    zone = found.zone if zone is None else zone
    return replace(found, records=(), trouble=trouble, because=because, zone=zone)


def unanswered(found: Found) -> Found:
    """Return what is known without the replies about an alias, which are not about its target."""
    return found if found.differing else replace(found, replies=())
