"""The store of one server: a folder for root alone, a file a value."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from proxygen.host import files

PART = r"[a-zA-Z0-9_*-][a-zA-Z0-9._*-]{0,219}"
LARGEST = 160 * 1024 * 1024
"""Octets of a value. The largest is the model file and as much that is held back of what it said
before; an octet of it may be kept as two."""
NAME = re.compile(PART)
KEY = re.compile(f"{PART}(?:/{PART})*")


class FileStore:
    """Keeps each value in a file of mode 0600 below *root*, itself of mode 0700."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        return files.read(self.path(key), LARGEST)

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        try:
            return stat.S_ISREG(os.stat(self.place(key)).st_mode)  # noqa: PTH116 ten thousands
        except OSError:
            return False

    def put(self, key: str, value: bytes) -> None:
        """Keep *value*, durably."""
        path = self.path(key)
        if not path.parent.is_dir():
            above = path.relative_to(self.root).parents
            for folder in reversed(above):
                files.folder(self.root / folder, 0o700)
        files.write(path, value)

    def delete(self, key: str) -> None:
        """Forget the value."""
        files.remove(self.path(key))

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted; files being written are not seen."""
        return (key for key, _ in self.entries(prefix))

    def stamps(self, prefix: str) -> dict[str, files.Stamp | None]:
        """Return a stamp of each file below the folder *prefix*."""
        return {key: files.stamp_of(entry) for key, entry in self.entries(prefix)}

    def entries(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield each key below the folder *prefix* with its file, sorted."""
        for entry in files.entries(self.path(prefix)):
            if NAME.fullmatch(entry.name) is None:
                continue
            key = f"{prefix}/{entry.name}"
            if entry.is_dir():
                yield from self.entries(key)
            else:
                yield key, entry

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return Path(self.place(key))

    def place(self, key: str) -> str:
        """Return the path of a key; a key that could leave the folder is our own bug."""
        if KEY.fullmatch(key) is None:
            raise ValueError(f"not a key of a store: {key!r}")
        return f"{self.root}/{key}"
