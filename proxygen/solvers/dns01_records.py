"""The TXT records that answer challenges, remembered from before they are written until after."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxygen.host.suffixes import registered_domain
from proxygen.stores import Store
from proxygen.stores.change import read_value
from proxygen.stores.codec import Codec

LABEL = "_acme-challenge"
FOLDER = "records"
GIVEN_UP = timedelta(days=7)
"""After so long a record that could not be removed is forgotten: nobody may have it any more."""


@dataclass(frozen=True, slots=True)
class TxtRecord:
    """One value at one *name*, written by the solver of that name in the model."""

    solver: str
    name: str
    value: str


def challenge_name(name: str) -> str:
    """Return where the authority looks (RFC 8555 section 8.4); a wildcard's is its parent's."""
    return f"{LABEL}.{name.removeprefix('*.')}"


def challenge_value(key_authorization: str) -> str:
    """Return what it wants to see there (RFC 8555 section 8.4)."""
    digest = hashlib.sha256(key_authorization.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class StoredRecord(TxtRecord):
    """A record as it is stored, with the moment *at* which it was about to be written."""

    at: datetime


KEPT = Codec[StoredRecord](StoredRecord)


class KeptRecords:
    """The records that are written, or about to be; a run that was killed leaves them here."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put(self, record: TxtRecord, now: datetime) -> None:
        """Remember a record; call it before it is written."""
        kept = StoredRecord(record.solver, record.name, record.value, now)
        self.store.put(key_of(record), KEPT.written(kept))

    def drop(self, record: TxtRecord) -> None:
        """Forget a record: it is removed."""
        self.store.delete(key_of(record))

    def left(self, solver: str, now: datetime) -> Iterator[TxtRecord]:
        """Yield the records of a solver that are still remembered, but for very old ones.

        One that is about to be written again, by another process, is not forgotten.
        """
        for key in list(self.store.keys(FOLDER)):
            value = read_value(self.store, key)
            kept = KEPT.read(value)
            if kept is None or now - kept.at > GIVEN_UP:
                self.store.put_if({key: value}, {key: None})
            elif kept.solver == solver:
                yield TxtRecord(kept.solver, kept.name, kept.value)


def key_of(record: TxtRecord) -> str:
    """Return the key of a record in the store."""
    digest = hashlib.sha256(f"{record.solver}\n{record.name}\n{record.value}".encode())
    return f"{FOLDER}/{digest.hexdigest()[:32]}"


def may_stand(name: str, target: str, delegated: Iterable[str]) -> bool:
    """Return whether the record of a name may stand at *target*, where its aliases lead.

    In the name's own registered domain, or in a zone that is *delegated* to such records.
    """
    target = target.lower()
    if target == challenge_name(name) or registered_domain(target) == registered_domain(name):
        return True
    return any(target == zone or target.endswith(f".{zone}") for zone in delegated)
