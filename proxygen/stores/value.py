"""Value: one value of a store, for who needs to know of no other."""

from __future__ import annotations

from dataclasses import dataclass

from proxygen.stores import Store
from proxygen.stores.change import read_value


@dataclass(frozen=True, slots=True)
class StoredValue:
    """The value below a *key*."""

    store: Store
    key: str

    def get(self) -> bytes | None:
        """Return it, None if there is none that can be read."""
        return read_value(self.store, self.key)

    def put(self, value: bytes) -> None:
        """Keep it, durably."""
        self.store.put(self.key, value)

    def delete(self) -> None:
        """Forget it."""
        self.store.delete(self.key)
