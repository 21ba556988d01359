"""A challenge file fetched from one address, over redirects, as authorities do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from proxygen.dns.places import Places, Used
from proxygen.dns.reach import is_routed
from proxygen.dns.wire import network_cause
from proxygen.host.suffixes import registered_domain
from proxygen.model.hosts import is_address
from proxygen.names.causes import Cause, cause
from proxygen.preflight import http
from proxygen.preflight.asked import Beacon, NameResolver
from proxygen.preflight.http import REDIRECTS, Astray, HttpResponse, RequestTarget

PLACE = "/.well-known/acme-challenge/"
PATIENCE = 10.0
HOPS = 10
"""Redirects that authorities follow (letsencrypt.org/docs/challenge-types)."""
FAILURES = 3
"""After so many connections in vain an address is left alone for the rest of a run."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: whether it was the *right* file, and whether there was a connection at all.

    *why* tells what came instead of the file.
    """

    right: bool
    reached: bool
    why: Cause | None = None


@dataclass(slots=True)
class Trip:
    """The way so far: where to ask next, and whether anybody answered yet."""

    target: RequestTarget
    reached: bool = False
    hops: int = 0

    def told(self, why: Cause | None) -> Cause | None:
        """Return what happened, with where it happened."""
        if why is None or not self.hops:
            return why
        return cause("redirected", why, place=http.shorten_text(str(self.target)))


class Fetching:
    """Fetches, over never more than *in_flight* connections at once; made while a loop runs.

    Of those who wait the domain is next that used least: slow servers of one keep no other waiting
    for longer than one fetch. *allowed* tells whether a redirect may lead to an address. Whatever
    servers do, one fetch ends after *patience* seconds.
    """

    def __init__(
        self,
        resolver: NameResolver,
        in_flight: int,
        allowed: Callable[[str], bool],
        patience: float = PATIENCE,
    ) -> None:
        self.resolver = resolver
        self.allowed = allowed
        self.patience = patience
        self.places = Places(asyncio.get_running_loop(), in_flight, Used(), 0.0)
        self.vain: dict[tuple[str, int], list[Fetched]] = {}

    async def fetch(self, name: str, address: str, beacon: Beacon) -> Fetched:
        """Return what is answered at *address* to who asks for the beacon of *name*."""
        trip = Trip(RequestTarget("http", name, beacon.port, f"{PLACE}{beacon.token}"))
        place = (address, beacon.port)
        stay = await self.places.enter(registered_domain(name))
        try:
            if len(self.vain.get(place, ())) >= FAILURES:
                return self.vain[place][0]  # the same cause: it is the same that was found
            fetched = await self._fetched(trip, address, beacon)
        finally:
            self.places.leave(stay)
        self._note(place, fetched)
        return fetched

    async def _fetched(self, trip: Trip, address: str, beacon: Beacon) -> Fetched:
        try:
            async with asyncio.timeout(self.patience):
                answer = await self._followed(trip, address, frozenset({beacon.port, 80, 443}))
        except TimeoutError:
            why = cause("no-answer", seconds=f"{self.patience:g}")
        except OSError as error:
            why = network_cause(error)
        except Astray as astray:
            why = astray.why
        else:
            wrong = wrong_answer(answer, beacon)
            return Fetched(wrong is None, True, trip.told(wrong))
        return Fetched(False, trip.reached, trip.told(why))

    def _note(self, place: tuple[str, int], fetched: Fetched) -> None:
        """Remember connections in vain: a thousand names at a dead address cost few waits."""
        if fetched.reached:
            self.vain.pop(place, None)
        else:
            self.vain.setdefault(place, []).append(fetched)

    async def _followed(self, trip: Trip, address: str, ports: frozenset[int]) -> HttpResponse:
        """Return the answer at the end of the redirects; on the same host the address stays."""
        host = trip.target.host
        answer = await self._answer(trip, address)
        while answer.status in REDIRECTS:
            trip.target = http.redirect_target(trip.target, answer.location, ports)
            trip.hops += 1
            if trip.hops > HOPS:
                raise Astray(cause("redirects", most=str(HOPS)))
            same = trip.target.host == host
            answer = await self._answer(
                trip, address if same else await self._address_of(trip.target.host)
            )
        return answer

    async def _answer(self, trip: Trip, address: str) -> HttpResponse:
        async with self._connection(trip.target, address) as (reader, writer):
            trip.reached = True
            return await http.ask(reader, writer, trip.target)

    @asynccontextmanager
    async def _connection(
        self, target: RequestTarget, address: str
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect; what is left of the connection at the end is not waited for."""
        secure = target.scheme == "https"
        reader, writer = await asyncio.open_connection(
            address,
            target.port,
            limit=http.HEAD,
            ssl=http.trusting_context() if secure else None,
            server_hostname=target.host if secure else None,
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _address_of(self, host: str) -> str:
        """Return where another host is, IPv6 first; no redirect leads us into a private network."""
        found = [host] if is_address(host) else await self._resolved(host)
        allowed = [each for each in found if self.allowed(each)]
        if found and not allowed:
            raise Astray(cause("not-public"))
        routed = next((each for each in allowed if is_routed(each)), None)
        if routed is None:
            raise Astray(cause("unroutable"))
        return routed

    async def _resolved(self, host: str) -> list[str]:
        looks = [await self.resolver.resolve(host, rdtype) for rdtype in ("AAAA", "A")]
        return [each for found in looks for each in found.records]


def wrong_answer(answer: HttpResponse, beacon: Beacon) -> Cause | None:
    """Return what an answer is instead of the file, None for the file.

    Space after it does not count, as at authorities.
    """
    if answer.status != 200:
        return answer.cause
    right = answer.body.rstrip() == beacon.body.encode().rstrip()
    return None if right else cause("content", answer.cause)
