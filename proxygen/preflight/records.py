"""Names that records prove: dns-01 (RFC 8555 section 8.4) and dns-persist-01."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from proxygen.dns.answers import LookupFailure, LookupResult
from proxygen.dns.responses import is_under
from proxygen.languages.lines import terminal_text
from proxygen.model import persist
from proxygen.model.certificate import DNS, PERSIST
from proxygen.names.causes import cause
from proxygen.names.states import Finding
from proxygen.preflight.asked import Asked
from proxygen.preflight.findings import finding, lookup_finding
from proxygen.solvers.dns01_records import may_stand

CHALLENGE = "_acme-challenge."


def place_of(asked: Asked) -> str:
    """Return where the TXT record stands that proves a name."""
    return persist.name(asked.host) if asked.challenge == PERSIST else CHALLENGE + asked.host


def record_findings(asked: Asked, found: LookupResult, now: datetime) -> Iterator[Finding]:
    """Yield what is wrong with the place of the record; and that it is missing, if it stays."""
    if wrong := unwritable_record(found):
        yield wrong
    elif asked.challenge == DNS and found.wildcard:
        yield from alias_of_wildcard(asked, found)
    elif asked.challenge == DNS and found.chain:
        yield from alias_astray(asked, found)
    elif asked.challenge == PERSIST:
        yield from missing_record(asked, found, now)


def unwritable_record(found: LookupResult) -> Finding | None:
    """Return why no authority would find a record there; that there is none yet is no reason."""
    why = lookup_finding(found)
    if why is None or why.code in ("nxdomain", "cannot-look"):
        return why if why and why.code == "cannot-look" else None
    if found.failure in (LookupFailure.CNAME_LOOP, LookupFailure.CHAIN_TOO_LONG) or not found.chain:
        told = why.as_cause()
    else:
        told = cause("alias", why.as_cause(), target=found.chain[-1])
    apart = found.chain or found.zone == found.name
    return finding("acme-challenge", told, name=found.name) if apart else why


def alias_astray(asked: Asked, found: LookupResult) -> Iterator[Finding]:
    """Yield that aliases lead where we are not to write for the name."""
    target = found.chain[-1]
    if not may_stand(asked.host, target, asked.delegated):
        yield finding("acme-challenge", cause("alias-astray", target=target), name=found.name)


def alias_of_wildcard(asked: Asked, found: LookupResult) -> Iterator[Finding]:
    """Yield that a wildcard answers for the record, which is written at the name itself.

    Not where it leads into a zone that is there for such records: then they are written there.
    """
    if not any(is_under(found.wildcard, zone) for zone in asked.delegated):
        yield finding("wildcard", grave=False, name=found.name, target=found.wildcard)


def missing_record(asked: Asked, found: LookupResult, now: datetime) -> Iterator[Finding]:
    """Yield the record that is missing.

    It names our account: as long as there is none nobody can write it, and there never would be
    one if the authority were not asked.
    """
    authority, wildcard = asked.authority, asked.is_wildcard
    issuers = authority.caa_identities
    if not issuers:
        yield finding("cannot-look", cause("no-identity"), grave=False)
    elif authority.account is None:
        yield finding("cannot-look", cause("no-account"), grave=False)
    elif not any(
        persist.matches(each, issuers, authority.account, wildcard, now) for each in found.records
    ):
        record = terminal_text(persist.record(issuers[0], authority.account, wildcard))
        # Ours, and of no use if it were cut as what others say is.
        yield Finding("persist", (("name", found.name), ("record", record[: persist.LONGEST])))
