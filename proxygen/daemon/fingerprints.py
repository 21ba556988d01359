"""Whether files changed, without reading those whose status did not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from proxygen.host import files

ABSENT, UNREADABLE = "absent", "unreadable"


class Fingerprints:
    """Hashes of files; a file is read again only when its status changed."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Path, files.Stamp | None, str]] = {}

    def of(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the fingerprint of each path, and forget all others."""
        self.known = {path: self.one(path) for path in paths}
        return {path: fingerprint for path, (_, _, fingerprint) in self.known.items()}

    def of_one(self, path: str) -> dict[str, str]:
        """Return the fingerprint of one path, and keep the others."""
        self.known[path] = self.one(path)
        return {path: self.known[path][2]}

    def one(self, name: str) -> tuple[Path, files.Stamp | None, str]:
        """Return a file's path and status, with a hash of its content."""
        known = self.known.get(name)
        path = known[0] if known else Path(name)
        stamp = files.stamp_of(path)
        if known and stamp is not None and stamp == known[1]:
            return known
        return path, stamp, content_hash(path)


def content_hash(path: Path) -> str:
    """Return the hash of a file's content, or a word for what is no file."""
    try:
        text = files.read(path)
    except OSError:
        return UNREADABLE
    return ABSENT if text is None else of_text(text)


def of_text(text: bytes) -> str:
    """Return the fingerprint of a file that holds *text*."""
    return hashlib.sha256(text).hexdigest()


def differing_paths(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the paths whose fingerprints differ, or that only one of the two has."""
    return {
        path
        for path in before.keys() | after.keys()
        if before.get(path, ABSENT) != after.get(path, ABSENT)
    }
