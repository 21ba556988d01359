"""The CAA records that hold for a name, found by climbing (RFC 8659 section 3), and judged."""

from __future__ import annotations

from collections.abc import Iterator

from proxygen.dns.answers import Found, Trouble
from proxygen.names.caa import allows, listed, needed
from proxygen.names.states import Finding
from proxygen.preflight.asked import Asked, Looker
from proxygen.preflight.findings import finding, trouble

ABSENT = frozenset({Trouble.NX_DOMAIN, Trouble.NO_DELEGATION})
"""A name that is not there has no records; whether it should be is told by others."""


def upwards(name: str) -> Iterator[str]:
    """Yield a name and those above it, without the root."""
    while name:
        yield name
        name = name.partition(".")[2]


async def climbed(looker: Looker, name: str) -> Found:
    """Return the first answer with CAA records, or with a trouble, from *name* upwards.

    Where there is none at all, the answer about the name itself: empty.
    """
    first = await looker.look(name, "CAA")
    found = first
    for above in upwards(name.partition(".")[2]):
        if found.records or stops(found):
            return found
        found = await looker.look(above, "CAA")
    return found if found.records or stops(found) else first


def stops(found: Found) -> bool:
    """Return whether nobody can know whether there are records: an authority then refuses."""
    return bool(found.dnssec) or bool(found.trouble and found.trouble not in ABSENT)


def judged(asked: Asked, found: Found) -> Iterator[Finding]:
    """Yield why the first authority would refuse because of the CAA records that hold."""
    identities = asked.authority.caa_identities
    if stops(found):
        yield failed(found, grave=bool(identities))
    elif identities:
        yield from refused(asked, found)


def failed(found: Found, *, grave: bool) -> Finding:
    """Return that CAA cannot be looked up; our own trouble is not grave."""
    why = trouble(found)
    causes = (why.as_cause(),) if why and why.code != "cannot-look" else found.because
    grave = grave and found.trouble is not Trouble.CANNOT_LOOK
    return finding("caa-lookup", *causes, grave=grave, domain=found.name)


def refused(asked: Asked, found: Found) -> Iterator[Finding]:
    """Yield what the records forbid; where servers differ, none may forbid it."""
    authority, wildcard = asked.authority, asked.is_wildcard
    for records in sets(found):
        verdict = allows(
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
                needed=listed(authority.caa_identities),
                records=", ".join(sorted(records)),
                record=needed(authority.caa_identities, wildcard=wildcard),
            )
            return


def sets(found: Found) -> list[tuple[str, ...]]:
    """Return each set of records that a server gives, none of them an alias."""
    if not found.differing:
        return [found.records]
    given = {each.records for each in found.replies if each.records}
    return sorted(each for each in given if not each[0].startswith("CNAME "))
