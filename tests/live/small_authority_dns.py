"""What a small ACME authority sees in the DNS: dns-01, and dns-persist-01."""

from __future__ import annotations

import hashlib
from datetime import datetime

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from tests.live.small_authority_records import Authorization
from tests.live.small_authority_wire import Problem, encoded

PERSIST = "dns-persist-01"
ISSUER = "small-authority.example"
"""Its own name, in CAA records and in those of dns-persist-01."""


def texts(name: str, server: tuple[str, int] | None) -> list[str]:
    """Return the TXT records at a name, as a name server shows them just now; raise Problem."""
    if server is None:
        raise Problem("dns", 400, "this authority was given no name server")
    address, port = server
    query = dns.message.make_query(name, "TXT")
    try:
        answer, _ = dns.query.udp_with_fallback(query, address, timeout=5, port=port)
    except (OSError, dns.exception.DNSException) as error:
        raise Problem("dns", 400, f"DNS problem: looking up TXT for {name}: {error}") from error
    return [
        b"".join(each.strings).decode()
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT
        for each in rrset
    ]


def shown(found: list[str], expected: str) -> Problem | None:
    """Return what is wrong with the answer to dns-01 (RFC 8555 section 8.4)."""
    value = encoded(hashlib.sha256(expected.encode()).digest())
    if value in found:
        return None
    what = f"Incorrect TXT record {found[0]!r} found" if found else "No TXT record found"
    return Problem("unauthorized", 403, what)


def persisting(one: Authorization, account: str, found: list[str], now: datetime) -> Problem | None:
    """Return what is wrong with the records of dns-persist-01 (draft-ietf-acme-dns-persist)."""
    for text in found:
        issuer, *rest = (part.strip() for part in text.split(";"))
        fields = dict(part.split("=", 1) for part in rest if "=" in part)
        until = float(fields.get("persistUntil", "inf"))
        wide = fields.get("policy") == "wildcard" or not one.wildcard
        owned = issuer == ISSUER and fields.get("accounturi") == account
        if owned and wide and now.timestamp() <= until:
            return None
    return Problem("unauthorized", 403, f"No valid TXT record found among {len(found)}")
