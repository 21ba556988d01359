"""Sealed: a store whose values are sealed before they reach the one below."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Hashable, Iterator, Mapping

from proxygen.stores import PutsIf, Store, Values
from proxygen.stores.change import read_value
from proxygen.stores.sealing import Keyring, SealBroken, class_of, next_serial

TRIES = 1000
"""How often a value is put that others change meanwhile."""


def milliseconds() -> int:
    """Return the time as serials have it."""
    return time.time_ns() // 1_000_000


class Sealed(PutsIf):
    """Seals each value for its key, which stands below *place* for all servers alike.

    Reading raises KeyMissing where this host does not have the key, and SealBroken for what was
    not sealed for it; both are OSErrors. What cannot be opened for want of a key is never replaced.
    """

    def __init__(
        self, store: Store, keyring: Keyring, place: str, clock: Callable[[], int] = milliseconds
    ) -> None:
        self.store = store
        self.keyring = keyring
        self.place = place
        self.clock = clock

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""
        return self.opened(key, self.store.get(key))

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        return self.store.has(key)

    def put_if(self, former: Values, values: Values) -> bool:
        """Keep several values or none if those of *former* are still that.

        They take the place of the sealed values that were read, and of no others: so their serials
        are larger, whoever writes at the same time.
        """
        for _ in range(TRIES):
            present = {key: read_value(self.store, key) for key in (*former, *values)}
            if not all(self.holds(key, present[key], former[key]) for key in former):
                return False
            new = {key: self.closed(key, present[key], value) for key, value in values.items()}
            if self.store.put_if(present, new):
                return True
        raise OSError(errno.EBUSY, "others change it all the time", next(iter(values), ""))

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part."""
        return self.store.keys(prefix)

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return for each key that ``keys`` yields what differs once its value does."""
        return self.store.stamps(prefix)

    def opened(self, key: str, sealed: bytes | None) -> bytes | None:
        """Return what is in a sealed value."""
        if sealed is None:
            return None
        return self.keyring.unseal(self.place + key, class_of(key), sealed)

    def closed(self, key: str, present: bytes | None, value: bytes | None) -> bytes | None:
        """Return a value sealed, to take the place of the present one; raise KeyMissing."""
        self.keyring.require_key(self.place + key, class_of(key), present)
        if value is None:
            return None
        serial = next_serial(present, self.clock())
        return self.keyring.seal(self.place + key, class_of(key), value, serial)

    def holds(self, key: str, present: bytes | None, former: bytes | None) -> bool:
        """Return whether a value is that; None also for one that is broken; raise KeyMissing."""
        try:
            return self.opened(key, present) == former
        except SealBroken:
            return former is None
