"""What the DNS says about a name -> findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from proxygen.host.suffixes import registered
from proxygen.lookup.answers import SETTLED, Found, Kind, Trouble
from proxygen.plan.language import one_line
from proxygen.plan.names import Finding

ARROW = " → "


def finding(code: str, *, grave: bool = True, **facts: str) -> Finding:
    """Return a finding; what others said in its facts is bounded and made printable."""
    return Finding(code, bounded(facts), grave)


def bounded(facts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return facts as they are kept."""
    return tuple((name, one_line(value)) for name, value in facts.items())


def trouble(found: Found) -> Finding | None:
    """Return why an authority gets no answer either, None when there is one.

    What is our own trouble is not grave: the authority may well be able to look.
    """
    if found.trouble is Trouble.CANNOT_LOOK:
        return finding("cannot-look", grave=False, words=found.words)
    if found.dnssec:
        return finding("dnssec", zone=found.zone or found.name, words=found.dnssec)
    if found.trouble:
        return Finding(str(found.trouble), bounded(facts_of(found)))
    return None


def facts_of(found: Found) -> dict[str, str]:
    """Return the facts of a trouble."""
    end = found.chain[-1] if found.chain else found.name
    zone = found.zone or registered(end)
    facts: Mapping[Trouble, dict[str, str]] = {
        Trouble.NX_DOMAIN: {"name": end, "zone": zone},
        Trouble.NO_DELEGATION: {"domain": registered(end)},
        Trouble.SERVERS_SILENT: {"zone": zone, "servers": unserving(found)},
        Trouble.SERVERS_LAME: {"zone": zone, "servers": unserving(found)},
        Trouble.SERVFAIL: {"zone": zone, "words": found.words or "SERVFAIL"},
        Trouble.CNAME_LOOP: {"chain": ARROW.join((found.name, *found.chain))},
        Trouble.CHAIN_TOO_LONG: {"chain": ARROW.join((found.name, *found.chain))},
    }
    return facts[found.trouble]


def unserving(found: Found) -> str:
    """Return the servers that give no answer."""
    servers = sorted({each.server for each in found.replies if each.kind not in SETTLED})
    return ", ".join(servers) or found.words


def servers_of(*looks: Found) -> tuple[str, ...]:
    """Return who was asked."""
    servers = {each.server for found in looks for each in found.replies}
    return tuple(one_line(each) for each in sorted(servers))


def said_by(looks: Iterable[Found]) -> dict[str, list[tuple[str, ...]]]:
    """Return what each server says, one answer for each look at which it gave one."""
    said: dict[str, list[tuple[str, ...]]] = {}
    for found in looks:
        for each in found.replies:
            if each.kind in SETTLED:
                told = (str(each.kind),) if each.kind is Kind.NX_DOMAIN else each.records
                said.setdefault(each.server, []).append(told)
    return said


def answers_of(looks: Iterable[Found]) -> str:
    """Return what each server says, in one line."""
    said = sorted(said_by(looks).items())
    lists = ((server, ", ".join(dict.fromkeys(chain(*told)))) for server, told in said)
    return "; ".join(f"{server}: {told or 'nothing'}" for server, told in lists)
