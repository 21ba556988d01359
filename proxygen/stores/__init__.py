"""The contract of a store: small values by key, durable and whole."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Protocol

VERSION, VERSION_KEY = 5, "version"
"""The newest layout that is understood, and where a store of another than 1 tells its own.

What is only added, be it a value or a field of one, makes no new version: readers pass over it.
"""

LARGEST = 160 * 1024 * 1024
"""Octets of a value. The largest is the model file and as much that is held back of what it said
before; an octet of it may be kept as two."""

Values = Mapping[str, bytes | None]
"""Values by key; None: that there is none."""


class Store(Protocol):
    """Keeps values; a key is a path of plain parts, such as ``bundles/a.example/current``.

    Threads and processes may use it at once, and each may be killed at any instant. A key that has
    a value is no folder of other keys. What writes raises OSError where nothing can be written;
    then nothing is.
    """

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""

    def has(self, key: str) -> bool:
        """Return whether there is a value, without reading it."""

    def put(self, key: str, value: bytes) -> None:
        """Keep *value*: when this returns it survives a power cut; it is never seen in part."""

    def delete(self, key: str) -> None:
        """Forget the value; nothing happens when there is none."""

    def put_all(self, values: Values) -> None:
        """Keep several values or none, and delete where there is None, durably.

        Who has read one of them reads, and lists, the others as they are since.
        """

    def put_if(self, former: Values, values: Values) -> bool:
        """Do as ``put_all`` where each value of *former* is still that; return whether it was.

        None in *former*: there is no value, or none that can be read. One that was changed and
        changed back is that one.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part.

        What is put or deleted meanwhile may be among them or not.
        """

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return for each key that ``keys`` yields what differs once its value does.

        None proves nothing: that value is to be read. Quicker than reading the values; one that
        is read after its stamp was taken is never older than the stamp.
        """
