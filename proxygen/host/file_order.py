"""The files of a service's configuration, one after the other as the service reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from proxygen.host import staging
from proxygen.services import FileOrder, FilePart

LARGEST = 64 * 1024 * 1024
"""Octets of all files, each counted as often as it is included."""
MOST_PARTS = 20_000
DEEPEST = 16


class TooManyFiles(Exception):
    """There are more files, or larger ones, than any configuration has."""


@dataclass(slots=True)
class OrderedReader:
    """Reads files as often as they are included, within bounds; *parts* is what was read so far."""

    order: FileOrder
    left: int = LARGEST
    known: dict[Path, str] = field(default_factory=dict)
    parts: list[FilePart] = field(default_factory=list)

    def read(self, path: Path, depth: int = 0) -> None:
        """Read a file with all that it includes; raise TooManyFiles."""
        text, pointer = self.text(path), self.order.pointer
        base = self.order.main.parent if pointer.relative_to_main else path.parent
        line, end = 1, 0
        for include in pointer.includes(text) if depth < DEEPEST else ():
            self.add(FilePart(path, line, text[end : include.start]))
            line += text.count("\n", end, include.end)
            end = include.end
            for each in staging.included_paths(base / include.mask, pointer):
                if staging.is_pointer(each, pointer):
                    self.add(FilePart(each, 1, "", ours=True))
                else:
                    self.read(each, depth + 1)
        self.add(FilePart(path, line, text[end:]))

    def text(self, path: Path) -> str:
        """Return the text of a file, empty for what is none."""
        if path not in self.known:
            self.known[path] = staging.service_text(path) or ""
        return self.known[path]

    def add(self, part: FilePart) -> None:
        """Add a part."""
        self.left -= len(part.text)
        if self.left < 0 or len(self.parts) >= MOST_PARTS:
            raise TooManyFiles
        self.parts.append(part)


def parts_in_order(order: FileOrder) -> tuple[FilePart, ...]:
    """Return the parts of all files; none at all if there are too many."""
    reader = OrderedReader(order)
    try:
        reader.read(order.main)
    except TooManyFiles:
        return ()
    return tuple(reader.parts)
