"""DNSSEC of one zone, with keys made here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from dns.message import Message
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rrset import RRset

from proxygen.dns import signatures
from proxygen.dns.answers import LookupResult
from proxygen.dns.resolver import Resolver
from tests.causes import why
from tests.dns.scripted import Says, Scripted, answer, asked_for, delegating, rooting

NOW = int(time.time())
DAY = 86_400
APEX = dns.name.from_text("a.example")


class Signer:
    """A key of ``a.example``, and what it signs."""

    def __init__(self, apex: dns.name.Name = APEX) -> None:
        self.apex = apex
        self.private = ec.generate_private_key(ec.SECP256R1())
        algorithm = dns.dnssec.Algorithm.ECDSAP256SHA256  # type: ignore[attr-defined]
        self.public = dns.dnssec.make_dnskey(self.private.public_key(), algorithm, flags=257)

    @property
    def ds(self) -> str:
        """The DS record for its parent."""
        return dns.dnssec.make_ds(self.apex, self.public, "SHA256").to_text()

    def signature(self, rrset: RRset, days: tuple[int, int] = (-1, 30)) -> RRset:
        """Sign *rrset* for *days* from and until today."""
        begin, end = (NOW + each * DAY for each in days)
        made = dns.dnssec.sign(
            rrset, self.private, self.apex, self.public, inception=begin, expiration=end
        )
        return dns.rrset.from_rdata(rrset.name, 60, made)


def unspoilt(rrset: RRset) -> RRset:
    """Leave a signature as it is."""
    return rrset


@dataclass
class World:
    """A signed zone, whose parts a test changes."""

    signer: Signer
    keys: RRset
    records: dict[str, RRset]
    days: tuple[int, int] = (-1, 30)
    by: Signer | None = None
    unsigned: tuple[str, ...] = ()
    spoil: Callable[[RRset], RRset] = unspoilt

    def says(self) -> Says:
        """Return its server."""
        return self.answered

    def answered(self, query: Message) -> Message:
        """Return the records asked for, or the SOA record, with their signatures."""
        name, rdtype = asked_for(query)
        made = answer(query)
        if rdtype == "DNSKEY":
            self.put(made.answer, self.keys, self.signer, (-1, 30), rdtype)
        elif rrset := self.records.get(rdtype if name == "a.example" else ""):
            self.put(made.answer, rrset, self.by or self.signer, self.days, rdtype)
        else:
            self.put(made.authority, self.records["SOA"], self.signer, self.days, "SOA")
        return made

    def put(
        self, section: list[RRset], rrset: RRset, by: Signer, days: tuple[int, int], rdtype: str
    ) -> None:
        """Put records and their signature into a section."""
        section.append(rrset)
        if rdtype not in self.unsigned:
            signature = by.signature(rrset, days)
            section.append(self.spoil(signature) if rdtype == "A" else signature)


@pytest.fixture
def zone() -> World:
    """Return a zone that is signed right."""
    signer = Signer()
    soa = "ns.test. host.test. 1 3600 600 86400 60"
    return World(
        signer,
        dns.rrset.from_rdata(APEX, 60, signer.public),
        {
            "A": dns.rrset.from_text(APEX, 60, "IN", "A", "192.0.2.1"),
            "SOA": dns.rrset.from_text(APEX, 60, "IN", "SOA", soa),
        },
    )


@pytest.fixture
def verdict(network: str, port: int, zone: World) -> Callable[..., LookupResult]:
    """Return what looks at a zone below a signed registry with these DS records."""

    def look(*ds: str, rdtype: str = "A", second: World | None = None) -> LookupResult:
        at = f"{network}1"
        hosts = {"ns1.a.example": f"{network}2", "ns2.a.example": f"{network}3"}
        records = ds or (zone.signer.ds,)
        below = delegating("a.example", hosts, *(f"a.example 60 DS {each}" for each in records))
        registry = Registry(below)
        servers = {
            at: registry.root(at),
            f"{network}2": zone.says(),
            f"{network}3": (second or zone).says(),
        }
        with Scripted(port, servers):
            asking = Resolver(roots=(at,), port=port, patience=0.5, system=lambda: ())
            return asyncio.run(asking.resolve("a.example", rdtype))

    return look


class Registry:
    """The signed registry ``example`` and the root above it."""

    def __init__(self, below: Says) -> None:
        self.below = below
        self.signer = Signer(dns.name.from_text("example"))

    def root(self, at: str) -> Says:
        """Return the server of both at an address."""
        top = delegating("example", {"ns.example": at}, f"example 60 DS {self.signer.ds}")

        def says(query: Message) -> Any:
            name, rdtype = asked_for(query)
            if rdtype == "DNSKEY":
                made = answer(query)
                keys = dns.rrset.from_rdata(self.signer.apex, 60, self.signer.public)
                made.answer = [keys, self.signer.signature(keys)]
                return made
            return (self.below if name.endswith("a.example") else top)(query)

        return says


def test_what_is_signed_right_is_fine(zone: World, verdict: Callable[..., LookupResult]) -> None:
    found = verdict()
    assert (found.records, found.dnssec) == (("192.0.2.1",), None)


@pytest.mark.parametrize("rdtype", ["A", "CAA"])
def test_an_expired_signature_is_told_with_its_day(
    zone: World, verdict: Callable[..., LookupResult], rdtype: str
) -> None:
    zone.days = (-30, -2)
    day = time.strftime("%Y-%m-%d", time.gmtime(NOW - 2 * DAY))
    assert f"record expired on {day}" in why(verdict(rdtype=rdtype).dnssec)


def test_a_signature_of_tomorrow_is_told(zone: World, verdict: Callable[..., LookupResult]) -> None:
    zone.days = (2, 30)
    assert "A record is not valid before" in why(verdict().dnssec)


def test_records_without_signature_are_told(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    zone.unsigned = ("A",)
    assert "the A record is not signed" in why(verdict().dnssec)


def test_the_record_that_says_none_must_be_signed_too(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    zone.unsigned = ("SOA",)
    assert "the SOA record is not signed" in why(verdict(rdtype="CAA").dnssec)


def test_keys_must_be_signed_by_the_one_that_the_parent_names(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    zone.unsigned = ("DNSKEY",)
    assert "the DNSKEY record is not signed" in why(verdict().dnssec)


def test_a_key_that_is_not_the_zones_is_told(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    zone.by = Signer()
    assert "with a key that is not in the zone" in why(verdict().dnssec)


def test_a_wrong_signature_is_told(zone: World, verdict: Callable[..., LookupResult]) -> None:
    zone.spoil = lambda rrset: dns.rrset.from_rdata(
        rrset.name, 60, rrset[0].replace(signature=b"\1" * 64)
    )
    assert "the signature of the A record is invalid" in why(verdict().dnssec)


def test_a_key_that_no_ds_record_matches_is_told(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    found = verdict(Signer().ds)
    assert "no DNSKEY of the zone matches the DS record" in why(found.dnssec)


def test_one_ds_record_that_matches_is_enough(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    assert verdict(Signer().ds, zone.signer.ds).dnssec is None


def test_of_algorithms_nobody_knows_there_is_no_verdict(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    tag, _, kind, digest = Signer().ds.split(" ", 3)
    assert verdict(f"{tag} 200 {kind} {digest}").dnssec is None
    assert verdict(f"{tag} 13 200 {digest}").dnssec is None


def test_one_server_with_old_signatures_is_named(
    zone: World, verdict: Callable[..., LookupResult], network: str
) -> None:
    old = World(zone.signer, zone.keys, zone.records, days=(-30, -2))
    found = verdict(second=old)
    assert f"ns2.a.example ({network}3): the signature of the A record expired" in why(found.dnssec)


def test_below_an_unsigned_delegation_nothing_is_checked(
    zone: World, network: str, port: int
) -> None:
    """A DS record in a zone that is not signed itself is nobody's anchor."""
    zone.unsigned = ("A", "DNSKEY")
    at = f"{network}1"
    below = delegating(
        "a.example", {"ns.a.example": f"{network}2"}, f"a.example 60 DS {zone.signer.ds}"
    )
    with Scripted(port, {at: rooting(at, below), f"{network}2": zone.says()}):
        asking = Resolver(roots=(at,), port=port, system=lambda: ())
        found = asyncio.run(asking.resolve("a.example", "A"))
    assert (found.records, found.dnssec) == (("192.0.2.1",), None)


