"""What could not be used is remembered, so that it is read again only when it changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from proxygen.errors import IssueFailed
from proxygen.model.layout import stem
from proxygen.stores import Store

LONGEST = timedelta(days=1)
"""How long files are left alone that may become usable as they are."""


class Failures:
    """Why the files of owners cannot be used, and as which *mark* of them that was found."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def of(self, owner: str, mark: str, now: datetime) -> IssueFailed | None:
        """Return why files with that mark cannot be used; None when that has to be tried."""
        try:
            kept = json.loads(self.store.get(key(owner)) or b"{}")
            if kept["mark"] != mark:
                return None
            until = kept["until"] and datetime.fromisoformat(kept["until"])
            if until and not now < until <= now + LONGEST:
                return None
            return IssueFailed(
                str(kept["what"]),
                final=True,
                remedy=str(kept["remedy"]),
                words=str(kept["words"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(
        self, owner: str, mark: str, error: IssueFailed, until: datetime | None = None
    ) -> None:
        """Remember why, *until* a moment or until the files change."""
        said = {"what": error.what, "remedy": error.remedy, "words": error.words}
        more = {"mark": mark, "until": until and until.isoformat()}
        with suppress(OSError):  # it is told in any case
            self.store.put(key(owner), json.dumps(said | more).encode())

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
