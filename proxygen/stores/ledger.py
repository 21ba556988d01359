"""Ledger: the orders, certificates and failed validations of the last days, by authority.

``ledger/AUTHORITY/HOUR-NUMBER`` holds up to PORTION entries of that hour, so that one more
rewrites little, and what no limit asks for any more is dropped as a whole.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from proxygen.plan.quota import LONGEST_WINDOW, QuotaEntry
from proxygen.stores import Store
from proxygen.stores.change import forget_values, read_value
from proxygen.stores.codec import Codec

ENTRIES = Codec[tuple[QuotaEntry, ...]](tuple[QuotaEntry, ...])
HOUR = "%Y%m%d%H"
PORTION = 50
AHEAD = timedelta(hours=1)
"""By how much an entry may be later than now; more, and it was noted by a wrong clock."""


class Ledger:
    """What was used of an authority's limits; threads and processes may share it.

    *exempt* are the owners whose order under way replaces a certificate.
    """

    def __init__(self, store: Store, directory: str) -> None:
        self.store = store
        self.folder = f"ledger/{hashlib.sha256(directory.encode()).hexdigest()[:16]}"
        self.lock = threading.Lock()
        self.exempt: set[str] = set()
        self.latest = ""

    def note(self, entry: QuotaEntry) -> None:
        """Count an entry, durably."""
        with self.lock:
            while not self.add(entry):
                self.latest = ""

    def add(self, entry: QuotaEntry) -> bool:
        """Add an entry to the latest portion of its hour; return False if that is none.

        It may be full, or another process has added to it meanwhile.
        """
        key = self.latest
        if not key or hour_in(key) != hour_of(entry.at):
            key = self.latest = self.portion_for(entry.at)
        former = self.store.get(key)
        entries = ENTRIES.read(former) or ()
        if len(entries) >= PORTION:
            return False
        return self.store.put_if({key: former}, {key: ENTRIES.written((*entries, entry))})

    def portion_for(self, at: datetime) -> str:
        """Return the key of the last portion of an hour, or of the next where that is full.

        Before the first of an hour, what no limit asks for any more is dropped.
        """
        last = self.last(hour_of(at))
        if last is None:
            self.tidy(at)
            return self.key(hour_of(at), 0)
        value = read_value(self.store, self.key(hour_of(at), last))
        room = value is not None and len(ENTRIES.read(value) or ()) < PORTION
        return self.key(hour_of(at), last if room else last + 1)

    def last(self, hour: str) -> int | None:
        """Return the number of the last portion of an hour, None before the first."""
        names = (key.rpartition("/")[2] for key in self.store.keys(self.folder))
        numbers = [int(name[11:]) for name in names if re.fullmatch(f"{hour}-[0-9]{{5}}", name)]
        return max(numbers, default=None)

    def key(self, hour: str, number: int) -> str:
        """Return the key of a portion."""
        return f"{self.folder}/{hour}-{number:05}"

    def entries(self, now: datetime) -> Iterator[QuotaEntry]:
        """Yield what a limit may still ask for, the oldest first."""
        oldest = hour_of(now - LONGEST_WINDOW)
        for key in self.store.keys(self.folder):
            if key.rpartition("/")[2] >= oldest:
                yield from self.portion(key)

    def set_right(self, now: datetime) -> None:
        """Count what was noted while the clock was ahead as of *now*, so that it is over once."""
        ahead = hour_of(now + AHEAD)
        for key in [each for each in self.store.keys(self.folder) if hour_in(each) > ahead]:
            while not self.move(key, now):
                pass

    def move(self, key: str, now: datetime) -> bool:
        """Make a portion the next one of this hour; return False if another wrote meanwhile."""
        former = read_value(self.store, key)
        if former is None:  # another process moved it
            return True
        moved = tuple(replace(entry, at=now) for entry in ENTRIES.read(former) or ())
        last = self.last(hour_of(now))
        new = self.key(hour_of(now), 0 if last is None else last + 1)
        return self.store.put_if({key: former, new: None}, {new: ENTRIES.written(moved), key: None})

    def tidy(self, at: datetime) -> None:
        """Drop what no limit asks for any more, seen from the newest entry that is there.

        Not from a clock that may be wrong: an entry that it makes deletes none before it.
        """
        keys = list(self.store.keys(self.folder))
        if not keys:
            return
        newest = datetime.strptime(hour_in(keys[-1]), HOUR).replace(tzinfo=UTC)
        oldest = hour_of(min(newest, at) - LONGEST_WINDOW)
        forget_values(self.store, *(key for key in keys if hour_in(key) < oldest))

    def portion(self, key: str) -> tuple[QuotaEntry, ...]:
        """Return what stands below one key; what is damaged counts for nothing."""
        return ENTRIES.read(read_value(self.store, key)) or ()


def hour_of(at: datetime) -> str:
    """Return the hour of a moment, as keys begin with it."""
    return f"{at.astimezone(UTC):{HOUR}}"


def hour_in(key: str) -> str:
    """Return the hour of a key."""
    return key.rpartition("/")[2][:10]
