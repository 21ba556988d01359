"""The contract of a store: small values by key, durable, and never seen in part."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Protocol

VERSION, VERSION_KEY = 5, "version"
"""The newest version of the layout that this code reads, and the key that holds it if not 1.

Values or fields that are only added make no new version: readers ignore what they do not know.
"""

LARGEST = 160 * 1024 * 1024
"""Octets of a value. The largest is the model file and as much that is held back of what it said
before; an octet of it may be kept as two."""

Values = Mapping[str, bytes | None]
"""Values by key; None: there is none."""


class Store(Protocol):
    """Keeps values; a key is a path of plain parts, such as ``bundles/a.example/current``.

    Threads and processes may use it at the same time, and each may be killed at any instant. A key
    with a value has no keys below it. Writing raises OSError if nothing can be written; the store
    is then unchanged.
    """

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""

    def has(self, key: str) -> bool:
        """Return whether there is a value, without reading it."""

    def put(self, key: str, value: bytes) -> None:
        """Store *value*: once this returns, it survives a power cut.

        Readers never see a part of it.
        """

    def delete(self, key: str) -> None:
        """Delete the value; do nothing if there is none."""

    def put_all(self, values: Values) -> None:
        """Store several values, and delete the keys with None, durably: all of it or nothing.

        A reader who has seen one of the new values sees all of them from then on, in lists too.
        """

    def put_if(self, former: Values, values: Values) -> bool:
        """Do as ``put_all`` if the values of *former* are unchanged; return whether they were.

        None in *former* means: no value, or none that can be read. A value that was changed and
        changed back counts as unchanged.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part.

        Keys that are written or deleted meanwhile may be missing or not.
        """

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return, for each key that ``keys`` yields, a stamp that differs once the value does.

        None proves nothing: read the value. This is faster than reading values; a value read after
        its stamp is never older than the stamp.
        """


class PutsIf:
    """What a store does without a condition, by its ``put_if``."""

    def put_if(self, former: Values, values: Values) -> bool:
        """Do as ``Store.put_if``."""
        raise NotImplementedError

    def put(self, key: str, value: bytes) -> None:
        """Do as ``Store.put``."""
        self.put_if({}, {key: value})

    def delete(self, key: str) -> None:
        """Do as ``Store.delete``."""
        self.put_if({}, {key: None})

    def put_all(self, values: Values) -> None:
        """Do as ``Store.put_all``."""
        self.put_if({}, values)
