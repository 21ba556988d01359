"""DNSSEC, link by link from the root down: for diagnosis, since the answer itself is not used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dns.dnssec
import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.dnssectypes import Algorithm, DSDigest
from dns.message import Message
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rrset import RRset

from proxygen.dns.answers import SETTLED
from proxygen.dns.cache import FAILURE, Cache, clamp
from proxygen.dns.delegation import LOW, Delegation, Delegations, Hop, Lost
from proxygen.dns.questions import Errand
from proxygen.dns.responses import RECORDS, Heard, zone_words
from proxygen.languages.lines import terminal_text
from proxygen.names.causes import Cause, cause

TRIED = 8
"""DS records and keys of one name that are looked at; the rest would only cost time."""
SIGNATURES = 4
ALIKE = 2
"""Keys with the same tag, a checksum that anybody can have many keys for (CVE-2023-50387)."""
LONGEST_KEY = 520
"""Octets: RSA has no more than 4096 bits (RFC 3110 section 2), and a short exponent before them."""
DIGESTS = frozenset({DSDigest.SHA1, DSDigest.SHA256, DSDigest.SHA384})
ALGORITHMS = frozenset(map(Algorithm, (5, 7, 8, 10, 13, 14, 15, 16)))
"""RSA, ECDSA, EdDSA: those whose signatures can be checked (RFC 8624 section 3.1)."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a zone, or what is wrong with them; neither when there is no verdict."""

    rrset: RRset | None = None
    wrong: Cause | None = None


class Signatures:
    """Judges what servers said; *clock* gives the seconds since 1970."""

    def __init__(
        self, delegations: Delegations, cache: Cache, clock: Callable[[], float] = time.time
    ) -> None:
        self.delegations = delegations
        self.cache = cache
        self.clock = clock

    async def wrong(self, hop: Hop, errand: Errand) -> Cause | None:
        """Return what is wrong with the signatures, None when right, unsigned, or unknown."""
        if not hop.zone.signed:
            return None
        keys = None
        for zone in zones_down_to(hop.zone):
            found = await self.keys(zone, errand)
            if (keys := found.rrset) is None:
                return found.wrong
        return await self.unproven(hop, keys) if keys else None

    async def unproven(self, hop: Hop, keys: RRset) -> Cause | None:
        """Return which server gives records that no key of the zone signed.

        Other looks go on between one server and the next: this may take its time.
        """
        for each in hop.heard:
            if each.kind in SETTLED and (why := self.unsigned(each, keys)):
                server = cause("server", why, server=str(each.server))
                return cause("zone", server, zone=zone_words(hop.zone.apex))
            await asyncio.sleep(0)
        return None

    def unsigned(self, heard: Heard, keys: RRset) -> Cause | None:
        """Return why the records of one answer are not proven."""
        if heard.rrset is None or heard.message is None:
            return None
        proven = synthesized_from(heard.rrset, heard.message) or heard.rrset
        return why_unsigned(proven, signatures_of(proven, heard.message), keys, self.clock())

    async def keys(self, zone: Delegation, errand: Errand) -> Keys:
        """Return the keys of *zone*, which its parent's DS records must vouch for."""
        if (kept := self.cache.get(("keys", zone.apex, zone.ds))) is not None:
            return kept  # type: ignore[no-any-return]
        try:
            one = await self.delegations.one(zone, zone.apex, "DNSKEY", errand)
        except Lost as lost:
            if errand.is_late:
                return Keys()
            return Keys(wrong=cause("no-keys", *lost.because, zone=zone.apex))
        keys = vouched_keys(zone, one, self.clock())
        seconds = clamp(one.seconds, LOW) if not keys.wrong else FAILURE
        octets = sum(len(each.key) for each in keys.rrset or ())
        self.cache.put(("keys", zone.apex, zone.ds), keys, seconds, octets)
        return keys


def zones_down_to(zone: Delegation) -> Iterator[Delegation]:
    """Yield the zones from the one below the root down to *zone*."""
    if zone.above is not None:
        yield from zones_down_to(zone.above)
        yield zone


def vouched_keys(zone: Delegation, one: Heard, now: float) -> Keys:
    """Return the keys in an answer if a DS record matches the key that signs them."""
    known = [
        each
        for each in zone.ds
        if isinstance(each, DS) and each.digest_type in DIGESTS and each.algorithm in ALGORITHMS
    ]
    if not known:
        return Keys()  # as if it was not signed (RFC 4035 section 5.2)
    tags = ", ".join(sorted({str(each.key_tag) for each in known}))
    if one.rrset is None or one.rrset.rdtype != dns.rdatatype.DNSKEY or one.message is None:
        return Keys(wrong=cause("zone", cause("no-dnskey", tags=tags), zone=zone.apex))
    trusted = matching_keys(zone.apex, known, list(one.rrset)[:RECORDS])
    if not trusted:
        return Keys(wrong=cause("zone", cause("no-match", tags=tags), zone=zone.apex))
    anchors = dns.rrset.from_rdata_list(one.rrset.name, one.rrset.ttl, trusted)
    why = why_unsigned(one.rrset, signatures_of(one.rrset, one.message), anchors, now)
    return Keys(wrong=cause("zone", why, zone=zone.apex)) if why else Keys(one.rrset)


