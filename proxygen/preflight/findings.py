"""What the DNS says about a name -> findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from proxygen.dns.answers import SETTLED, LookupFailure, LookupResult, ReplyKind
from proxygen.host.suffixes import registered_domain
from proxygen.languages.lines import one_line
from proxygen.names.causes import Cause, bounded_causes, bounded_facts, cause
from proxygen.names.states import Finding

ARROW = " → "


def finding(code: str, *because: Cause | None, grave: bool = True, **facts: str) -> Finding:
    """Return a finding; what others said in its facts is bounded and made printable."""
    return Finding(code, bounded_facts(facts), grave, bounded_causes(because))


def lookup_finding(found: LookupResult) -> Finding | None:
    """Return why an authority gets no answer either, None if there is one.

    What is our own trouble is not grave: the authority may well be able to look.
    """
    if found.failure is LookupFailure.CANNOT_LOOK:
        return finding("cannot-look", *found.because, grave=False)
    if found.dnssec:
        return finding("dnssec", found.dnssec, zone=found.zone or found.name)
    if found.failure:
        return Finding(
            str(found.failure),
            bounded_facts(facts_of(found)),
            True,
            bounded_causes(causes_of(found)),
        )
    return None


def causes_of(found: LookupResult) -> tuple[Cause, ...]:
    """Return why name servers give no answer, for a sentence that says where."""
    if found.failure in (LookupFailure.SERVERS_SILENT, LookupFailure.SERVERS_LAME):
        servers = silent_servers(found)
        return (cause("servers", servers=servers),) if servers else found.because
    if found.failure is LookupFailure.SERVFAIL:
        return found.because or (cause("answers", rcode="SERVFAIL"),)
    return ()


def facts_of(found: LookupResult) -> dict[str, str]:
    """Return the facts of a trouble."""
    end = found.chain[-1] if found.chain else found.name
    zone = found.zone or registered_domain(end)
    facts: Mapping[LookupFailure, dict[str, str]] = {
        LookupFailure.NX_DOMAIN: {"name": end, "zone": zone},
        LookupFailure.NO_DELEGATION: {"domain": registered_domain(end)},
        LookupFailure.SERVERS_SILENT: {"zone": zone},
        LookupFailure.SERVERS_LAME: {"zone": zone},
        LookupFailure.SERVFAIL: {"zone": zone},
        LookupFailure.CNAME_LOOP: {"chain": ARROW.join((found.name, *found.chain))},
        LookupFailure.CHAIN_TOO_LONG: {"chain": ARROW.join((found.name, *found.chain))},
    }
    return facts[found.failure]


def silent_servers(found: LookupResult) -> str:
    """Return the servers that give no answer, empty if none was asked."""
    servers = sorted({each.server for each in found.replies if each.kind not in SETTLED})
    return ", ".join(servers)


def servers_of(*looks: LookupResult) -> tuple[str, ...]:
    """Return who was asked."""
    servers = {each.server for found in looks for each in found.replies}
    return tuple(one_line(each) for each in sorted(servers))


def said_by(looks: Iterable[LookupResult]) -> dict[str, list[tuple[str, ...]]]:
    """Return what each server says, one answer for each look at which it gave one."""
    said: dict[str, list[tuple[str, ...]]] = {}
    for found in looks:
        for each in found.replies:
            if each.kind in SETTLED:
                told = (str(each.kind),) if each.kind is ReplyKind.NX_DOMAIN else each.records
                said.setdefault(each.server, []).append(told)
    return said


def answers_of(looks: Iterable[LookupResult]) -> Iterator[Cause]:
    """Yield what each server says."""
    for server, told in sorted(said_by(looks).items()):
        said = [each for each in dict.fromkeys(chain(*told)) if each != ReplyKind.NX_DOMAIN]
        if said:
            yield cause("shows", server=server, records=", ".join(said))
        elif (str(ReplyKind.NX_DOMAIN),) in told:
            yield cause("shows-no-name", server=server)
        else:
            yield cause("shows-nothing", server=server)