def test_keys_with_the_same_tag_are_not_all_tried(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    """Each try costs time, and anybody can make hundreds of such keys (CVE-2023-50387)."""
    ours, tag = zone.signer.public, dns.dnssec.key_id(zone.signer.public)
    keys = dns.rrset.from_rdata_list(APEX, 60, [ours, *alike(ours, 3)])
    assert {dns.dnssec.key_id(each) for each in keys} == {tag}
    known = signatures.by_tag(keys)
    assert len(known[tag]) == signatures.ALIKE
    assert verdict().dnssec is None


def alike(key: DNSKEY, many: int) -> list[DNSKEY]:
    """Return keys with the same tag, which is a sum: equal octets of two words change places."""
    words = [key.key[at : at + 2] for at in range(0, len(key.key), 2)]
    made = [[*words[at:], *words[:at]] for at in range(1, many + 1)]
    return [cast("DNSKEY", key.replace(key=b"".join(each))) for each in made]


def test_of_many_signatures_those_by_keys_of_the_zone_are_tried(
    zone: World, verdict: Callable[..., LookupResult]
) -> None:
    strange = Signer().signature(zone.records["A"])[0]

    def many(signature: RRset) -> RRset:
        others = [strange.replace(key_tag=number) for number in range(20)]
        return dns.rrset.from_rdata_list(APEX, 60, [*others, signature[0]])

    zone.spoil = many
    assert verdict().dnssec is None
