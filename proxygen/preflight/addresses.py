"""Which addresses are ours, and which nobody on the internet can reach.

"Points here" needs to know where here is. The model says it, and then it is so. Otherwise:

- A public address on an interface of this host is ours.
- Behind NAT, or behind an edge server, no interface has the public address. But the global name
  is the administrator's own, and leads here on purpose: an address of it at which our own
  challenge file answered is the way to us, so other names may lead there too. So is one that
  could not be asked: many routers do not let a network reach itself by its public address.
- What answers something else at the global name is not ours: it may be an address before a move.
- Of a domain's name all this proves nothing but that this one name leads here, in whatever way.

Where nothing is known in the end, only an answer decides; without one the authority is asked.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import psutil

from proxygen.dns.reach import is_public
from proxygen.names.states import Evidence

ELSEWHERE = frozenset({"elsewhere", "not-answered", "private"})


def is_shared(address: str) -> bool:
    """Return whether an address means another host for everybody who uses it."""
    parsed: IPv4Address | IPv6Address = ip_address(address)
    return parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified


def on_interfaces() -> frozenset[str]:
    """Return the addresses of this host's interfaces, without those that any host has."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = {
        each.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in families
    }
    return frozenset(each for each in found if not is_shared(each))


def own_addresses(evidence: Evidence, public: Callable[[str], bool] = is_public) -> tuple[str, ...]:
    """Return the public addresses of the global name that are ours, by what a look at it found.

    It must have been looked at with a beacon. A private one is not: an interface shows it, and
    not everybody who asks can reach it.
    """
    foreign = {each.get("address") for each in evidence.findings if each.code in ELSEWHERE}
    return tuple(each for each in evidence.addresses if each not in foreign and public(each))
