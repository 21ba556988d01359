"""Letterbox: what was told to whom, and letters on their way, on any store.

``told/RECIPIENT`` holds what one recipient was told, ``mail/RECIPIENT`` the one letter to them
that is not delivered yet, ``mail-terms`` new terms of service until somebody is told. A letter
is written before it is sent, and goes when it is noted what it told, so a crash between
the two sends the same letter once more, and none is lost. What cannot be written is kept in
memory, until another process writes something else: alarms go out although a disk is full.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from proxygen.failure import Failure
from proxygen.stores import Store, Values
from proxygen.stores.change import readable
from proxygen.texts.digests import Told
from proxygen.texts.mails import Letter

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
    failure: Failure


TOLD, WAITING, TROUBLE = TypeAdapter(Told), TypeAdapter(Waiting), TypeAdapter(Trouble)
TERMS = TypeAdapter(dict[str, str])
TROUBLE_KEY = "mail-trouble"
TERMS_KEY = "mail-terms"
PROBE_KEY = "mail-probe"


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What could not be written, None: deleted, while *former* is what is stored."""

    former: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Letterbox:
    """What was told, and letters on their way; *error* is why something could not be written."""

    store: Store
    unwritten: MutableMapping[str, Unwritten] = field(default_factory=dict)
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
        """Note what somebody was told; their letter goes with that."""
        self.put_all(
            {key("told", told.recipient): written(told), key("mail", told.recipient): None}
        )

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
        for key, each in list(self.unwritten.items()):
            try:
                self.store.put_if({key: each.former}, {key: each.value})
            except OSError as error:
                self.error = str(error)
                return
            del self.unwritten[key]
            if enough():
                return

    def remembered(self, key: str) -> Unwritten | None:
        """Return what could not be written, None where there is nothing, or another wrote since."""
        mine = self.unwritten.get(key)
        if mine is None:
            return None
        with suppress(OSError):
            if self.store.get(key) != mine.former:
                del self.unwritten[key]
                return None
        return mine

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
        mine = self.remembered(key)
        return mine.value is not None if mine else self.store.has(key)

    def get(self, key: str) -> bytes | None:
        """Return a value, None for none or one that cannot be read."""
        mine = self.remembered(key)
        return mine.value if mine else readable(self.store, key)

    def read(self, stored: TypeAdapter[T], key: str) -> T | None:
        """Return a stored value, None for none or a damaged one."""
        try:
            return stored.validate_json(self.get(key) or b"", strict=True)
        except ValidationError:
            return None

    def write(self, key: str, value: Told | Waiting | Trouble) -> None:
        """Write a value, or keep it in memory."""
        self.put(key, written(value))

    def put(self, key: str, value: bytes) -> None:
        """Write octets, or keep them in memory."""
        self.put_all({key: value})

    def delete(self, key: str) -> None:
        """Delete a value, or keep in memory that it is to be."""
        self.put_all({key: None})

    def put_all(self, values: Values) -> None:
        """Write and delete several values at once, or keep them in memory."""
        try:
            self.store.put_all(values)
        except OSError as error:
            self.error = str(error)
            for key, value in values.items():
                mine = self.remembered(key)
                former = mine.former if mine else readable(self.store, key)
                self.unwritten[key] = Unwritten(former, value)
        else:
            for key in values:
                self.unwritten.pop(key, None)


def written(value: Told | Waiting | Trouble) -> bytes:
    """Return a value as it is stored."""
    return json.dumps(asdict(value), default=str).encode()


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
