"""Stand-ins: small real implementations of the contracts, for tests."""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable, Iterator, Mapping

from proxygen.stores import PutsIf, Values

PART = "[a-zA-Z0-9_*-][a-zA-Z0-9._*-]{0,219}"


def plain(key: str) -> str:
    """Return a key; raise ValueError for one that no store has."""
    if re.fullmatch(f"{PART}(?:/{PART})*", key) is None:
        raise ValueError(f"not a key of a store: {key!r}")
    return key


SENTENCES = re.compile(rb'"code": ?"said", ?"scope"')


def refuse_sentences(values: Values) -> None:
    """Raise AssertionError where a failure that holds its sentences would be stored."""
    for key, value in values.items():
        assert not SENTENCES.search(value or b""), f"a sentence of ours would be stored in {key}"


class MemoryStore(PutsIf):
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

    def put_if(self, former: Values, values: Values) -> bool:
        """Keep several values or none where those of *former* are still that."""
        refuse_sentences(values)
        for key in (*former, *values):
            plain(key)
        with self.lock:
            if any(self.values.get(key) != value for key, value in former.items()):
                return False
            known: dict[str, bytes | None] = {**self.values, **values}
            self.values = {key: value for key, value in known.items() if value is not None}
            return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part."""
        return iter(self.below(prefix))

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return the values: they differ when they do."""
        return self.below(prefix)

    def below(self, prefix: str) -> dict[str, bytes]:
        """Return the values below the folder *prefix*."""
        with self.lock:
            found = sorted(self.values.items(), key=lambda each: each[0].split("/"))
            return {key: value for key, value in found if key.startswith(f"{prefix}/")}
