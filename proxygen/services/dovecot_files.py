"""What dovecot's files say of its certificate, with file and line, and what is read after ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from proxygen.services import FilePart

FILTERS = ("local_name", "local", "remote", "protocol")
SERVER = "ssl_server"
"""The block of 2.4 for what dovecot shows to clients."""
OF_CERTIFICATE = re.compile(r"ssl_(server_)?(alt_)?(cert|key)(_file)?")
SHORT_NAME = re.compile(r"(alt_)?(cert|key)_file")
TLS = "ssl"

SETTING = re.compile(r"([^\s={}]+)\s*=\s*(.*)")
BLOCK = re.compile(r"([^\s={}]+)(?:\s+(.*?))?\s*\{")
LONGEST = 4096
"""Characters of a line that are read; no path is longer."""


@dataclass(frozen=True, slots=True)
class SettingLine:
    """A setting about the certificate, or whether there is TLS, as it stands in a file.

    *name* is the full one, also within ``ssl_server``; *filters* are the filters around it, such
    as ``protocol imap``. *later*: it stands outside of filters and is read after ours.
    """

    name: str
    value: str
    filters: frozenset[str]
    path: Path
    line: int
    later: bool = False

    @property
    def place(self) -> str:
        """Where it stands, as FILE:LINE."""
        return f"{self.path}:{self.line}"

    @property
    def written(self) -> str:
        """What to find there; a value that is no path is not shown."""
        shown = self.value if self.value.startswith(("<", "/", "$")) or self.name == TLS else "…"
        return f"`{self.name} = {shown[:120]}`"


@dataclass(frozen=True, slots=True)
class DovecotFiles:
    """The *settings* that concern certificates, in the order in which they are read.

    *includes_ours*: our file is read as well, outside of any block. Where nothing could be read,
    nothing is known, and it counts as included.
    """

    settings: tuple[SettingLine, ...] = ()
    includes_ours: bool = True

    def later(self) -> Iterator[SettingLine]:
        """Return those that are read after ours, and count for all clients."""
        return (each for each in self.settings if each.later)

    def within(self, filters: Iterable[str]) -> list[SettingLine]:
        """Return those of the same filters, in whatever order these stand around each other."""
        wanted = frozenset(filters)
        return [each for each in self.settings if each.filters == wanted]


def read_files(parts: Iterable[FilePart]) -> DovecotFiles:
    """Return what the files of a configuration say, from their parts in order."""
    found = list(lines_and_ours(parts))
    if not found:
        return DovecotFiles()
    last = max((number for number, each in enumerate(found) if each == OURS), default=len(found))
    settings = tuple(
        SettingLine(
            *(each.name, each.value, each.filters, each.path, each.line),
            later=number > last and not each.filters,
        )
        for number, each in enumerate(found)
        if each.name
    )
    return DovecotFiles(settings, OURS in found)


NO_FILTERS = frozenset[str]()
OURS = SettingLine("", "", NO_FILTERS, Path(), 0)
"""Stands for the place at which our file is read."""
OTHER = SettingLine("", "", NO_FILTERS, Path(), 1)
"""Stands for a file that was read, whatever it says."""


def lines_and_ours(parts: Iterable[FilePart]) -> Iterator[SettingLine]:
    """Yield the settings that concern certificates, OURS where our file is read, and OTHER."""
    blocks: list[tuple[str, str]] = []
    for part in parts:
        if part.ours:
            yield OTHER if blocks else OURS
            continue
        yield OTHER
        for number, words in logical_lines(part):
            if words == "}":
                blocks = blocks[:-1]
            elif found := SETTING.fullmatch(words):
                yield from setting_line(found[1], found[2], blocks, part.path, number)
            elif found := BLOCK.fullmatch(words):
                blocks.append((found[1], unquoted(found[2] or "")))


def logical_lines(part: FilePart) -> Iterator[tuple[int, str]]:
    """Yield the lines of a part without comments; one that ends with ``\\`` goes on in the next."""
    begun, first = "", 0
    for number, line in enumerate(part.text.split("\n"), part.line):
        words = without_comment(line[:LONGEST].strip())
        if words.endswith("\\"):
            first, begun = first or number, f"{begun}{words[:-1].rstrip()} "[:LONGEST]
        elif words:
            yield first or number, begun + words
            begun, first = "", 0


def without_comment(line: str) -> str:
    """Return a line without what follows a ``#`` outside of quotes."""
    quote, escaped = "", False
    for index, character in enumerate(line):
        if quote:
            quote = quote if escaped or character != quote else ""
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[:index].rstrip()
    return line


def unquoted(value: str) -> str:
    """Return a value without its quotes, single or double."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def setting_line(
    name: str, value: str, blocks: list[tuple[str, str]], path: Path, line: int
) -> Iterator[SettingLine]:
    """Yield a setting if it concerns what clients are shown."""
    kinds = {kind for kind, _ in blocks}
    if not kinds <= {*FILTERS, SERVER}:
        return
    if SERVER in kinds and SHORT_NAME.fullmatch(name):
        name = f"{SERVER}_{name}"
    if name == TLS or OF_CERTIFICATE.fullmatch(name):
        filters = frozenset(f"{kind} {of}".strip() for kind, of in blocks if kind in FILTERS)
        yield SettingLine(name, unquoted(value), filters, path, line)
