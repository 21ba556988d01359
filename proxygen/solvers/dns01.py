"""dns-01 (RFC 8555 section 8.4): answers as TXT records, seen at every name server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Protocol

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, not_obtained, refusal_of_name
from proxygen.solvers import Writer
from proxygen.solvers.dns01_records import (
    KeptRecords,
    TxtRecord,
    challenge_name,
    challenge_value,
    may_stand,
)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
MOST_SHOWN = 5
LEFT_ASIDE = 10.0
"""Seconds after which a server without any answer does not count, if all others show a record.

Resolvers pass over a server that is silent or does not serve the zone, and so do authorities.
"""
MOST_FAILURES = 3
"""Of records that a killed run left, before the others are left to the next run."""
AT_THE_END = 5.0
"""Seconds for taking records back when the process ends; the next run removes the others."""


@dataclass(frozen=True, slots=True)
class ShownRecords:
    """What one name server shows at a name; *words* tell why it shows nothing."""

    server: str
    values: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A record that some servers do not show yet; without *servers* nobody knows who should."""

    record: TxtRecord
    servers: tuple[ShownRecords, ...]


Answer = tuple[str, str]
"""The name and the token of an answer."""


class RecordLookup(Protocol):
    """What dns-01 asks the DNS; threads share it."""

    def target(self, name: str, delegated: Collection[str]) -> str:
        """Return the name at the end of the CNAME records of *name*; raise IssueFailed.

        That is *name* itself without any, and whether anything is there or not. What a wildcard
        leads elsewhere has none, unless it leads into one of the zones that are *delegated*.
        """

    def shown(self, names: Collection[str]) -> Mapping[str, tuple[ShownRecords, ...]]:
        """Return what each authoritative server of its zone shows now, for each of *names*.

        Nothing of it is remembered from before. Raise IssueFailed if nobody can be asked.
        """


