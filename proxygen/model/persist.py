"""The record of dns-persist-01, which says who may issue for a name, and to which account.

draft-ietf-acme-dns-persist-01: TXT at ``_validation-persist.NAME``, in the syntax of an issue-value
of CAA records (RFC 8659 section 4.2).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime

LABEL = "_validation-persist"
WILDCARD = "wildcard"
LONGEST = 4096
ISSUER = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.?",
    re.ASCII,
)
TAG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)
VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e]*", re.ASCII)
SECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
KNOWN = frozenset({"accounturi", "policy", "persistuntil"})
"""Tags that must not stand twice; others are ignored."""


def name(domain: str) -> str:
    """Return the name of the record for a name; a wildcard's is that of its parent."""
    return f"{LABEL}.{domain.removeprefix('*.')}"


def record(issuer_domain: str, account: str, wildcard: bool) -> str:
    """Return the text that lets an authority issue to an account (its URL), without an end.

    *wildcard*: also for the wildcard, and all names below.
    """
    policy = f"; policy={WILDCARD}" if wildcard else ""
    return f"{issuer_domain}; accounturi={account}{policy}"


def matches(
    text: str,
    issuer_domains: Collection[str],
    account: str,
    wildcard_needed: bool,
    now: datetime,
) -> bool:
    """Return whether a record lets one of *issuer_domains* issue to *account* now.

    The account is compared octet by octet (RFC 3986 section 6.2.1), names and tags without regard
    to case. A malformed record allows nothing.
    """
    issuer, fields = parse_record(text)
    if issuer not in {plain_name(each) for each in issuer_domains} or fields is None:
        return False
    until = fields.get("persistuntil")
    lasts = until is None or (
        SECONDS.fullmatch(until) is not None and now.timestamp() <= int(until)
    )
    wide = fields.get("policy", "").lower() == WILDCARD
    return fields.get("accounturi") == account and lasts and (wide or not wildcard_needed)


def parse_record(text: str) -> tuple[str, dict[str, str] | None]:
    """Return issuer and known parameters of a record, by tag in lower case; None if malformed."""
    head, *parts = text[: LONGEST + 1].split(";")
    issuer = head.strip(" \t")
    if len(text) > LONGEST or not ISSUER.fullmatch(issuer):
        return "", None
    found: dict[str, str] = {}
    for part in parts:
        tag, equals, value = (each.strip(" \t") for each in part.partition("="))
        if not (equals and TAG.fullmatch(tag) and VALUE.fullmatch(value)):
            return plain_name(issuer), None
        if tag.lower() in KNOWN:
            if tag.lower() in found:
                return plain_name(issuer), None
            found[tag.lower()] = value
    return plain_name(issuer), found


def plain_name(domain: str) -> str:
    """Return a domain name in the form in which names are compared."""
    return domain.lower().removesuffix(".")
