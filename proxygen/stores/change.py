"""Change one value by what it was, whoever else changes it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxygen.stores import Store


def change_value(store: Store, key: str, make: Callable[[bytes | None], bytes | None]) -> None:
    """Put what *make* makes of a value, None: nothing; it may be called more than once.

    What cannot be read is as if there were none.
    """
    while True:
        former = read_value(store, key)
        value = make(former)
        if value == former or store.put_if({key: former}, {key: value}):
            return


def forget_values(store: Store, *keys: str) -> None:
    """Forget values as they are now; one that is put meanwhile stays."""
    for key in keys:
        store.put_if({key: read_value(store, key)}, {key: None})


class Readable(Protocol):
    """What values are read from."""

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""


def read_value(store: Readable, key: str) -> bytes | None:
    """Return a value, None also for one that cannot be read."""
    try:
        return store.get(key)
    except OSError:
        return None