def matching_keys(apex: str, known: Iterable[DS], keys: Iterable[Rdata]) -> list[DNSKEY]:
    """Return the keys whose digest is in a DS record (RFC 4034 section 5.1.4)."""
    owner = dns.name.from_text(apex)
    records = list(known)[:TRIED]
    named = [each for each in keys if isinstance(each, DNSKEY)]
    return [key for key in named if any(is_digest_of(owner, key, ds) for ds in records)][:TRIED]


def is_digest_of(owner: dns.name.Name, key: DNSKEY, ds: DS) -> bool:
    """Return whether *ds* is the digest of *key*."""
    if (dns.dnssec.key_id(key), key.algorithm) != (ds.key_tag, ds.algorithm):
        return False
    made = dns.dnssec.make_ds(owner, key, ds.digest_type, validating=True)
    return bool(made.digest == ds.digest)


def signatures_of(rrset: RRset, message: Message) -> RRset | None:
    """Return the signatures of *rrset* that stand in the same message."""
    for each in (*message.answer, *message.authority):
        covers = each.rdtype == dns.rdatatype.RRSIG and each.covers == rrset.rdtype
        if covers and each.name == rrset.name:
            return each
    return None


def synthesized_from(rrset: RRset, message: Message) -> RRset | None:
    """Return the DNAME record that a CNAME record was made from: it alone is signed (RFC 6672)."""
    if rrset.rdtype != dns.rdatatype.CNAME:
        return None
    for each in message.answer:
        above = rrset.name != each.name and rrset.name.is_subdomain(each.name)
        if each.rdtype == dns.rdatatype.DNAME and above:
            return each
    return None


def why_unsigned(rrset: RRset, signatures: RRset | None, keys: RRset, now: float) -> Cause | None:
    """Return why no signature proves *rrset*, None when one does or none can be checked."""
    what = dns.rdatatype.to_text(RdataType(rrset.rdtype))
    if signatures is None:
        return cause("unsigned", type=what)
    given = [each for each in list(signatures)[:RECORDS] if isinstance(each, RRSIG)]
    usable = [each for each in given if each.algorithm in ALGORITHMS]
    if not usable:
        return None
    known = by_tag(keys)
    usable.sort(key=lambda each: (each.key_tag not in known, each.expiration < now))
    whys = [
        why_not(rrset, each, keys.name, known.get(each.key_tag, []), now)
        for each in usable[:SIGNATURES]
    ]
    return None if None in whys else whys[0]


def by_tag(keys: RRset) -> dict[int, list[DNSKEY]]:
    """Return the keys of a zone by their tags, few of each."""
    found: dict[int, list[DNSKEY]] = {}
    for each in list(keys)[:RECORDS]:
        if isinstance(each, DNSKEY):
            alike = found.setdefault(dns.dnssec.key_id(each), [])
            alike.extend([each] if len(alike) < ALIKE else [])
    return found


def why_not(
    rrset: RRset, signature: RRSIG, apex: dns.name.Name, keys: list[DNSKEY], now: float
) -> Cause | None:
    """Return why one signature does not prove *rrset*, None when it does.

    *keys* are those of the zone at *apex* that have its tag.
    """
    what, tag = dns.rdatatype.to_text(RdataType(rrset.rdtype)), str(signature.key_tag)
    if signature.expiration < now:
        return cause("expired", type=what, at=moment_of_signature(signature.expiration))
    if signature.inception > now:
        return cause("early", type=what, at=moment_of_signature(signature.inception))
    if not keys:
        return cause("foreign-key", type=what, tag=tag)
    if any(len(each.key) > LONGEST_KEY for each in keys):
        return cause("long-key", type=what, tag=tag)
    candidates = dns.rrset.from_rdata_list(apex, 0, keys)
    try:
        dns.dnssec.validate_rrsig(rrset, signature, {apex: candidates}, now=now)
    except dns.exception.DNSException as error:
        return cause("wrong-signature", type=what, words=terminal_text(str(error))[:200])
    except Exception as error:  # noqa: BLE001 - keys come from outside, and may be anything
        return cause("unchecked", type=what, words=terminal_text(str(error))[:200])
    return None


def moment_of_signature(seconds: int) -> str:
    """Return a moment of a signature as it is kept."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
