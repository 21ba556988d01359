"""dns: the records that the model needs, and what of them is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxygen import assemble
from proxygen.apply.outcome import Count
from proxygen.assemble import Installation
from proxygen.errors import Coded, IssueFailed, coded_words, words_json
from proxygen.host.suffixes import registered_domain
from proxygen.model.certificate import GLOBAL, HTTP, PERSIST
from proxygen.model.hosts import is_address
from proxygen.model.site import Site
from proxygen.names.findings import finding_sentence
from proxygen.names.states import Evidence
from proxygen.plan.records import (
    BLIND,
    KNOWN_IDENTITIES,
    CaaIssuer,
    DnsRecord,
    Looked,
    Presence,
    Publishing,
    blind_for,
    evidence_of,
    presence_of,
    records,
)


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A record, and whether it is there.

    *now* is what stands there instead, *why* tells why it is not known.
    """

    record: DnsRecord
    presence: Presence | None = None
    now: str = ""
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the line as ``--json`` prints it."""
        return {
            "name": self.record.name,
            "type": self.record.type,
            "value": self.record.value,
            "owners": list(self.record.owners),
            "for": list(self.record.names),
            "present": self.presence.name.lower() if self.presence else None,
            "now": self.now or None,
            "why": words_json(self.why) if self.why else None,
        }


@dataclass(frozen=True, slots=True)
class DnsFindings:
    """What is in the DNS now: what a proof of each name needs, and where each leads.

    For http-01 that is one look; of other names where they lead was looked up, and no more.
    """

    proofs: Looked
    leads: Looked


def count_records(lines: Iterable[RecordLine], state: Presence) -> int:
    """Return how many records are in a state."""
    return sum(each.presence is state for each in lines)


def records_in_words(count: int) -> str:
    """Return so many records in words."""
    return f"{count:,} {'record' if count == 1 else 'records'}"


def number_missing(every: Collection[RecordLine]) -> int | None:
    """Return how many records are missing, None where nothing is known of any."""
    is_known = any(each.presence not in (None, Presence.UNKNOWN) for each in every)
    return count_records(every, Presence.MISSING) if is_known or not every else None


MOST_REASONS = 5


def reasons_unknown(lines: Iterable[RecordLine]) -> Iterator[str]:
    """Yield why it is not known whether records are there, each reason once."""
    reasons = Counter(each.why for each in lines if each.presence is Presence.UNKNOWN)
    for why, count in reasons.most_common(MOST_REASONS):
        verb = "is" if count == 1 else "are"
        yield f"whether {records_in_words(count)} {verb} there is not known: {why}"
    if (left := len(reasons) - MOST_REASONS) > 0:
        yield f"of others neither, for {left:,} more reasons: see --json"


def record_line(record: DnsRecord, seen: DnsFindings | None, told: Publishing) -> RecordLine:
    """Return a record with whether it is there, as far as was looked."""
    if seen is None:
        return RecordLine(record)
    if record.type not in ("A", "AAAA", "CNAME") or record.name.startswith("_"):
        found = presence_of(record, seen.proofs)
        return RecordLine(record, found, why=why_unknown(record, seen.proofs, found))
    found = presence_of(record, seen.leads, told.addresses)
    evidence = next((seen.leads[each, record.names[0]] for each in record.owners), None)
    there = (*evidence.chain, *evidence.addresses) if evidence else ()
    if found is Presence.OTHERWISE and not is_fetched(record, seen):
        ours = set(evidence.addresses if evidence else ()) <= set(told.addresses)
        found = found if ours else Presence.MISSING
    now = " ".join(there[:4]) if found is Presence.MISSING else ""
    return RecordLine(record, found, now, why_unknown(record, seen.leads, found))


def why_unknown(record: DnsRecord, found: Looked, state: Presence) -> str:
    """Return why it is not known whether a record is there, empty where it is."""
    if state is not Presence.UNKNOWN:
        return ""
    blind = blind_for(record, evidence_of(record, found))
    if blind is None:
        return Coded("it was not looked up", "not-looked-up")
    return Coded(finding_sentence(blind), blind.code)


def is_fetched(record: DnsRecord, seen: DnsFindings) -> bool:
    """Return whether a challenge file was to be fetched where a name leads."""
    keys = [(owner, name) for owner in record.owners for name in record.names]
    return all(each in seen.proofs and seen.leads[each] is seen.proofs[each] for each in keys)


def record_notes(site: Site, told: Publishing, seen: DnsFindings | None) -> Iterable[str]:
    """Yield what is worth knowing beside the records."""
    main = site.main.host
    if not told.addresses:
        evidence = seen.leads.get((GLOBAL, main or "")) if seen else None
        unknown = any(each.code in BLIND for each in evidence.findings) if evidence else False
        has_none = f"those of {main} could not be looked up" if unknown else f"{main} has none"
        words = (
            f"the addresses of this installation are not known, and {has_none}: write them as"
            " `addresses: [192.0.2.1, '2001:db8::1']`"
        )
        yield Coded(words, "no-addresses")
    elif not site.addresses:
        words = (
            f"`addresses:` is not in the model: taken are those that {main} has now,"
            f" {', '.join(told.addresses)}"
        )
        yield Coded(words, "addresses-taken", main or "")
    for directory in directories_asked(site):
        identity = told.identities.get(directory)
        if identity is None:
            words = f"what CAA records call {directory} is not known"
            yield Coded(words, "no-identity", directory)
        elif identity.account is None and needs_account(site, told):
            words = f"there is no account at {directory} yet, which records would name"
            yield Coded(words, "no-account", directory)


def directories_asked(site: Site) -> tuple[str, ...]:
    """Return the directories of the authorities that certificates are asked of."""
    every = (each.directory for wanted in site.certificates for each in wanted.authorities)
    return tuple(dict.fromkeys(every))


def needs_account(site: Site, told: Publishing) -> bool:
    """Return whether any record names our account."""
    return told.strict or any(each.challenge == PERSIST for each in site.certificates)


@dataclass(frozen=True, slots=True)
class DnsReport:
    """The records that the model needs; *missing* tells that only those are asked for.

    *notes* are worth knowing beside them.
    """

    at: datetime
    addresses: tuple[str, ...]
    every: tuple[RecordLine, ...]
    notes: tuple[str, ...]
    missing: bool = False

    @property
    def lines(self) -> tuple[RecordLine, ...]:
        """The records that are asked for."""
        missing = (each for each in self.every if each.presence is Presence.MISSING)
        return tuple(missing) if self.missing else self.every

    @property
    def is_checked(self) -> bool:
        """Whether it was checked which of them are there."""
        return any(each.presence for each in self.every)

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        unchecked = not self.is_checked
        return {
            "at": self.at.isoformat(),
            "addresses": list(self.addresses),
            "notes": [*map(words_json, self.notes)],
            "missing": number_missing(self.every),
            "unknown": len(self.every)
            if unchecked
            else count_records(self.every, Presence.UNKNOWN),
            "records": [each.as_json() for each in self.lines],
        }


def dns_report(
    site: Site,
    installation: Installation,
    only: Collection[str],
    *,
    check: Count | None,
    strict: bool,
    zone: str | None,
    missing: bool,
) -> DnsReport:
    """Return the records of the model, or of *only* these owners.

    *check*: who is told how many names were checked, None where nothing is to be checked.
    """
    seen = dns_findings(site, installation, only, check) if check else None
    told = publishing_facts(site, installation, seen, strict=strict, zone=zone)
    every = tuple(record_line(each, seen, told) for each in records(site, told, only))
    remarks = (
        *record_notes(site, told, seen),
        *coded_words("not-looked-up", reasons_unknown(every)),
    )
    return DnsReport(installation.now(), tuple(told.addresses), every, remarks, missing)


def dns_findings(
    site: Site, installation: Installation, only: Iterable[str], count: Count
) -> DnsFindings:
    """Return what is in the DNS now."""
    from proxygen.apply.preflight import check_names_now

    owners = set(only) or {each.key for each in site.owners}
    proofs = check_names_now(
        site, installation, owners | ({GLOBAL} if not site.addresses else set()), count
    )
    by_record = {each.owner for each in site.certificates if each.challenge != HTTP}
    rest = [
        (each.key, name)
        for each in site.owners
        if each.key in owners or each.key == GLOBAL
        for name in each.names
        if ((each.key, name) not in proofs or each.key in by_record) and not is_address(name)
    ]
    return DnsFindings(proofs, proofs | where_names_lead(site, installation, rest))


def where_names_lead(
    site: Site, installation: Installation, names: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Evidence]:
    """Return where names lead, of which nothing else matters."""
    import asyncio

    from proxygen.preflight.findings import lookup_finding

    lookup, at = installation.resolver_for(site), installation.now()

    async def one(name: str) -> Evidence:
        shown = name.replace("*", "check", 1)
        both = [await lookup.resolve(shown, kind) for kind in ("A", "AAAA")]
        addresses = tuple(each for found in both for each in found.records)
        troubles = (each for found in both if (each := lookup_finding(found)))
        blind = tuple(each for each in troubles if each.code in BLIND)
        return Evidence(at, addresses, both[0].chain, findings=blind)

    async def all_of() -> list[Evidence]:
        return await asyncio.gather(*(one(name) for _, name in every))

    every = list(names)
    return dict(zip(every, asyncio.run(all_of()), strict=True)) if every else {}


def publishing_facts(
    site: Site,
    installation: Installation,
    seen: DnsFindings | None = None,
    *,
    strict: bool = False,
    zone: str | None = None,
) -> Publishing:
    """Return what decides about records besides the model, as far as that is known.

    Without `addresses:` those of the global name are taken: as they were *seen*, else as they are.
    """
    addresses = site.addresses
    if not addresses and site.main.host:
        key = (GLOBAL, site.main.host)
        found = (seen.leads if seen else {}).get(key) or where_names_lead(
            site, installation, [key]
        )[key]
        addresses = tuple(each for each in found.addresses if is_address(each))
    return Publishing(
        addresses,
        caa_issuers(site, installation, ask=seen is not None),
        registered_domain,
        strict,
        zone,
    )


def caa_issuers(site: Site, installation: Installation, *, ask: bool) -> dict[str, CaaIssuer]:
    """Return what CAA records call each authority, and our account there.

    Of one that is not generally known it is *asked*; one that does not answer has none.
    """
    found = {}
    used = set(directories_asked(site))
    for authority in (each for each in site.authorities if each.directory in used):
        domain = KNOWN_IDENTITIES.get(authority.directory)
        if domain:
            found[authority.directory] = CaaIssuer(
                domain, account_url(installation, authority.directory)
            )
        elif ask:
            with suppress(IssueFailed, OSError):
                told = assemble.renewal_issuer(installation, authority).identity()
                if told.caa_identities:
                    found[authority.directory] = CaaIssuer(told.caa_identities[0], told.account)
    return found


def account_url(installation: Installation, directory: str) -> str | None:
    """Return the URL of our account at an authority, None before the first certificate."""
    from proxygen.issuers.acme_kept import KeptAccount

    kept = KeptAccount(installation.store, directory).registered()
    return str(kept.url) if kept else None
