"""Whether the addresses of a name lead here: a challenge file of ours is fetched from each.

Let's Encrypt asks one of the IPv6 addresses first, and an IPv4 address only where there is no
connection at all; private addresses it passes over. It may take any address, so all must be right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from proxygen.dns.reach import is_public, is_routed
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import is_address
from proxygen.names.causes import Cause, cause
from proxygen.names.states import Finding
from proxygen.preflight.addresses import is_shared
from proxygen.preflight.asked import Asked, Beacon
from proxygen.preflight.fetching import Fetched, Fetching
from proxygen.preflight.findings import finding

MOST = 8
"""Addresses of a family that are asked."""


@dataclass(frozen=True, slots=True)
class Lead:
    """An address of a name, what to tell about it, and what came when it was asked."""

    address: str
    finding: Finding | None = None
    fetched: Fetched | None = None

    @property
    def right(self) -> bool:
        """Whether the file was found there."""
        return self.fetched is not None and self.fetched.right

    @property
    def passed_over(self) -> bool:
        """Whether Let's Encrypt takes another address instead of it."""
        unreached = self.fetched is not None and not self.fetched.reached
        private = self.finding is not None and self.finding.code == "private"
        return private or (unreached and ":" in self.address)


@dataclass(frozen=True, slots=True)
class Here:
    """What leads here: addresses that were *stated*, and those of this host's interfaces.

    *public* tells which ones the internet can reach.
    """

    stated: frozenset[str]
    interfaces: frozenset[str]
    public: Callable[[str], bool] = is_public

    def has(self, address: str, *, from_outside: bool) -> bool:
        """Return whether an address is ours, seen from who asks.

        A private one is not for who asks from the internet, whoever has it there; nor is one that
        every host has. Unless it was stated.
        """
        if address in self.stated:
            return True
        reachable = self.public(address) or not (from_outside or is_shared(address))
        return address in self.interfaces and reachable

    def lacks_family(self, address: str) -> bool:
        """Return whether nothing here has an address like an IPv6 *address*.

        IPv6 knows no NAT: without one of its own, and none in front of it that was stated, a host
        is not at the end of any AAAA record.
        """
        if ":" not in address or self.states(address):
            return False
        return not any(self.public(each) for each in self.interfaces if ":" in each)

    def states(self, address: str) -> bool:
        """Return whether addresses of the same family were stated."""
        return any(same_family(each, address) for each in self.stated)

    def hides(self, address: str) -> bool:
        """Return whether *address* may be ours although no connection to it succeeds.

        Behind NAT many cannot reach themselves by their public address. What is on an interface
        is not behind NAT; and who has a public address there, or was told, knows where here is.
        """
        if address in self.interfaces:
            return False
        public = any(same_family(each, address) and self.public(each) for each in self.interfaces)
        return address in self.stated or not (public or self.states(address))


@dataclass(frozen=True, slots=True)
class Leading:
    """Judges addresses; without a *beacon* by what is known of them alone."""

    here: Here
    beacon: Beacon | None
    fetching: Fetching

    async def judged(self, asked: Asked, addresses: Iterable[str], until: float) -> list[Finding]:
        """Return what is wrong with the addresses of a name, in their order.

        *until* is the time of the loop at which the rest is left.
        """
        tasks = {
            address: asyncio.create_task(self._one(asked, address))
            for address in sorted(addresses, key=address_order)
        }
        if tasks:
            left = max(0.0, until - asyncio.get_running_loop().time())
            try:
                await asyncio.wait(tasks.values(), timeout=left)
            finally:
                for task in tasks.values():
                    task.cancel()
        leads = [
            task.result() if has_result(task) else unasked_lead(each)
            for each, task in tasks.items()
        ]
        return [each.finding for each in weigh_leads(leads) if each.finding]

    async def _one(self, asked: Asked, address: str) -> Lead:
        ours = self.here.has(address, from_outside=asked.from_outside)
        if not ours and not self.here.public(address):
            return Lead(address, finding("private", type=type_of(address), address=address))
        if self.beacon is None:
            return Lead(address, self._unasked(address, ours, cause("nobody-answers")))
        missing = cause("no-family", family=family_of(address))
        lacking = not ours and self.here.lacks_family(address)
        if not is_routed(address):
            told = forgotten(address, missing) if lacking else self._unasked(address, ours, missing)
            return Lead(address, told)
        fetched = await self.fetching.fetch(asked.host, address, self.beacon)
        if lacking and not fetched.reached:  # which may be for want of IPv6 here
            return Lead(address, forgotten(address, missing))
        return Lead(address, self._meaning(asked, address, ours, fetched), fetched)

    def _unasked(self, address: str, ours: bool, why: Cause) -> Finding | None:
        """Return what to tell of an address that cannot be asked."""
        if ours:
            return None
        if self.here.states(address):
            return finding(
                "elsewhere", cause("none-of-ours"), type=type_of(address), address=address
            )
        return finding("not-fetched", why, grave=False, address=address)

    def _meaning(self, asked: Asked, address: str, ours: bool, fetched: Fetched) -> Finding | None:
        """Return what to tell of an address that was asked."""
        if fetched.right:
            foreign = self.here.stated and not ours
            return finding("through-proxy", grave=False, address=address) if foreign else None
        why, hidden = fetched.why, self.here.hides(address)
        if hidden and not fetched.reached:
            why = cause("no-hairpin", why)
            return finding("not-fetched", why, grave=False, address=address)
        if hidden and (ours or asked.owner == GLOBAL):
            why = cause("router", why)
        if ours or is_address(asked.name):
            return finding("not-answered", why, address=address)
        return finding("elsewhere", why, type=type_of(address), address=address)


def forgotten(address: str, missing: Cause) -> Finding:
    """Return that an AAAA record leads elsewhere, as there is no IPv6 here."""
    return finding("elsewhere", missing, type=type_of(address), address=address)


def weigh_leads(leads: Sequence[Lead]) -> list[Lead]:
    """Return *leads*, what is wrong with one not grave where another is taken instead."""
    if not any(each.right for each in leads):
        return list(leads)
    return [
        milder_lead(each) if each.passed_over and reached_elsewhere(each, leads) else each
        for each in leads
    ]


def reached_elsewhere(lead: Lead, leads: Iterable[Lead]) -> bool:
    """Return whether the file was found where an authority goes on after *lead*.

    After an IPv6 address without a connection that is an IPv4 address.
    """
    private = lead.fetched is None
    return any(each.right and (private or ":" not in each.address) for each in leads)


def milder_lead(lead: Lead) -> Lead:
    """Return a lead whose finding is no reason to wait."""
    return replace(lead, finding=lead.finding and replace(lead.finding, grave=False))


def same_family(one: str, other: str) -> bool:
    """Return whether two addresses are of one family."""
    return (":" in one) == (":" in other)


def has_result(task: asyncio.Task[Lead]) -> bool:
    """Return whether a task has a result."""
    return task.done() and not task.cancelled()


def unasked_lead(address: str) -> Lead:
    """Return a lead for which there was no time."""
    return Lead(address, finding("not-fetched", cause("no-time"), grave=False, address=address))


def address_order(address: str) -> tuple[bool, str]:
    """Return by what addresses are sorted: IPv6 first, as authorities ask them."""
    return ":" not in address, address


def family_of(address: str) -> str:
    """Return the protocol of an address."""
    return "IPv6" if ":" in address else "IPv4"


def type_of(address: str) -> str:
    """Return the type of the record that holds an address."""
    return "AAAA" if ":" in address else "A"
