"""Letterbox: what was told to whom, and letters on their way, on any store.

``told/RECIPIENT`` holds what one recipient was told, ``mail/RECIPIENT`` the one letter to them
that is not delivered yet, ``mail-terms`` new terms of service until somebody is told. A letter
is written before it is sent, and what it tells is noted when it is delivered, so a crash between
the two sends the same letter once more, and none is lost. What cannot be written is kept in
memory: alarms go out although a disk is full.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from proxygen.plan.digests import Told
from proxygen.plan.letters import Letter
from proxygen.stores import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter on its way: *since* when none was delivered, tried *count* times, next *again*."""

    letter: Letter
    since: datetime
    count: int = 0
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nothing can be delivered at all: how often in a row it was tried, when *again*, and why."""

    count: int
    again: datetime
    what: str = ""


TOLD, WAITING, TROUBLE = TypeAdapter(Told), TypeAdapter(Waiting), TypeAdapter(Trouble)
TERMS = TypeAdapter(dict[str, str])
TROUBLE_KEY = "mail-trouble"
TERMS_KEY = "mail-terms"
PROBE_KEY = "mail-probe"

Unwritten = MutableMapping[str, bytes | None]
"""By key: what could not be written; None for what could not be deleted."""


@dataclass(slots=True)
class Letterbox:
    """What was told, and letters on their way; *error* is why something could not be written."""

    store: Store
    unwritten: Unwritten = field(default_factory=dict)
    error: str = ""

    def told(self) -> dict[str, Told]:
        """Return what everybody was told, by recipient."""
        found = (self.read(TOLD, key) for key in self.keys("told"))
        return {each.recipient: each for each in found if each}

    def waiting(self) -> dict[str, Waiting]:
        """Return the letters on their way, by recipient."""
        found = (self.read(WAITING, key) for key in self.keys("mail"))
        return {each.letter.recipient.casefold(): each for each in found if each and whole(each)}

    def trouble(self) -> Trouble | None:
        """Return why nothing is delivered, None when nothing speaks against it."""
        found = self.read(TROUBLE, TROUBLE_KEY)
        return found if found and found.again.tzinfo else None

    def note(self, told: Told) -> None:
        """Note what somebody was told."""
        self.write(key("told", told.recipient), told)

    def forget(self, recipient: str) -> None:
        """Forget what somebody was told."""
        self.delete(key("told", recipient))

    def post(self, waiting: Waiting) -> None:
        """Keep a letter until it is delivered; it takes the place of a former one."""
        self.write(key("mail", waiting.letter.recipient), waiting)

    def drop(self, recipient: str) -> None:
        """Keep the letter to somebody no longer."""
        self.delete(key("mail", recipient))

    def troubled(self, trouble: Trouble | None) -> None:
        """Note that nothing can be delivered, or that it can again."""
        if trouble:
            self.write(TROUBLE_KEY, trouble)
        elif self.has(TROUBLE_KEY):
            self.delete(TROUBLE_KEY)

    def terms(self) -> dict[str, str]:
        """Return new terms of service (URL) by the directory of the authority."""
        return self.read(TERMS, TERMS_KEY) or {}

    def keep_terms(self, terms: dict[str, str]) -> None:
        """Keep new terms of service until somebody is told."""
        if terms:
            self.put(TERMS_KEY, json.dumps(terms).encode())
        else:
            self.delete(TERMS_KEY)

    def writable(self) -> bool:
        """Return whether the store takes something."""
        self.put(PROBE_KEY, b"")
        self.delete(PROBE_KEY)
        return not self.error

    def catch_up(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Write what could not be written before, as far as it can be now, or until *enough*."""
        for key, value in list(self.unwritten.items()):
            if value is None:
                self.delete(key)
            else:
                self.put(key, value)
            if self.error or enough():
                return

    def keys(self, folder: str) -> Iterator[str]:
        """Return the keys below a folder, those in memory included."""
        try:
            stored = set(self.store.keys(folder))
        except OSError:
            stored = set()
        here = {key for key in self.unwritten if key.startswith(f"{folder}/")}
        return iter(sorted(stored | here))

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        if key in self.unwritten:
            return self.unwritten[key] is not None
        return self.store.has(key)

    def get(self, key: str) -> bytes | None:
        """Return a value, None for none or one that cannot be read."""
        if key in self.unwritten:
            return self.unwritten[key]
        try:
            return self.store.get(key)
        except OSError:
            return None

    def read(self, stored: TypeAdapter[T], key: str) -> T | None:
        """Return a stored value, None for none or a damaged one."""
        try:
            return stored.validate_json(self.get(key) or b"", strict=True)
        except ValidationError:
            return None

    def write(self, key: str, value: Told | Waiting | Trouble) -> None:
        """Write a value, or keep it in memory."""
        self.put(key, json.dumps(asdict(value), default=str).encode())

    def put(self, key: str, value: bytes) -> None:
        """Write octets, or keep them in memory."""
        try:
            self.store.put(key, value)
        except OSError as error:
            self.error = str(error)
            self.unwritten[key] = value
        else:
            self.unwritten.pop(key, None)

    def delete(self, key: str) -> None:
        """Delete a value, or keep in memory that it is to be."""
        try:
            self.store.delete(key)
        except OSError as error:
            self.error = str(error)
            self.unwritten[key] = None
        else:
            self.unwritten.pop(key, None)


def key(folder: str, recipient: str) -> str:
    """Return where is kept what concerns a recipient."""
    return f"{folder}/{hashlib.sha256(recipient.casefold().encode()).hexdigest()[:32]}"


def letters_wait(count: int) -> str:
    """Return in words how many letters wait."""
    return "1 letter waits" if count == 1 else f"{count:,} letters wait"


def whole(waiting: Waiting) -> bool:
    """Return whether every moment has its time zone."""
    moments = (waiting.since, waiting.letter.at, waiting.again)
    return all(each.tzinfo for each in moments if each)
