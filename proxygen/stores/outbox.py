"""Letterbox: what was told to whom, and letters on their way, on any store.

``told/RECIPIENT`` holds what one recipient was told, ``mail/RECIPIENT`` the one letter to them
that is not delivered yet, ``mail-terms`` new terms of service until somebody is told. A letter
is written before it is sent, and goes when it is noted what it told, so a crash between
the two sends the same letter once more, and none is lost. What cannot be written is kept in
memory, until another process writes something else: alarms go out although a disk is full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from proxygen.failure import Failure
from proxygen.stores import Store, Values
from proxygen.stores.change import read_value
from proxygen.stores.codec import Codec
from proxygen.texts.digests import ToldAlerts
from proxygen.texts.mails import Mail


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A letter on its way: *since* when none was delivered, tried *count* times, next *again*."""

    mail: Mail
    since: datetime
    count: int = 0
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """Nothing can be delivered at all: how often in a row it was tried, when *again*, and why."""

    count: int
    again: datetime
    failure: Failure


TOLD, WAITING = Codec[ToldAlerts](ToldAlerts), Codec[QueuedMail](QueuedMail)
TROUBLE, TERMS = Codec[DeliveryFailure](DeliveryFailure), Codec[dict[str, str]](dict[str, str])
TROUBLE_KEY = "mail-trouble"
TERMS_KEY = "mail-terms"
PROBE_KEY = "mail-probe"


@dataclass(frozen=True, slots=True)
class UnwrittenValue:
    """What could not be written, None: deleted, while *former* is what is stored."""

    former: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Outbox:
    """What was told, and letters on their way; *error* is why something could not be written."""

    store: Store
    unwritten: MutableMapping[str, UnwrittenValue] = field(default_factory=dict)
    error: str = ""

    def told(self) -> dict[str, ToldAlerts]:
        """Return what everybody was told, by recipient."""
        found = (TOLD.read(self.get(key)) for key in self.keys("told"))
        return {each.recipient: each for each in found if each}

    def waiting(self) -> dict[str, QueuedMail]:
        """Return the letters on their way, by recipient."""
        found = (WAITING.read(self.get(key)) for key in self.keys("mail"))
        return {each.mail.recipient.casefold(): each for each in found if each}

    def delivery_failure(self) -> DeliveryFailure | None:
        """Return why nothing is delivered, None if nothing speaks against it."""
        return TROUBLE.read(self.get(TROUBLE_KEY))

    def note(self, told: ToldAlerts) -> None:
        """Note what somebody was told; their letter goes with that."""
        recipient = told.recipient
        self.put_all(
            {
                recipient_key("told", recipient): TOLD.written(told),
                recipient_key("mail", recipient): None,
            }
        )

    def forget(self, recipient: str) -> None:
        """Forget what somebody was told."""
        self.put_all({recipient_key("told", recipient): None})

    def post(self, waiting: QueuedMail) -> None:
        """Keep a letter until it is delivered; it takes the place of a former one."""
        self.put_all({recipient_key("mail", waiting.mail.recipient): WAITING.written(waiting)})

    def drop(self, recipient: str) -> None:
        """Keep the letter to somebody no longer."""
        self.put_all({recipient_key("mail", recipient): None})

    def note_delivery_failure(self, trouble: DeliveryFailure | None) -> None:
        """Note that nothing can be delivered, or that it can again."""
        if trouble or self.has(TROUBLE_KEY):
            self.put_all({TROUBLE_KEY: TROUBLE.written(trouble) if trouble else None})

    def terms(self) -> dict[str, str]:
        """Return new terms of service (URL) by the directory of the authority."""
        return TERMS.read(self.get(TERMS_KEY)) or {}

    def change_terms(self, make: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Keep what *make* makes of the new terms of service, until somebody is told; return it.

        Who does not tell people may change them, too, so that it may be called more than once.
        """
        while True:
            former = self.stored(TERMS_KEY)
            kept = self.terms()
            terms = make(kept)
            value = TERMS.written(terms) if terms else None
            if terms == kept or self.put_if({TERMS_KEY: former}, {TERMS_KEY: value}):
                return terms

    def writable(self) -> bool:
        """Return whether the store takes something."""
        self.put_all({PROBE_KEY: b""})
        self.put_all({PROBE_KEY: None})
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

    def remembered(self, key: str) -> UnwrittenValue | None:
        """Return what could not be written, None if there is nothing, or another wrote since."""
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
        return mine.value if mine else read_value(self.store, key)

    def stored(self, key: str) -> bytes | None:
        """Return what is stored, whatever could not be written since; None as for ``get``."""
        mine = self.remembered(key)
        return mine.former if mine else read_value(self.store, key)

    def put_all(self, values: Values) -> None:
        """Write and delete several values at once, or keep them in memory."""
        self.put_if({}, values)

    def put_if(self, former: Values, values: Values) -> bool:
        """Do so where each value of *former* is still stored; return whether it was."""
        try:
            if not self.store.put_if(former, values):
                return False
        except OSError as error:
            self.error = str(error)
            for key, value in values.items():
                self.unwritten[key] = UnwrittenValue(self.stored(key), value)
        else:
            for key in values:
                self.unwritten.pop(key, None)
        return True


def recipient_key(folder: str, recipient: str) -> str:
    """Return where is kept what concerns a recipient."""
    return f"{folder}/{hashlib.sha256(recipient.casefold().encode()).hexdigest()[:32]}"


def mails_wait(count: int) -> str:
    """Return in words how many mails wait for delivery."""
    return "1 mail waits" if count == 1 else f"{count:,} mails wait"
