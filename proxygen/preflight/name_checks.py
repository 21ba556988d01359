"""Preflight: many names looked at, so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice

from proxygen.dns.reach import is_public
from proxygen.names.states import Evidence
from proxygen.preflight.addresses import on_interfaces
from proxygen.preflight.asked import Asked, Beacon, NameResolver
from proxygen.preflight.fetching import PATIENCE, Fetching
from proxygen.preflight.name_check import NameCheck
from proxygen.preflight.reachability import Here, Leading

ASKS = 0.2
"""Seconds after which it is asked again whether to stop."""

Task = asyncio.Task[tuple[Asked, Evidence]]


class Preflight:
    """Looks at names before an authority is asked.

    *addresses* are those of this installation, as the model states them or as they were found
    out; none if nobody knows. Without a *beacon* nothing is fetched. Never more than
    *in_flight* names are looked at, and connections open, at once; *patience* is in seconds.
    """

    def __init__(
        self,
        resolving: NameResolver,
        addresses: Collection[str],
        beacon: Beacon | None,
        now: Callable[[], datetime],
        *,
        local: Callable[[], Collection[str]] = on_interfaces,
        public: Callable[[str], bool] = is_public,
        in_flight: int = 50,
        patience: float = PATIENCE,
    ) -> None:
        self.resolving = resolving
        self.stated = frozenset(addresses)
        self.beacon = beacon
        self.now = now
        self.local = local
        self.public = public
        self.in_flight = in_flight
        self.patience = patience

    def check_names(
        self,
        asked: Iterable[Asked],
        done: Callable[[Asked, Evidence], None],
        stop: Callable[[], bool],
    ) -> None:
        """Look at names; *done* is called for each as it comes, in the thread of the caller.

        Told to *stop*, it ends soon, and nothing more is told. What *done* raises ends it too.
        """
        asyncio.run(self._check(iter(asked), done, stop))

    async def _check(
        self,
        waiting: Iterator[Asked],
        done: Callable[[Asked, Evidence], None],
        stop: Callable[[], bool],
    ) -> None:
        look = self._made()
        running: set[Task] = set()
        try:
            while not stop():
                for each in islice(waiting, self.in_flight - len(running)):
                    running.add(asyncio.create_task(told(look, each)))
                if not running:
                    return
                ended, running = await asyncio.wait(
                    running, timeout=ASKS, return_when=asyncio.FIRST_COMPLETED
                )
                for task in ended:
                    done(*task.result())
        finally:
            await cancelled(running)

    def _made(self) -> NameCheck:
        """Return what looks at one name; it belongs to the running loop."""
        here = Here(self.stated, frozenset(self.local()), self.public)
        fetching = Fetching(
            self.resolving,
            self.in_flight,
            lambda address: address in self.stated or self.public(address),
            self.patience,
        )
        return NameCheck(self.resolving, Leading(here, self.beacon, fetching), self.now)


async def told(look: NameCheck, asked: Asked) -> tuple[Asked, Evidence]:
    """Return what is found, with what was asked."""
    return asked, await look.at(asked)


async def cancelled(tasks: Collection[Task]) -> None:
    """End tasks."""
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