class Dns01:
    """Presents answers as TXT records by one *writer*, which the model calls *solver*.

    *presented* are the records of this process, wherever they are; *notes* tell people of records
    that could not be taken back.
    """

    presented: ClassVar[dict[TxtRecord, Dns01]] = {}

    def __init__(
        self,
        solver: str,
        writer: Writer,
        records: KeptRecords,
        looking: RecordLookup,
        now: Callable[[], datetime],
        left_aside: float = LEFT_ASIDE,
    ) -> None:
        self.solver = solver
        self.writer = writer
        self.records = records
        self.looking = looking
        self.now = now
        self.left_aside = left_aside
        self.answers: dict[tuple[str, str], TxtRecord] = {}
        self.notes: tuple[str, ...] = ()
        self.swept = False
        self.lock = threading.Lock()

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Write the record where the name's own, or its CNAME, leads to.

        The first call removes what killed runs left. Who has a zone may let its CNAME lead to any
        name, and a record of ours there could take others away (RFC 4592 section 2.2.1): it is
        followed only within the name's registered domain, and into what is delegated to us.
        """
        with self.lock:
            if not self.swept:
                self.sweep()
                self.swept = True
        try:
            target = self.looking.target(challenge_name(name), self.writer.delegated)
            if not self.may_write(name, target):
                raise IssueFailed(self.astray(challenge_name(name), target))
            record = TxtRecord(self.solver, target, challenge_value(key_authorization))
            self.answers[name, token] = record
            self.write(record)
        except IssueFailed as error:
            if error.failure.refused:  # it was not written, for sure
                self.answers.pop((name, token), None)
            raise IssueFailed(failure_about(name, error.failure)) from error

    def may_write(self, name: str, target: str) -> bool:
        """Return whether a record for *name* may stand at *target*, where its aliases lead."""
        return may_stand(name, target, self.writer.delegated)

    def astray(self, place: str, target: str) -> NotObtained:
        """Return the failure for an alias at *place* that leads to names which are not for it."""
        zone = target.removeprefix(f"{place.partition('.')[2]}.")
        return refusal_of_name(
            place,
            not_obtained("alias-astray", place=place, target=target, zone=zone, solver=self.solver),
        )

    def write(self, record: TxtRecord) -> None:
        """Write a record, which is remembered before unless it is known not to be there."""
        self.records.put(record, self.now())
        self.presented[record] = self
        try:
            self.writer.add(record.name, record.value)
        except IssueFailed as error:
            if error.failure.refused:
                self.records.drop(record)
                self.presented.pop(record, None)
            raise

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        """Wait until every authoritative server shows every record."""
        waiting = {each: self.answers[each] for each in answers}
        begun, pause = time.monotonic(), FIRST_PAUSE
        while missing := self.missing(waiting, time.monotonic() - begun):
            if time.monotonic() + pause > begun + self.writer.patience:
                raise IssueFailed(unseen_records(missing, self.writer.patience))
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            waiting = {each: waiting[each] for each in missing}

    def missing(self, waiting: Mapping[Answer, TxtRecord], waited: float) -> dict[Answer, Missing]:
        """Return the answers that are not seen yet, with the servers that do not show them."""
        if not waiting:
            return {}
        shown = self.looking.shown({record.name for record in waiting.values()})
        found = {}
        for answer, record in waiting.items():
            servers = shown[record.name]
            without = tuple(each for each in servers if record.value not in each.values)
            silent = [each for each in without if each.words]
            if waited >= self.left_aside and len(silent) == len(without) < len(servers):
                continue
            if without or not servers:
                found[answer] = Missing(record, without)
        return found

    def cleanup(self, name: str, token: str) -> None:
        """Remove the record; what cannot be removed now is removed by the next run."""
        if record := self.answers.pop((name, token), None):
            try:
                self.take_back(record)
            except (IssueFailed, OSError) as error:
                self.notes += (
                    f"the TXT record {record.name} could not be removed; the next run tries again:"
                    f" {error}",
                )

    def take_back(self, record: TxtRecord) -> None:
        """Remove a record and forget it; raise IssueFailed, and have it remembered."""
        try:
            self.writer.remove(record.name, record.value)
            self.records.drop(record)
        finally:
            self.presented.pop(record, None)

    def sweep(self) -> None:
        """Remove the records that killed runs left; those of this process are in use."""
        failures = 0
        for record in self.records.left(self.solver, self.now()):
            if record in self.presented or failures == MOST_FAILURES:
                continue
            try:
                self.take_back(record)
            except IssueFailed:
                failures += 1

    @classmethod
    def withdraw(cls, seconds: float = AT_THE_END) -> None:
        """Remove every record of this process, which is about to end."""
        if not cls.presented:
            return
        pool = ThreadPoolExecutor(8, "withdraw")
        begun = [pool.submit(one.take_back, record) for record, one in list(cls.presented.items())]
        wait(begun, seconds)
        pool.shutdown(wait=False, cancel_futures=True)


def failure_about(name: str, failure: NotObtained) -> NotObtained:
    """Return the same failure as one about *name*, where it is about that and not about all."""
    return replace(
        failure,
        code="challenge-not-published",
        facts=(("name", name),),
        parts=(failure,),
        refused=tuple(replace(each, name=name) for each in failure.refused),
    )


def unseen_records(missing: Mapping[Answer, Missing], patience: float) -> NotObtained:
    """Return the failure for records that not every name server shows in time."""
    each = [not_shown(name, one, patience) for (name, _), one in missing.items()]
    refused = tuple(name for one in each for name in one.refused)
    words = "\n".join(f"{one.name}: {one.words}" for one in refused)
    names = tuple(one.name for one in refused)
    facts = dict(each[0].facts) | {"names": names}
    return replace(each[0], facts=tuple(facts.items()), words=words, refused=refused)


def not_shown(name: str, missing: Missing, patience: float) -> NotObtained:
    """Return the failure for the record of one name."""
    failure = not_obtained(
        "txt-not-shown",
        record=missing.record.name,
        names=(name,),
        seconds=round(patience),
        words="; ".join(map(shown_words, missing.servers[:MOST_SHOWN])),
    )
    return refusal_of_name(name, failure)


def shown_words(shown: ShownRecords) -> str:
    """Return what one server shows, in the words of the DNS."""
    if shown.words:
        return f"{shown.server}: {shown.words}"
    if not shown.values:
        return f"{shown.server}: NODATA"
    more = ", …" if len(shown.values) > MOST_SHOWN else ""
    return f"{shown.server}: TXT {', '.join(shown.values[:MOST_SHOWN])}{more}"
