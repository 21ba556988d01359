"""Ledger: the orders, certificates and failed validations of the last days, by authority.

``ledger/AUTHORITY/HOUR-NUMBER`` holds up to PORTION entries of that hour, so that one more
rewrites little, and what no limit asks for any more is dropped as a whole.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from proxygen.plan.quota import LONGEST_WINDOW, Entry
from proxygen.stores import Store

ENTRIES = TypeAdapter(tuple[Entry, ...])
HOUR = "%Y%m%d%H"
PORTION = 50
AHEAD = timedelta(hours=1)
"""By how much an entry may be later than now; more, and it was noted by a wrong clock."""


class Ledger:
    """What was used of an authority's limits; threads may share it.

    *exempt* are the owners whose order under way replaces a certificate.
    """

    def __init__(self, store: Store, directory: str) -> None:
        self.store = store
        self.folder = f"ledger/{hashlib.sha256(directory.encode()).hexdigest()[:16]}"
        self.lock = threading.Lock()
        self.exempt: set[str] = set()
        self.last: tuple[str, list[Entry]] | None = None

    def note(self, entry: Entry) -> None:
        """Count an entry, durably."""
        with self.lock:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Write one entry more; a full portion of the hour is followed by another."""
        hour = hour_of(entry.at)
        if self.last is None or hour_in(self.last[0]) != hour or len(self.last[1]) >= PORTION:
            self.tidy(entry.at)
            number = sum(hour_in(key) == hour for key in self.store.keys(self.folder))
            self.last = f"{self.folder}/{hour}-{number:05}", []
        key, entries = self.last
        entries.append(entry)
        self.store.put(key, written(entries))

    def entries(self, now: datetime) -> Iterator[Entry]:
        """Yield what a limit may still ask for, the oldest first."""
        oldest = hour_of(now - LONGEST_WINDOW)
        for key in self.store.keys(self.folder):
            if key.rpartition("/")[2] >= oldest:
                yield from self.portion(key)

    def set_right(self, now: datetime) -> None:
        """Count what was noted while the clock was ahead as of *now*, so that it is over once."""
        ahead = hour_of(now + AHEAD)
        with self.lock:
            for key in [each for each in self.store.keys(self.folder) if hour_in(each) > ahead]:
                for entry in self.portion(key):
                    self.add(Entry(now, entry.names, entry.kind, entry.renewal, entry.exempt))
                self.store.delete(key)

    def tidy(self, at: datetime) -> None:
        """Drop what no limit asks for any more, seen from the newest entry that is there.

        Not from a clock that may be wrong: an entry that it makes deletes none before it.
        """
        keys = list(self.store.keys(self.folder))
        if not keys:
            return
        newest = datetime.strptime(hour_in(keys[-1]), HOUR).replace(tzinfo=UTC)
        oldest = hour_of(min(newest, at) - LONGEST_WINDOW)
        for key in keys:
            if hour_in(key) < oldest:
                self.store.delete(key)

    def portion(self, key: str) -> tuple[Entry, ...]:
        """Return what stands below one key; what is damaged counts for nothing."""
        try:
            entries = ENTRIES.validate_json(self.store.get(key) or b"[]", strict=True)
        except (OSError, ValidationError):
            return ()
        return tuple(entry for entry in entries if entry.at.tzinfo)


def hour_of(at: datetime) -> str:
    """Return the hour of a moment, as keys begin with it."""
    return f"{at.astimezone(UTC):{HOUR}}"


def hour_in(key: str) -> str:
    """Return the hour of a key."""
    return key.rpartition("/")[2][:10]


def written(entries: list[Entry]) -> bytes:
    """Return entries as they are stored."""
    return json.dumps(
        [
            {
                "at": entry.at.isoformat(),
                "names": entry.names,
                "kind": entry.kind,
                "renewal": entry.renewal,
                "exempt": entry.exempt,
            }
            for entry in entries
        ]
    ).encode()
