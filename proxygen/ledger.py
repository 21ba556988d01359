"""Ledger: the orders and failed validations of the last days, by authority, on any store.

``ledger/AUTHORITY/HOUR`` holds what was counted in that hour, so that one more entry rewrites
little, and what no limit asks for any more is dropped as a whole.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from proxygen.plan.quota import LONGEST_WINDOW, Entry
from proxygen.stores import Store

ENTRIES = TypeAdapter(tuple[Entry, ...])
HOUR = "%Y%m%d%H"


class Ledger:
    """What was used of an authority's limits; threads may share it."""

    def __init__(self, store: Store, directory: str) -> None:
        self.store = store
        self.folder = f"ledger/{hashlib.sha256(directory.encode()).hexdigest()[:16]}"
        self.lock = threading.Lock()

    def note(self, entry: Entry) -> None:
        """Count an entry, durably."""
        key = f"{self.folder}/{entry.at.astimezone(UTC):{HOUR}}"
        with self.lock:
            if not self.store.has(key):
                self.tidy(entry.at)
            entries = (*self.hour(key), entry)
            self.store.put(key, json.dumps([asdict(one) for one in entries], default=str).encode())

    def entries(self, now: datetime) -> Iterator[Entry]:
        """Yield what a limit may still ask for, the oldest first."""
        oldest = f"{self.folder}/{(now - LONGEST_WINDOW).astimezone(UTC):{HOUR}}"
        for key in self.store.keys(self.folder):
            if key >= oldest:
                yield from self.hour(key)

    def tidy(self, now: datetime) -> None:
        """Drop what no limit asks for any more."""
        oldest = f"{self.folder}/{(now - LONGEST_WINDOW).astimezone(UTC):{HOUR}}"
        for key in list(self.store.keys(self.folder)):
            if key < oldest:
                self.store.delete(key)

    def hour(self, key: str) -> tuple[Entry, ...]:
        """Return what was counted in one hour; a damaged hour counts for nothing."""
        try:
            entries = ENTRIES.validate_json(self.store.get(key) or b"[]", strict=True)
        except (OSError, ValidationError):
            return ()
        return tuple(entry for entry in entries if entry.at.tzinfo)
