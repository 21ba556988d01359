"""Which addresses the internet can reach, as far as their kind tells, and which this host can."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

UNROUTED = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL})
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NEVER: tuple[Network, ...] = (
    IPv4Network("0.0.0.0/8"),  # "this network"; Linux takes 0.0.0.0 for itself (RFC 791)
    IPv4Network("10.0.0.0/8"),  # private (RFC 1918)
    IPv4Network("100.64.0.0/10"),  # shared behind a provider's NAT (RFC 6598)
    IPv4Network("127.0.0.0/8"),  # loopback (RFC 1122)
    IPv4Network("169.254.0.0/16"),  # link-local; a cloud's metadata (RFC 3927)
    IPv4Network("172.16.0.0/12"),  # private (RFC 1918)
    IPv4Network("192.0.0.0/24"),  # protocols of the IETF (RFC 6890)
    IPv4Network("192.0.2.0/24"),  # documents (RFC 5737)
    IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
    IPv4Network("192.168.0.0/16"),  # private (RFC 1918)
    IPv4Network("198.18.0.0/15"),  # benchmarks (RFC 2544)
    IPv4Network("198.51.100.0/24"),  # documents (RFC 5737)
    IPv4Network("203.0.113.0/24"),  # documents (RFC 5737)
    IPv4Network("224.0.0.0/4"),  # multicast (RFC 1112)
    IPv4Network("240.0.0.0/4"),  # reserved, and broadcast (RFC 1112, RFC 919)
    IPv6Network("::/128"),  # unspecified; Linux takes it for itself (RFC 4291)
    IPv6Network("::1/128"),  # loopback (RFC 4291)
    IPv6Network("::ffff:0:0/96"),  # an IPv4 address: connecting goes to that (RFC 4291)
    IPv6Network("::/8"),  # reserved, other ways to write an IPv4 address among them (RFC 4291)
    IPv6Network("64:ff9b::/96"),  # an IPv4 address behind NAT64 (RFC 6052)
    IPv6Network("64:ff9b:1::/48"),  # the same in a network of one's own (RFC 8215)
    IPv6Network("100::/64"),  # thrown away (RFC 6666)
    IPv6Network("100:0:0:1::/64"),  # a prefix for nothing (RFC 9780)
    IPv6Network("2001::/23"),  # protocols of the IETF: Teredo, ORCHID (RFC 2928)
    IPv6Network("2001:db8::/32"),  # documents (RFC 3849)
    IPv6Network("2002::/16"),  # an IPv4 address: 6to4 (RFC 3056)
    IPv6Network("3fff::/20"),  # documents (RFC 9637)
    IPv6Network("5f00::/16"),  # segments of a route (RFC 9602)
    IPv6Network("fc00::/7"),  # private (RFC 4193)
    IPv6Network("fe80::/10"),  # link-local (RFC 4291)
    IPv6Network("fec0::/10"),  # site-local, as private ones were called (RFC 3879)
    IPv6Network("ff00::/8"),  # multicast (RFC 4291)
)
"""Networks in which no address is another host's on the internet, whatever Python knows of them.

They are those of IANA's registries of special-purpose addresses (RFC 6890) that are not reachable
from everywhere, with all that hold an IPv4 address in another way of writing it.
"""
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All IPv6 addresses that were given to anybody (RFC 4291 section 2.4); the rest is reserved."""


@lru_cache(4096)
def is_public(address: str) -> bool:
    """Return whether the internet can reach an address, as far as its kind tells (RFC 6890).

    What is no address is not reached either; with a zone (``fe80::1%eth0``) it is this link's.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return parsed.is_global and network_of(parsed) is None


def is_routed(address: str) -> bool:
    """Return whether this host has a route to an address; nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.connect((address, 9))
    except OSError as error:
        return error.errno not in UNROUTED
    return True


def network_of(address: Address) -> Network | None:
    """Return the special network that an address is in, None for a public one."""
    if isinstance(address, IPv6Address) and (address.scope_id or address not in GLOBAL_UNICAST):
        known = (each for each in NEVER if address in each)
        return next(known, IPv6Network("::/0"))
    return next((each for each in NEVER if address in each), None)


def may_connect(address: str, public: Callable[[str], bool], known: Iterable[str]) -> bool:
    """Return whether to connect to an address that somebody else named.

    One that is not *public* only where one of those *known*, whom we were told to ask, is not
    either, and in the same network: there others of one's own may well be.
    """
    return public(address) or any(is_beside(address, e) for e in known if not public(e))


def is_beside(address: str, known: str) -> bool:
    """Return whether an address is in the same special network as a *known* one."""
    try:
        here, there = unmap_address(ip_address(address)), unmap_address(ip_address(known))
    except ValueError:
        return False
    network = network_of(there)
    return network is not None and network == network_of(here)


def unmap_address(address: Address) -> Address:
    """Return the IPv4 address to which connecting to an IPv6 address leads, else itself."""
    return getattr(address, "ipv4_mapped", None) or address
