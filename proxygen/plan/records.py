"""The DNS records that are needed to reach and to prove every name of the model.

They are written as in master files (RFC 1035 section 5.1), with absolute names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from proxygen.model import persist
from proxygen.model.certificate import DNS, PERSIST
from proxygen.model.hosts import is_address
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Owner, Site
from proxygen.names.states import Evidence, Finding

TTL = 3600
LONGEST_STRING = 255
"""Octets of one string of a TXT record (RFC 1035 section 3.3)."""

CHALLENGE_LABEL = "_acme-challenge"

KNOWN_IDENTITIES = dict.fromkeys(DIRECTORIES.values(), "letsencrypt.org")
"""What CAA records call known authorities, by directory (letsencrypt.org/docs/caa)."""


class Presence(StrEnum):
    """Whether a record is in the DNS now."""

    THERE = "there"
    OTHERWISE = "leads here"
    """By other records, or through a proxy: nothing is to be done."""
    MISSING = "missing"
    OPTIONAL = "not needed"
    """It does not exist, and nothing forbids what it would allow."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A DNS record: *value* is in presentation form; it is needed by *owners* for *names*."""

    name: str
    type: str
    value: str
    owners: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def line(self) -> str:
        """The record as a line of a zone file."""
        return f"{self.name}. {TTL} IN {self.type} {self.value}"


@dataclass(frozen=True, slots=True)
class CaaIssuer:
    """The *domain* of an authority in CAA records, and the URL of our account there."""

    domain: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Publishing:
    """What determines the records besides the model.

    *addresses* are the public ones of this installation. *identities* are those of authorities by
    directory. *registered* returns the registered domain of a name. *strict*: CAA records name our
    account and our validation methods (RFC 8657). *zone*: the zone to which `_acme-challenge` is
    delegated.
    """

    addresses: tuple[str, ...]
    identities: Mapping[str, CaaIssuer]
    registered: Callable[[str], str]
    strict: bool = False
    zone: str | None = None


Looked = Mapping[tuple[str, str], Evidence]
"""What a look found, by owner and name."""


def records(
    site: Site, publishing: Publishing, only: Collection[str] = ()
) -> tuple[DnsRecord, ...]:
    """Return the records that the model needs, in its order; *only* of these owners.

    Records that lead here come first, then those that allow authorities to issue.
    """
    owners = [each for each in site.owners if not only or each.key in only]
    taken = no_aliases(site)
    leading = [
        record
        for owner in owners
        for name in owner.names
        if not is_address(name)
        for record in leads_here(name, owner, site, publishing, taken)
    ]
    proving = [record for owner in owners for record in proof_records(owner, publishing)]
    return (*leading, *proving, *caa_records(owners, publishing))


def leads_here(
    name: str, owner: Owner, site: Site, publishing: Publishing, taken: Collection[str]
) -> Iterator[DnsRecord]:
    """Yield an alias of the global host if the name may be an alias, otherwise the addresses."""
    if may_be_alias(name, taken, publishing.registered):
        yield DnsRecord(name, "CNAME", f"{site.main.host}.", (owner.key,), (name,))
        return
    for address in publishing.addresses:
        yield DnsRecord(name, kind_of(address), address, (owner.key,), (name,))


def no_aliases(site: Site) -> frozenset[str]:
    """Return the names that cannot be aliases, since other records are needed there.

    A domain gets mail, and mail servers must be named by names that are not aliases (RFC 2181
    section 10.3), such as the global ones.
    """
    return frozenset((*site.main.names, *(each.key for each in site.domains)))


def may_be_alias(name: str, taken: Collection[str], registered: Callable[[str], str]) -> bool:
    """Return whether a name can be a CNAME, beside which no other record may be (RFC 1034, 3.6.2).

    The apex of a zone cannot, nor can a name that is *taken*.
    """
    return name not in taken and name != registered(name)


def kind_of(address: str) -> str:
    """Return the type of the record for an address: A or AAAA."""
    return "AAAA" if ipaddress.ip_address(address).version == 6 else "A"


def proof_records(owner: Owner, publishing: Publishing) -> Iterator[DnsRecord]:
    """Yield the records that prove names, or that let proxygen write such records."""
    wanted = owner.certificate
    if wanted is None or wanted.issuer != "acme":
        return
    hosts: dict[str, list[str]] = {}
    for name in wanted.names:
        if not is_address(name):
            hosts.setdefault(name.removeprefix("*."), []).append(name)
    for host, names in hosts.items():
        if wanted.challenge == DNS and publishing.zone:
            target = f"{host}.{publishing.zone}."
            place = f"{CHALLENGE_LABEL}.{host}"
            yield DnsRecord(place, "CNAME", target, (owner.key,), tuple(names))
        for authority in wanted.authorities if wanted.challenge == PERSIST else ():
            identity = publishing.identities.get(authority.directory)
            if identity and identity.account:
                wildcard = len(names) > 1 or names[0] != host
                value = quoted_strings(persist.record(identity.domain, identity.account, wildcard))
                yield DnsRecord(persist.name(host), "TXT", value, (owner.key,), tuple(names))


