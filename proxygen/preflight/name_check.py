"""One look at one name: what its challenge needs, judged as the authority will judge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from proxygen.dns.answers import LookupFailure, LookupResult
from proxygen.languages.lines import one_line
from proxygen.model.certificate import DNS, PERSIST
from proxygen.names.causes import cause
from proxygen.names.states import Evidence, Finding
from proxygen.preflight import caa, records
from proxygen.preflight.asked import Asked, NameResolver
from proxygen.preflight.findings import finding, servers_of
from proxygen.preflight.reachability import Leading
from proxygen.preflight.resolved import (
    address_findings,
    addresses_of,
    addresses_to_ask,
    differing_servers,
    left_out,
)

SECONDS = 40.0
FIRST = 0.6
"""The part of it for what everything else depends on."""


@dataclass(frozen=True, slots=True)
class NameCheck:
    """Looks at one name, in no more than *seconds* whatever servers do."""

    resolver: NameResolver
    leading: Leading
    now: Callable[[], datetime]
    seconds: float = SECONDS

    async def at(self, asked: Asked) -> Evidence:
        """Return what is found; whatever goes wrong here is no reason to wait for the name."""
        try:
            return await self._at(asked, asyncio.get_running_loop().time())
        except Exception as bug:  # noqa: BLE001 - it must harm no other name
            why = cause("bug", words=f"{type(bug).__name__}: {bug}")
            return Evidence(self.now(), findings=(finding("cannot-look", why, grave=False),))

    async def _at(self, asked: Asked, began: float) -> Evidence:
        if asked.is_address:
            return await self._at_address(asked, began)
        if asked.challenge in (DNS, PERSIST):
            return await self._at_records(asked, began)
        return await self._at_host(asked, began)

    async def _at_address(self, asked: Asked, began: float) -> Evidence:
        """Look at an address: there is nothing to resolve, and CAA is about names."""
        findings = await self.leading.judged(asked, (asked.name,), began + self.seconds)
        return Evidence(self.now(), addresses=(asked.name,), findings=tuple(findings))

    async def _at_records(self, asked: Asked, began: float) -> Evidence:
        """Look at what dns-01 and dns-persist-01 need: the zone of the record, and CAA."""
        place = records.place_of(asked)
        found = await within(
            began + self.seconds * FIRST, self.resolver.resolve(place, "TXT"), place
        )
        findings = list(records.record_findings(asked, found, self.now()))
        if any(each.grave and each.code != "persist" for each in findings):
            return self._evidence([found], findings)
        policy = await within(
            began + self.seconds, caa.climbed(self.resolver, asked.host), asked.host
        )
        findings.extend(caa.caa_findings(asked, policy))
        return self._evidence([found], findings, policy=policy)

    async def _at_host(self, asked: Asked, began: float) -> Evidence:
        """Look at what http-01 needs: addresses, of which all lead here, and CAA."""
        first = (self.resolver.resolve(asked.host, each) for each in ("A", "AAAA"))
        looks = await asyncio.gather(
            *(within(began + self.seconds * FIRST, each, asked.host) for each in first)
        )
        addresses = addresses_of(looks)
        if not addresses:
            return self._evidence(looks, address_findings(looks))
        until = began + self.seconds
        policy, leading = await asyncio.gather(
            within(until, caa.climbed(self.resolver, asked.host), asked.host),
            self.leading.judged(asked, addresses_to_ask(addresses), until),
        )
        findings = [
            *differing_servers(looks, leading),
            *leading,
            *address_findings(looks),
            *left_out(addresses),
            *caa.caa_findings(asked, policy),
        ]
        return self._evidence(looks, findings, addresses_to_ask(addresses), policy)

    def _evidence(
        self,
        looks: Iterable[LookupResult],
        findings: Iterable[Finding],
        addresses: tuple[str, ...] = (),
        policy: LookupResult | None = None,
    ) -> Evidence:
        looks = tuple(looks)
        return Evidence(
            at=self.now(),
            addresses=addresses,
            chain=next((each.chain for each in looks if each.chain), ()),
            caa=tuple(map(one_line, sorted(policy.records))) if policy else (),
            servers=servers_of(*looks),
            source=str(looks[0].source),
            findings=tuple(findings),
        )


async def within(until: float, look: Awaitable[LookupResult], name: str) -> LookupResult:
    """Return what a look found, or that it took too long; *until* is a time of the loop."""
    try:
        async with asyncio.timeout_at(until):
            return await look
    except TimeoutError:
        return LookupResult(
            name, "", failure=LookupFailure.CANNOT_LOOK, because=(cause("in-time"),)
        )
