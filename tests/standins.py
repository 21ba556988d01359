"""Stand-ins: small real implementations of the contracts, for tests."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

PART = "[a-zA-Z0-9_*-][a-zA-Z0-9._*-]{0,219}"


def plain(key: str) -> str:
    """Return a key; raise ValueError for one that no store has."""
    if re.fullmatch(f"{PART}(?:/{PART})*", key) is None:
        raise ValueError(f"not a key of a store: {key!r}")
    return key


class MemoryStore:
    """A store on a dict; threads may share it."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        with self.lock:
            return self.values.get(plain(key))

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        with self.lock:
            return plain(key) in self.values

    def put(self, key: str, value: bytes) -> None:
        """Keep *value*."""
        with self.lock:
            self.values[plain(key)] = value

    def delete(self, key: str) -> None:
        """Forget the value."""
        with self.lock:
            self.values.pop(plain(key), None)

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted."""
        with self.lock:
            return iter(sorted(key for key in self.values if key.startswith(f"{prefix}/")))

    def stamps(self, prefix: str) -> dict[str, bytes]:
        """Return the values: they differ when they do."""
        with self.lock:
            found = sorted(self.values.items())
            return {key: value for key, value in found if key.startswith(f"{prefix}/")}
