"""The CAA records that hold for a name, found by climbing (RFC 8659 section 3), and judged."""

from __future__ import annotations

from collections.abc import Iterator

from proxygen.dns.answers import LookupFailure, LookupResult
from proxygen.names.caa import caa_decision, identity_words, needed_record
from proxygen.names.states import Finding
from proxygen.preflight.asked import Asked, NameResolver
from proxygen.preflight.findings import finding, lookup_finding

ABSENT = frozenset({LookupFailure.NX_DOMAIN, LookupFailure.NO_DELEGATION})
"""A name that is not there has no records; whether it should be is told by others."""


def names_upwards(name: str) -> Iterator[str]:
    """Yield a name and those above it, without the root."""
    while name:
        yield name
        name = name.partition(".")[2]


async def climbed(resolver: NameResolver, name: str) -> LookupResult:
    """Return the first answer with CAA records, or with a trouble, from *name* upwards.

    Where there is none at all, the answer about the name itself: empty.
    """
    first = await resolver.resolve(name, "CAA")
    found = first
    for above in names_upwards(name.partition(".")[2]):
        if found.records or lookup_stops(found):
            return found
        found = await resolver.resolve(above, "CAA")
    return found if found.records or lookup_stops(found) else first


def lookup_stops(found: LookupResult) -> bool:
    """Return whether nobody can know whether there are records: an authority then refuses."""
    return bool(found.dnssec) or bool(found.failure and found.failure not in ABSENT)


def caa_findings(asked: Asked, found: LookupResult) -> Iterator[Finding]:
    """Yield why the first authority would refuse because of the CAA records that hold."""
    identities = asked.authority.caa_identities
    if lookup_stops(found):
        yield caa_lookup_failed(found, grave=bool(identities))
    elif identities:
        yield from caa_refusals(asked, found)


def caa_lookup_failed(found: LookupResult, *, grave: bool) -> Finding:
    """Return that CAA cannot be looked up; our own trouble is not grave."""
    why = lookup_finding(found)
    causes = (why.as_cause(),) if why and why.code != "cannot-look" else found.because
    grave = grave and found.failure is not LookupFailure.CANNOT_LOOK
    return finding("caa-lookup", *causes, grave=grave, domain=found.name)


def caa_refusals(asked: Asked, found: LookupResult) -> Iterator[Finding]:
    """Yield what the records forbid; where servers differ, none may forbid it."""
    authority, wildcard = asked.authority, asked.is_wildcard
    for records in record_sets(found):
        verdict = caa_decision(
            records,
            authority.caa_identities,
            authority.account,
            asked.challenge,
            wildcard=wildcard,
        )
        if not verdict.allowed:
            yield finding(
                "caa",
                verdict.cause,
                domain=found.name,
                needed=identity_words(authority.caa_identities),
                records=", ".join(sorted(records)),
                record=needed_record(authority.caa_identities, wildcard=wildcard),
            )
            return


def record_sets(found: LookupResult) -> list[tuple[str, ...]]:
    """Return each set of records that a server gives, none of them an alias."""
    if not found.differing:
        return [found.records]
    given = {each.records for each in found.replies if each.records}
    return sorted(each for each in given if not each[0].startswith("CNAME "))
