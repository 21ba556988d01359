"""What dns-01 asks the DNS, from many threads: one event loop of its own serves them all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Coroutine, Mapping
from concurrent.futures import CancelledError
from typing import Any, Self, TypeVar

from proxygen.dns.answers import SETTLED, Led, LookupFailure, Reply
from proxygen.dns.resolver import Resolver, host_part
from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained, refusal_of_name
from proxygen.names.findings import cause_words, reason_words
from proxygen.solvers.dns01 import ShownRecords

T = TypeVar("T")
LONGEST = 60.0
"""Seconds for one question of ours: a look bounds itself to less."""


class Lookups:
    """Looks names up by *resolving*, from the first question to the end of its ``with`` block."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            if self.loop:
                self.loop.call_soon_threadsafe(self.loop.stop)
                self.loop = None

    def target(self, name: str, delegated: Collection[str]) -> str:
        """Return the name at the end of the CNAME records of *name*, as they are now."""
        return (name, *self.led(name, delegated).targets)[-1]

    def zone(self, name: str) -> str:
        """Return the apex of the zone of *name*; raise IssueFailed."""
        return self.led(name).zone

    def led(self, name: str, delegated: Collection[str] = ()) -> Led:
        """Return where *name* leads now; raise IssueFailed if nobody would find a record there.

        That there is no record yet, and nothing else at that name, is as it should be.
        """
        led = self.asked(self.resolver.led(name, "TXT", delegated))
        way = (name, *led.targets)
        if led.circling:
            passed = tuple(led.targets)
            raise IssueFailed(
                refusal_of_name(name, not_obtained("txt-circle", name=name, targets=passed))
            )
        if not led.zone or not any(each.kind in SETTLED for each in led.replies):
            if led.crowded:
                raise IssueFailed(not_obtained("too-many-questions", Scope.HOST, name=way[-1]))
            unserved = [each for each in led.replies if each.kind not in SETTLED]
            said = (f"{each.server}: {reply_failure(each)}" for each in unserved)
            raise IssueFailed(failure_nowhere(way, "; ".join(said) or self.zone_failure(way[-1])))
        return led

    def zone_failure(self, name: str) -> str:
        """Return why the zone of a name is not known; raise IssueFailed if it is our trouble."""
        found = self.asked(self.resolver.resolve(host_part(name), "SOA"))
        if found.failure is LookupFailure.CANNOT_LOOK:
            words = cause_words(found.because)
            raise IssueFailed(
                not_obtained("zone-not-looked-up", Scope.HOST, name=name, words=words)
            )
        return cause_words(found.because) or str(found.failure) or "its zone is not known"

    def shown(self, names: Collection[str]) -> Mapping[str, tuple[ShownRecords, ...]]:
        """Return what each authoritative server shows now, for each of *names*."""

        async def all_of_them() -> list[Led]:
            return await asyncio.gather(*(self.resolver.led(each, "TXT") for each in names))

        found = zip(names, self.asked(all_of_them()), strict=True)
        return {name: tuple(map(shown_records, led.replies)) for name, led in found}

    def asked(self, question: Coroutine[Any, Any, T]) -> T:
        """Return the answer to a question, whichever thread asks."""
        future = asyncio.run_coroutine_threadsafe(question, self.running())
        try:
            return future.result(LONGEST)
        except (TimeoutError, CancelledError) as error:
            future.cancel()
            raise IssueFailed(not_obtained("dns-not-asked-in-time", Scope.HOST)) from error

    def running(self) -> asyncio.AbstractEventLoop:
        """Return the event loop, which runs from now on."""
        with self.lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(
                    target=serve_loop, args=[self.loop], name="dns-01", daemon=True
                ).start()
            return self.loop


def serve_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run an event loop until it is stopped; what is asked then is asked no more."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()


def shown_records(reply: Reply) -> ShownRecords:
    """Return one server's reply as what it shows."""
    if reply.kind not in SETTLED:
        return ShownRecords(reply.server, words=reply_failure(reply))
    return ShownRecords(reply.server, reply.records)


def reply_failure(reply: Reply) -> str:
    """Return why a server gave no answer."""
    return reason_words(reply.why) if reply.why else str(reply.kind)


def failure_nowhere(way: tuple[str, ...], words: str) -> NotObtained:
    """Return the failure for a name at which nobody would find a record, by way of its aliases."""
    name, *targets = way
    code = "txt-nowhere-by-way" if targets else "txt-nowhere"
    passed = tuple(targets)
    return refusal_of_name(name, not_obtained(code, name=name, targets=passed, words=words))
