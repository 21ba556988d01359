"""Whether an alias stands at a name, or a wildcard of the zone answers for it (RFC 4592)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence

import dns.name
import dns.rdatatype

from proxygen.dns.responses import Heard, plain_name

SIBLINGS = 3
"""Names that nobody has, asked one after the other: servers may give other answers in turn."""
RANDOM = 7
"""Octets of their labels, which are then no longer than ``_acme-challenge``."""

Told = Callable[[str], Awaitable[Sequence[Heard]]]
"""Asks the servers of a zone for another name in it."""


async def is_synthesized(name: str, heard: Sequence[Heard], told: Told) -> bool:
    """Return whether the alias that servers show at *name* is made from a wildcard.

    The signature tells (RFC 4034 section 3.1.3). Without one, a sibling that nobody has is asked
    for: a wildcard leads it to the same place. What a DNAME record leads
    elsewhere no wildcard does, and nothing can stand there (RFC 6672 section 2.3).
    """
    aliased = [each for each in heard if each.target]
    if not aliased or any(map(is_led_by_dname, aliased)):
        return False
    signed = [labels for each in aliased if (labels := signed_labels(each)) is not None]
    if signed:
        return min(signed) < labels_of(name)
    targets = {each.target for each in aliased}
    for _ in range(SIBLINGS):
        made = {each.target for each in await told(sibling_of(name)) if each.target}
        if targets & made:
            return True
        if not made:
            break
    return False


def sibling_of(name: str) -> str:
    """Return a name beside *name* that nobody has; like it, it is no host's (RFC 8552)."""
    return f"_{secrets.token_hex(RANDOM)}.{name.partition('.')[2]}"


def is_led_by_dname(heard: Heard) -> bool:
    """Return whether a DNAME record made the alias."""
    sections = heard.message.answer if heard.message else []
    return any(each.rdtype == dns.rdatatype.DNAME for each in sections)


def signed_labels(heard: Heard) -> int | None:
    """Return of how many labels the name was that was signed, None where nothing is."""
    for each in heard.message.answer if heard.message and heard.rrset else ():
        covers = each.rdtype == dns.rdatatype.RRSIG and each.covers == dns.rdatatype.CNAME
        if covers and heard.rrset and plain_name(each.name) == plain_name(heard.rrset.name):
            return int(each[0].labels)
    return None


def labels_of(name: str) -> int:
    """Return the number of labels of a name, without the root's."""
    return len(dns.name.from_text(name)) - 1
