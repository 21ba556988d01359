"""Questions to servers: so many at once, the same one only once, silent servers left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from proxygen.dns.answers import ReplyKind
from proxygen.dns.places import Places, Stay, Used
from proxygen.dns.wire import Came, DnsQuestion, NameServer, WireReply, converse, read_reply
from proxygen.names.causes import Caused, cause

SILENCES = 2
"""After so many questions in a row without an answer a server is asked one at a time.

That holds for PAUSE seconds, and others are told of the silence at once. No more are asked at
once of one that did not answer yet: the names of a dead one wait for these.
"""
PAUSE = 30.0
MOMENT = 0.01
REMEMBERED = 10_000
WAVES = (1, 3, 30)
LONG = 1 / 6
"""Of the patience: after that a question makes room for those of others that used less."""
PUT_OUT = 3
"""How often a question may have to make room; it is asked again afterwards."""
HEAVY = 100
"""The weight from which on answers are read one at a time, with as long a break between."""
WEIGHT = 5_000
"""What all answers of one look may weigh; those of a zone that is right come to some hundreds."""
OF_A_RECORD = 0.0001
"""Seconds that reading takes, by weight: so much of a place counts as used."""

T = TypeVar("T")


class Exhausted(Caused):
    """A look took more questions, or longer, than any right zone needs; *why* tells which."""


@dataclass(slots=True, eq=False)
class Errand:
    """What one look may cost: seconds and questions. A *fresh* one asks whatever was asked.

    *party* is for whom, so that nobody's questions leave no room for those of others. *short*: it
    could not be asked all that should have been.
    """

    seconds: float
    questions: int
    party: str = ""
    fresh: bool = False
    whole: Errand | None = None
    weight: int = 0
    short: bool = False
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = asyncio.get_running_loop().time()

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.begun + self.seconds - asyncio.get_running_loop().time())

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        return self.left < MOMENT

    def spend(self) -> None:
        """Count a question; raise Exhausted when it is one too many, or too late."""
        if self.questions <= 0:
            code = "many-questions"
        elif not self.left:
            code = "no-time"
        elif self.weight > WEIGHT:
            code = "much-said"
        else:
            self.questions -= 1
            return
        self.ends()
        raise Exhausted(cause(code))

    def weigh(self, weight: int) -> None:
        """Count what an answer weighs, here and in what it is a part of."""
        self.weight += weight
        if self.whole:
            self.whole.weigh(weight)

    def ends(self) -> None:
        """Note that not all could be asked, here and in what it is a part of."""
        self.short = True
        if self.whole:
            self.whole.ends()

    def part(self) -> Errand:
        """Return half of it, for what is worth no more: it is taken away from this one."""
        given = self.questions // 2
        self.questions -= given
        return Errand(self.left / 2, given, self.party, self.fresh, self, self.weight)


class Bound:
    """What belongs to one event loop: the places, and the questions in flight.

    In *places* questions are asked, in *lane* heavy answers are read; both count as *used*.
    """

    __slots__ = ("flying", "gates", "known", "lane", "loop", "places", "probed", "used")

    def __init__(self, loop: asyncio.AbstractEventLoop, in_flight: int, long: float) -> None:
        self.loop = loop
        self.used = Used()
        self.places = Places(loop, in_flight, self.used, long)
        self.lane = Places(loop, 1, self.used, 0.0)
        self.gates: dict[NameServer, asyncio.Semaphore] = {}
        self.known: dict[NameServer, float] = {}
        self.probed: set[NameServer] = set()
        self.flying: dict[tuple[NameServer, DnsQuestion], asyncio.Task[WireReply]] = {}

    def gate(self, server: NameServer) -> asyncio.Semaphore:
        """Return what lets few questions pass to a server that did not answer yet."""
        if len(self.gates) > REMEMBERED:
            self.gates.clear()
        return self.gates.setdefault(server, asyncio.Semaphore(SILENCES))

    def answers(self, server: NameServer, now: float) -> None:
        """Note that *server* answers."""
        if len(self.known) > REMEMBERED:
            self.known.clear()
        self.known[server] = now
        self.gates.pop(server, None)


class DnsClient:
    """Asks servers, never more than *in_flight* questions at once.

    *asked* counts questions, *most* the largest number of them in flight.
    """

    def __init__(
        self, in_flight: int, patience: float, tries: int, ticks: Callable[[], float]
    ) -> None:
        self.in_flight = in_flight
        self.patience = patience
        self.tries = tries
        self.ticks = ticks
        self.asked = self.most = self._now = 0
        self._crowded = float("-inf")
        self._bound: Bound | None = None
        self._silent: dict[NameServer, tuple[int, float]] = {}

    async def all(
        self, servers: Sequence[NameServer], question: DnsQuestion, errand: Errand
    ) -> list[WireReply]:
        """Return what each says, asked at the same time, in the order of *servers*."""
        tasks = [self._task(each, question, errand, self.tries) for each in servers]
        if tasks:
            await asyncio.wait(tasks, timeout=errand.left)
        said = [task_outcome(task, each) for task, each in zip(tasks, servers, strict=True)]
        errand.weigh(sum(each.weight for each in said))
        return said

    async def first(
        self,
        servers: Sequence[NameServer],
        question: DnsQuestion,
        errand: Errand,
        right: Callable[[WireReply], T | None],
    ) -> tuple[T | None, list[WireReply]]:
        """Ask one server, then three, then more; stop at the first answer that is *right*.

        Return what *right* made of it, or None, and all that was said until then.
        """
        said: list[WireReply] = []
        for wave in server_waves(
            sorted(servers, key=self._silences)
        ):  # those silent lately come last
            pending = {self._task(each, question, errand, 1): each for each in wave}
            while pending and errand.left:
                done, _ = await asyncio.wait(
                    pending, timeout=errand.left, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    said.append(task_outcome(task, pending.pop(task)))
                    errand.weigh(said[-1].weight)
                    if (made := right(said[-1])) is not None:
                        return made, said
            said.extend(task_outcome(task, each) for task, each in pending.items())
        return None, said

    def crowded_out(self, errand: Errand) -> bool:
        """Return whether the time of an errand went while questions waited for those of others.

        Servers that answer as late as they may keep the slots; it is not the fault of others then.
        """
        return errand.is_late and self._crowded >= errand.begun

    def _task(
        self, server: NameServer, question: DnsQuestion, errand: Errand, tries: int
    ) -> asyncio.Task[WireReply]:
        """Return the task that asks; one that asks the same just now serves both."""
        errand.spend()
        bound = self._of_this_loop()
        key = (server, question)
        flying = None if errand.fresh else bound.flying.get(key)
        if flying is None:
            flying = bound.loop.create_task(self._ask(bound, key, tries, errand))
            bound.flying[key] = flying
        return flying

    def _of_this_loop(self) -> Bound:
        """Return what belongs to the running loop; that of a loop before is forgotten."""
        loop = asyncio.get_running_loop()
        if self._bound is None or self._bound.loop is not loop:
            self._bound = Bound(loop, self.in_flight, self.patience * LONG)
            self._now = 0
        return self._bound

    async def _ask(
        self, bound: Bound, key: tuple[NameServer, DnsQuestion], tries: int, errand: Errand
    ) -> WireReply:
        server, question = key
        try:
            if not (errand.fresh or server in bound.known):
                async with bound.gate(server):
                    if server not in bound.known:
                        return await self._ask_now(bound, server, question, tries, errand)
            return await self._ask_now(bound, server, question, tries, errand)
        finally:
            bound.flying.pop(key, None)

    async def _ask_now(
        self, bound: Bound, server: NameServer, question: DnsQuestion, tries: int, errand: Errand
    ) -> WireReply:
        suspect = not errand.fresh and self._silences(server) >= SILENCES  # it is asked singly
        if suspect and server in bound.probed:
            return WireReply(server, None, ReplyKind.SILENT, cause("silent-lately"))
        if suspect:
            bound.probed.add(server)
        try:
            for _ in range(PUT_OUT):
                begun = self.ticks()
                again = self._worth(bound, server, 0 if suspect else tries - 1)
                came = await self._in_place(bound, server, question, again, errand.party)
                if came is not None:
                    break
            else:
                return WireReply(server, None, ReplyKind.SILENT, cause("crowded"))
        finally:
            if suspect:
                bound.probed.discard(server)
        said = came if isinstance(came, WireReply) else await self._read(bound, came, errand.party)
        self._note(bound, said, question, begun)
        return said

    async def _in_place(
        self,
        bound: Bound,
        server: NameServer,
        question: DnsQuestion,
        again: Iterator[bool],
        party: str,
    ) -> Came | WireReply | None:
        """Return what came, None where the question had to make room for those of others."""
        waits = bound.loop.time()
        stay = await bound.places.enter(party)
        try:
            if bound.loop.time() - waits > self.patience / 3:
                self._crowded = bound.loop.time()
            self.asked += 1
            self._now += 1
            self.most = max(self.most, self._now)
            async with asyncio.timeout(None) as stay.over:
                return await converse(server, question, self.patience, again)
        except TimeoutError:
            self._crowded = bound.loop.time()
            return None
        finally:
            self._now -= 1
            bound.places.leave(stay)

    async def _read(self, bound: Bound, came: Came, party: str) -> WireReply:
        """Read what came; what is heavy in its turn, so that others are read meanwhile."""
        bound.used.add(party, came.weight * OF_A_RECORD)
        if came.weight <= HEAVY:
            return read_reply(came)
        stay: Stay = await bound.lane.enter(party)
        try:
            begun = bound.loop.time()
            said = read_reply(came)
            await asyncio.sleep(bound.loop.time() - begun)
            return said
        finally:
            bound.lane.leave(stay)

    def _worth(self, bound: Bound, server: NameServer, times: int) -> Iterator[bool]:
        """Yield whether to ask once more; in vain where others wait for an answer likewise."""
        for _ in range(times):
            gate = bound.gates.get(server)
            alone = not self._silences(server) and (gate is None or not gate.locked())
            yield alone or server in bound.known

    def _silences(self, server: NameServer) -> int:
        """Return how often in a row *server* was silent, 0 when that is long ago."""
        silences, since = self._silent.get(server, (0, 0.0))
        return silences if self.ticks() - since < PAUSE else 0

    def _note(self, bound: Bound, said: WireReply, question: DnsQuestion, begun: float) -> None:
        """Remember silence: many names on one dead server must not cost a wait each.

        A server may be silent about one name and answer others: about those that it does not
        serve, and a resolver about those whose servers are dead. It is not dead then.
        """
        server = said.server
        if said.kind is not ReplyKind.SILENT:
            bound.answers(server, self.ticks())
            self._silent.pop(server, None)
        elif bound.known.get(server, -1.0) < begun and not (question.recursive and question.name):
            bound.known.pop(server, None)
            self._silenced(server, SILENCES if question.recursive else 1)

    def _silenced(self, server: NameServer, more: int) -> None:
        silences, _ = self._silent.pop(server, (0, 0.0))
        while len(self._silent) >= REMEMBERED:
            del self._silent[next(iter(self._silent))]
        self._silent[server] = (silences + more, self.ticks())


def server_waves(servers: Sequence[NameServer]) -> Iterator[Sequence[NameServer]]:
    """Yield those to ask first, then those to ask when they are silent."""
    begin = 0
    for size in WAVES:
        if begin < len(servers):
            yield servers[begin : begin + size]
        begin += size


def task_outcome(task: asyncio.Task[WireReply], server: NameServer) -> WireReply:
    """Return what a server said; one that is not done is silent as far as anybody waited."""
    if task.done() and not task.cancelled():
        return task.result()
    return WireReply(server, None, ReplyKind.SILENT, cause("in-time"))
