"""The store of one server: a folder for root alone, a file a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from proxygen.host import files

PART = re.compile(r"[a-zA-Z0-9_*-][a-zA-Z0-9._*-]{0,219}")


class FileStore:
    """Keeps each value in a file of mode 0600 below *root*, itself of mode 0700."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        return files.read(self.path(key))

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        return self.path(key).is_file()

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
        for name in files.names(self.path(prefix)):
            key = f"{prefix}/{name}"
            if PART.fullmatch(name) is None:
                continue
            if self.path(key).is_dir():
                yield from self.keys(key)
            else:
                yield key

    def path(self, key: str) -> Path:
        """Return the file of a key; a key that could leave the folder is our own bug."""
        parts = key.split("/")
        if not all(PART.fullmatch(part) for part in parts):
            raise ValueError(f"not a key of a store: {key!r}")
        return self.root / key
