"""The addresses that a name resolves to, and what is wrong with its A and AAAA records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from proxygen.dns.answers import SETTLED, LookupResult
from proxygen.model.hosts import is_address
from proxygen.names.states import Finding
from proxygen.preflight.findings import answers_of, finding, lookup_finding, said_by
from proxygen.preflight.reachability import MOST, address_order, family_of, type_of


def usable_addresses(found: LookupResult) -> frozenset[str]:
    """Return the addresses that anybody may be given: where servers differ, those of each.

    Where the signatures are wrong nobody is given any (RFC 4035 section 5.5).
    """
    if found.dnssec or found.failure:
        return frozenset()
    replies = found.replies if found.differing else ()
    given = {each for reply in replies if reply.kind in SETTLED for each in reply.records}
    return frozenset(each for each in (*found.records, *given) if is_address(each))


def addresses_of(looks: Sequence[LookupResult]) -> tuple[str, ...]:
    """Return all addresses of a name, IPv6 first."""
    return tuple(
        sorted({each for found in looks for each in usable_addresses(found)}, key=address_order)
    )


def addresses_to_ask(addresses: Collection[str]) -> tuple[str, ...]:
    """Return the addresses that are looked at: so many of a family."""
    six = [each for each in addresses if ":" in each]
    four = [each for each in addresses if ":" not in each]
    return (*six[:MOST], *four[:MOST])


def left_out(addresses: Collection[str]) -> Iterator[Finding]:
    """Yield that not all addresses are looked at."""
    for each in sorted({family_of(address) for address in addresses}):
        count = sum(family_of(address) == each for address in addresses)
        if count > MOST:
            record = type_of("::" if each == "IPv6" else "")
            yield finding("too-many", grave=False, type=record, count=str(count), most=str(MOST))


def address_findings(looks: Sequence[LookupResult]) -> Iterator[Finding]:
    """Yield why there are no addresses, of one type or of both.

    It is no reason to wait while the other type has some: authorities take those. Of what goes
    wrong with both it is told once.
    """
    known = {each.code: each for found in looks if (each := lookup_finding(found))}
    if addresses_of(looks):
        yield from (replace(each, grave=False) for each in known.values())
    else:
        yield from known.values() or (finding("no-address"),)


def differing_servers(
    looks: Sequence[LookupResult], of_addresses: Collection[Finding]
) -> Iterator[Finding]:
    """Yield that servers differ; it matters where an answer of one of them is wrong.

    Many give other addresses to everybody who asks, and each of these may lead here.
    """
    unlike = [each for each in looks if each.differing]
    if unlike:
        wrong = knows_no_address(looks) or any(each.grave for each in of_addresses)
        yield finding("differing", *answers_of(looks), grave=wrong, zone=unlike[0].zone)


def knows_no_address(looks: Sequence[LookupResult]) -> bool:
    """Return whether a server knows no address, or says that the name is another one's alias."""
    said = said_by(looks).values()
    whole = [list(chain(*each)) for each in said if len(each) == len(looks)]
    return any(not any(map(is_address, each)) for each in whole)
