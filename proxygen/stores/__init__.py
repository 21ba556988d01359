"""The contract of a store: small values by key, durable and whole."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Protocol

VERSION, VERSION_KEY = 1, "version"
"""The newest layout that is understood, and where a store of another than 1 tells its own.

What is only added, be it a value or a field of one, makes no new version: readers pass over it.
"""


class Store(Protocol):
    """Keeps values; a key is a path of plain parts, such as ``bundles/a.example/current``."""

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""

    def has(self, key: str) -> bool:
        """Return whether there is a value, without reading it."""

    def put(self, key: str, value: bytes) -> None:
        """Keep *value*: when this returns it survives a power cut; it is never seen in part."""

    def delete(self, key: str) -> None:
        """Forget the value; nothing happens when there is none."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted."""

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return for each key that ``keys`` yields what differs once its value does.

        None proves nothing: that value is to be read. Quicker than reading the values; one that
        is read after its stamp was taken is never older than the stamp.
        """
