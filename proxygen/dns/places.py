"""So many at once: who used least comes first, and who stays long makes room for others."""

from __future__ import annotations

import asyncio
from collections import deque

REMEMBERED = 10_000


class Stay:
    """Somebody in a place, of a *party*, since a time of the loop; *over* is what may end it."""

    __slots__ = ("begun", "over", "party", "put_out")

    def __init__(self, party: str, begun: float) -> None:
        self.party = party
        self.begun = begun
        self.over: asyncio.Timeout | None = None
        self.put_out = False


class Used:
    """How long each party had places, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, party: str, seconds: float) -> None:
        """Count more."""
        if len(self.seconds) > REMEMBERED:
            self.seconds.clear()
        self.seconds[party] = self.seconds.get(party, 0.0) + seconds


class Places:
    """Places for *most* at once, of one event loop.

    Those who wait are let in by how much their party used, so that a party that asks much waits for
    those that ask little. When one that used less waits, who is in for longer than *moment* seconds
    and may be ended has to go.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, most: int, used: Used, moment: float
    ) -> None:
        self.loop = loop
        self.free = most
        self.used = used
        self.moment = moment
        self.held: dict[Stay, None] = {}
        self.waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self.timer: asyncio.TimerHandle | None = None

    async def enter(self, party: str) -> Stay:
        """Wait for a place, and take it."""
        if self.free:
            self.free -= 1
        else:
            await self._turn(party)
        stay = Stay(party, self.loop.time())
        self.held[stay] = None
        return stay

    def leave(self, stay: Stay) -> None:
        """Give a place back."""
        del self.held[stay]
        self.used.add(stay.party, self.loop.time() - stay.begun)
        self._pass_on()

    async def _turn(self, party: str) -> None:
        turn: asyncio.Future[None] = self.loop.create_future()
        self.waiting.setdefault(party, deque()).append(turn)
        self._press()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was given a place just now
            raise

    def _pass_on(self) -> None:
        """Let the next one in."""
        uses = self._uses() if len(self.waiting) > 1 else dict.fromkeys(self.waiting, 0.0)
        while self.waiting:
            party = min(self.waiting, key=lambda each: uses[each])
            turns = self.waiting[party]
            turn = turns.popleft()
            if not turns:
                del self.waiting[party]
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    def _press(self) -> None:
        """Have those make room who stay long, where somebody waits who used less."""
        now = self.loop.time()
        old = [
            each
            for each in self.held
            if now - each.begun >= self.moment and each.over and not each.put_out
        ]
        uses = self._uses() if old else {}
        old.sort(key=lambda each: uses[each.party], reverse=True)
        waiting = sorted(self.waiting, key=lambda each: uses[each]) if old else ()
        for party, stay in zip(waiting, old, strict=False):
            if uses[party] + self.moment < uses[stay.party] and stay.over:
                stay.put_out = True
                stay.over.reschedule(now)
        if self.timer is None and self.moment:
            self.timer = self.loop.call_later(self.moment / 4, self._again)

    def _again(self) -> None:
        """Look whether somebody still waits."""
        self.timer = None
        if self.waiting:
            self._press()

    def _uses(self) -> dict[str, float]:
        """Return how much the parties used that wait or are in, until now."""
        now = self.loop.time()
        uses = {each: self.used.seconds.get(each, 0.0) for each in self.waiting}
        for stay in self.held:
            former = uses.get(stay.party, self.used.seconds.get(stay.party, 0.0))
            uses[stay.party] = former + now - stay.begun
        return uses
