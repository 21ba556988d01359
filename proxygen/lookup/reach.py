"""Which addresses the internet can reach, as far as their kind tells."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

TUNNELS = (IPv6Network("2002::/16"), IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""Addresses that hold an IPv4 address, maybe a private one (RFC 3056, RFC 6052, RFC 8215)."""


def is_public(address: str) -> bool:
    """Return whether the internet can reach an address, as far as its kind tells (RFC 6890)."""
    parsed = ip_address(address)
    special = parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified
    if isinstance(parsed, IPv6Address):
        special = special or parsed.is_site_local or any(parsed in each for each in TUNNELS)
    return parsed.is_global and not special
