"""What could not be used is remembered, so that it is read again only when it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from proxygen.failure import NotObtained
from proxygen.model.layout import stem
from proxygen.stores import Store

LONGEST = timedelta(days=1)
"""How long files are left alone that may become usable as they are."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """What is stored: as which mark of the files that was found, until when it holds, and why."""

    mark: str
    until: AwareDatetime | None
    failure: NotObtained


UNUSABLE = TypeAdapter(Unusable)


class Failures:
    """Why the files of owners cannot be used, and as which *mark* of them that was found."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def of(self, owner: str, mark: str, now: datetime) -> NotObtained | None:
        """Return why files with that mark cannot be used; None when that has to be tried."""
        try:
            kept = UNUSABLE.validate_json(self.store.get(key(owner)) or b"", strict=True)
        except (OSError, ValidationError):
            return None
        until = kept.until
        retry_at = kept.failure.retry_at
        if retry_at and not retry_at.tzinfo:
            return None
        if kept.mark != mark or (until and not now < until <= now + LONGEST):
            return None
        return kept.failure

    def keep(
        self, owner: str, mark: str, failure: NotObtained, until: datetime | None = None
    ) -> None:
        """Remember why, *until* a moment or until the files change; it is final meanwhile."""
        kept = Unusable(mark, until, replace(failure, final=True))
        with suppress(OSError):  # it is told in any case
            self.store.put(key(owner), UNUSABLE.dump_json(kept))

    def forget(self, owner: str) -> None:
        """Forget why: the files are used."""
        with suppress(OSError):
            if self.store.has(key(owner)):
                self.store.delete(key(owner))


def mark_of(contents: Sequence[tuple[str, bytes]], password: bytes | None) -> str:
    """Return what changes when files, their names or the password do."""
    digest = hashlib.sha256(repr(None if password is None else len(password)).encode())
    for part in (*(part for name, data in contents for part in (name.encode(), data)), password):
        digest.update(hashlib.sha256(part or b"").digest())
    return digest.hexdigest()


def key(owner: str) -> str:
    """Return where it is kept."""
    return f"unusable/{stem(owner)}"
