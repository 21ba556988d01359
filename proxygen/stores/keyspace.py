"""Keyspace: the part of a store that is an installation's, or a host's own."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping

from proxygen.stores import Store, Values
from proxygen.stores.kinds import OWN, SHARED

HOST = "host"
"""The folder of a host's own part, where one store holds both."""


class Keyspace:
    """The keys of these *kinds* below a folder of a store; any other is our own bug."""

    def __init__(self, store: Store, kinds: Collection[str], below: str = "") -> None:
        self.store = store
        self.kinds = kinds
        self.below = below

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""
        return self.store.get(self.key(key))

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        return self.store.has(self.key(key))

    def put(self, key: str, value: bytes) -> None:
        """Keep *value*, durably."""
        self.store.put(self.key(key), value)

    def delete(self, key: str) -> None:
        """Forget the value."""
        self.store.delete(self.key(key))

    def put_all(self, values: Values) -> None:
        """Keep several values or none, durably."""
        self.store.put_all(self.full(values))

    def put_if(self, former: Values, values: Values) -> bool:
        """Keep several values or none if those of *former* are still that."""
        return self.store.put_if(self.full(former), self.full(values))

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part."""
        found = self.store.keys(self.key(prefix))
        return (key[len(self.below) :] for key in found) if self.below else found

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return for each key that ``keys`` yields what differs once its value does."""
        found = self.store.stamps(self.key(prefix))
        return (
            {key[len(self.below) :]: each for key, each in found.items()} if self.below else found
        )

    def full(self, values: Values) -> dict[str, bytes | None]:
        """Return values by their keys in the store."""
        return {self.key(key): value for key, value in values.items()}

    def key(self, key: str) -> str:
        """Return a key as the store has it."""
        if key.partition("/")[0] not in self.kinds:
            raise ValueError(f"not a key of a store: {key!r}")
        return self.below + key


def shared_part(store: Store) -> Keyspace:
    """Return the part of a store that an installation shares."""
    return Keyspace(store, SHARED)


def own_part(store: Store) -> Keyspace:
    """Return the part of a store that is this host's own."""
    return Keyspace(store, OWN, f"{HOST}/")
