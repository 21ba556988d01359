"""The TXT records that answer challenges, remembered from before they are written until after."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from proxygen.host.suffixes import registered
from proxygen.stores import Store

LABEL = "_acme-challenge"
FOLDER = "records"
GIVEN_UP = timedelta(days=7)
"""After so long a record that could not be removed is forgotten: nobody may have it any more."""


@dataclass(frozen=True, slots=True)
class Record:
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


class Kept(BaseModel):
    """A record as it is stored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    solver: str
    name: str
    value: str
    at: AwareDatetime


class KeptRecords:
    """The records that are written, or about to be; a run that was killed leaves them here."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put(self, record: Record, now: datetime) -> None:
        """Remember a record; call it before it is written."""
        kept = Kept(solver=record.solver, name=record.name, value=record.value, at=now)
        self.store.put(key_of(record), kept.model_dump_json().encode())

    def drop(self, record: Record) -> None:
        """Forget a record: it is removed."""
        self.store.delete(key_of(record))

    def left(self, solver: str, now: datetime) -> Iterator[Record]:
        """Yield the records of a solver that are still remembered, but for very old ones."""
        for key in list(self.store.keys(FOLDER)):
            kept = self.read(key)
            if kept is None or now - kept.at > GIVEN_UP:
                self.store.delete(key)
            elif kept.solver == solver:
                yield Record(kept.solver, kept.name, kept.value)

    def read(self, key: str) -> Kept | None:
        """Return what is stored, None for what cannot be read."""
        try:
            return Kept.model_validate_json(self.store.get(key) or b"")
        except ValidationError:
            return None


def key_of(record: Record) -> str:
    """Return the key of a record in the store."""
    digest = hashlib.sha256(f"{record.solver}\n{record.name}\n{record.value}".encode())
    return f"{FOLDER}/{digest.hexdigest()[:32]}"


def may_stand(name: str, target: str, delegated: Iterable[str]) -> bool:
    """Return whether the record of a name may stand at *target*, where its aliases lead.

    In the name's own registered domain, or in a zone that is *delegated* to such records.
    """
    target = target.lower()
    if target == challenge_name(name) or registered(target) == registered(name):
        return True
    return any(target == zone or target.endswith(f".{zone}") for zone in delegated)
