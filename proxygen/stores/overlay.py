"""Overlay: a store with values over it that it does not hold yet."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping

from proxygen.stores import Store, Values


class Overlay:
    """Reads *values* where they have a key, and the store elsewhere."""

    def __init__(self, store: Store, values: Values) -> None:
        self.store = store
        self.values = values

    def over(self) -> Values:
        """Return the values that count more than those of the store."""
        return self.values

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""
        over = self.over()
        return over[key] if key in over else self.store.get(key)

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        over = self.over()
        return over[key] is not None if key in over else self.store.has(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part."""
        return iter(keys_together(self.store.keys(prefix), values_below(self.over(), prefix)))

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return for each key that ``keys`` yields what differs once its value does."""
        over, found = values_below(self.over(), prefix), self.store.stamps(prefix)
        return {key: None if key in over else found[key] for key in keys_together(found, over)}


def values_below(values: Values, prefix: str) -> Values:
    """Return the values below a folder."""
    return {key: each for key, each in values.items() if key.startswith(f"{prefix}/")}


def keys_together(found: Iterable[str], over: Values) -> list[str]:
    """Return the keys that were found, and those of values over them, sorted part by part."""
    there = {key for key, value in over.items() if value is not None}
    return sorted({*found} - over.keys() | there, key=lambda key: key.split("/"))