def quoted_strings(text: str) -> str:
    """Return a text as the strings of a TXT or CAA record."""
    parts = [text[at : at + LONGEST_STRING] for at in range(0, len(text), LONGEST_STRING)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


@dataclass(slots=True)
class Allowed:
    """What a CAA record allows: one authority for one domain, with the names and challenges."""

    identity: CaaIssuer
    owners: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    challenges: dict[str, None] = field(default_factory=dict)


def caa_records(owners: Iterable[Owner], publishing: Publishing) -> Iterator[DnsRecord]:
    """Yield a CAA record for each authority and registered domain (RFC 8659).

    It holds for all names below the domain, wildcards among them.
    """
    found: dict[tuple[str, str], Allowed] = {}
    for owner in owners:
        wanted = owner.certificate
        for authority in wanted.authorities if wanted else ():
            identity = publishing.identities.get(authority.directory)
            for name in wanted.names if wanted and identity else ():
                if identity is None or is_address(name):
                    continue
                key = publishing.registered(name), identity.domain
                allowed = found.setdefault(key, Allowed(identity))
                allowed.owners[owner.key] = allowed.names[name] = None
                allowed.challenges[wanted.challenge if wanted else ""] = None
    for (domain, _), each in found.items():
        value = f"0 issue {quoted_strings(issue_value(each, strict=publishing.strict))}"
        yield DnsRecord(domain, "CAA", value, tuple(each.owners), tuple(each.names))


def issue_value(allowed: Allowed, *, strict: bool) -> str:
    """Return the value of an ``issue`` property (RFC 8659 section 4.2, RFC 8657)."""
    identity = allowed.identity
    if not strict:
        return identity.domain
    account = f"; accounturi={identity.account}" if identity.account else ""
    return f"{identity.domain}{account}; validationmethods={','.join(allowed.challenges)}"


BLIND = frozenset({"cannot-look", "servers-silent", "servers-lame", "servfail", "dnssec"})
"""Findings after which nobody knows what is not there: there was no answer to believe."""


def presence_of(record: DnsRecord, looked: Looked, addresses: Collection[str] = ()) -> Presence:
    """Return whether a record is in the DNS, according to checks; *addresses* are ours.

    A record that was not seen while the DNS gave no answer is unknown, not missing.
    """
    found = evidence_of(record, looked)
    shown = presence_in(record, found, addresses) if found else Presence.UNKNOWN
    is_seen = shown is Presence.OTHERWISE or (shown is Presence.THERE and record.type != "TXT")
    refused = record.type == "CAA" and any(
        each.code == "caa" for one in found for each in one.findings
    )
    if is_seen or refused or blind_for(record, found) is None:
        return shown
    return Presence.UNKNOWN


def evidence_of(record: DnsRecord, looked: Looked) -> list[Evidence]:
    """Return what was found at the names that a record is for."""
    keys = [(owner, name) for owner in record.owners for name in record.names]
    return [looked[key] for key in keys if key in looked]


def blind_for(record: DnsRecord, found: Iterable[Evidence]) -> Finding | None:
    """Return the first finding that leaves it unknown whether a record is in the DNS.

    CAA records of a name that leads nowhere are not looked up.
    """
    for one in found:
        for each in one.findings:
            if each.code in BLIND:
                return each
            stopped = each.code == "caa-lookup" or (each.grave and not one.addresses)
            if record.type == "CAA" and stopped and each.code not in ("caa", "persist"):
                return each
    return None


def presence_in(
    record: DnsRecord, found: Sequence[Evidence], addresses: Collection[str]
) -> Presence:
    """Return whether a record is in the DNS according to one check."""
    if record.type == "CAA":
        return allowance_found(record, found)
    if record.type in ("A", "AAAA") or not record.name.startswith("_"):
        return leading_found(record, found[0], addresses)
    if record.type == "CNAME":
        is_there = any(record.value.removesuffix(".") in each.chain for each in found)
        return Presence.THERE if is_there else Presence.MISSING
    codes = {each.code for one in found for each in one.findings}
    return Presence.MISSING if codes & {"persist", "acme-challenge"} else Presence.THERE


def leading_found(record: DnsRecord, found: Evidence, addresses: Collection[str]) -> Presence:
    """Return whether a name leads here."""
    if record.type == "CNAME":
        is_there = record.value.removesuffix(".") in found.chain
        ours = bool(found.addresses) and set(found.addresses) <= set(addresses)
    else:
        is_there = record.value in found.addresses
        ours = False
    if is_there:
        return Presence.THERE
    leads = ours or (bool(found.addresses) and found.grave is None)
    return Presence.OTHERWISE if leads else Presence.MISSING


def allowance_found(record: DnsRecord, found: Collection[Evidence]) -> Presence:
    """Return whether an authority may issue, according to CAA records."""
    if any(plain_caa(record.value) in map(plain_caa, each.caa) for each in found):
        return Presence.THERE
    if any(finding.code == "caa" for each in found for finding in each.findings):
        return Presence.MISSING
    if ";" in record.value:  # asked for strictly
        return Presence.MISSING
    return Presence.OTHERWISE if any(each.caa for each in found) else Presence.OPTIONAL


def plain_caa(value: str) -> str:
    """Return a CAA record in the form in which records are compared."""
    return "".join(value.split()).lower()


def zone_fragment(
    found: Iterable[DnsRecord], registered: Callable[[str], str], remarks: Iterable[str]
) -> str:
    """Return records as fragments of zone files, with one ``$ORIGIN`` for each domain.

    *remarks* are comments at the top.
    """
    domains: dict[str, dict[str, str]] = {}
    for record in found:
        lines = domains.setdefault(registered(record.name), {})
        lines[record.line] = record.type
    blocks = ["\n".join(f"; {each}" for each in remarks)] if remarks else []
    for domain, lines in sorted(domains.items()):
        block = [f"$ORIGIN {domain}."]
        block += [line for line, kind in lines.items() if kind != "CAA"]
        if allowances := [line for line, kind in lines.items() if kind == "CAA"]:
            block += [*CAA_REMARK, *allowances]
        blocks.append("\n".join(block))
    return "\n\n".join(blocks) + "\n"


CAA_REMARK = (
    "; CAA: with this record no other authority may issue for this domain and the names below it.",
    "; Without CAA records every authority may: leave it out, or add those of your other servers.",
)
