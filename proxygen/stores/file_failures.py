"""What could not be used is remembered, so that it is read again only when it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from proxygen.failure import NotObtained
from proxygen.model.layout import file_stem
from proxygen.stores import Store
from proxygen.stores.change import read_value
from proxygen.stores.codec import Codec

LONGEST = timedelta(days=1)
"""How long files are left alone that may become usable as they are."""


@dataclass(frozen=True, slots=True)
class StoredFileFailure:
    """What is stored: as which mark of the files that was found, until when it holds, and why."""

    mark: str
    until: datetime | None
    failure: NotObtained


UNUSABLE = Codec[StoredFileFailure](StoredFileFailure)


class Failures:
    """Why the files of owners cannot be used, and as which *mark* of them that was found."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.known: dict[str, bytes | None] = {}

    def of(self, owner: str, mark: str, now: datetime) -> NotObtained | None:
        """Return why files with that mark cannot be used; None if that has to be tried."""
        self.known[owner] = read_value(self.store, failure_key(owner))
        kept = UNUSABLE.read(self.known[owner])
        if kept is None or kept.mark != mark:
            return None
        over = kept.until and not now < kept.until <= now + LONGEST
        return None if over else kept.failure

    def keep(
        self, owner: str, mark: str, failure: NotObtained, until: datetime | None = None
    ) -> None:
        """Remember why, *until* a moment or until the files change; it is final meanwhile.

        What another process noted since it was asked for stays: the files may have changed.
        """
        self.put(
            owner, UNUSABLE.written(StoredFileFailure(mark, until, replace(failure, final=True)))
        )

    def forget(self, owner: str) -> None:
        """Forget why, as far as it was known when the files were read: they are used."""
        if self.known.get(owner) is not None:
            self.put(owner, None)

    def put(self, owner: str, value: bytes | None) -> None:
        """Put a value in the place of the one that is known."""
        with suppress(OSError):  # it is told in any case
            if self.store.put_if(
                {failure_key(owner): self.known.get(owner)}, {failure_key(owner): value}
            ):
                self.known[owner] = value


def mark_of(contents: Sequence[tuple[str, bytes]], password: bytes | None) -> str:
    """Return a text that changes when files, their names or the password do."""
    digest = hashlib.sha256(repr(None if password is None else len(password)).encode())
    for part in (*(part for name, data in contents for part in (name.encode(), data)), password):
        digest.update(hashlib.sha256(part or b"").digest())
    return digest.hexdigest()


def failure_key(owner: str) -> str:
    """Return where it is kept."""
    return f"unusable/{file_stem(owner)}"
