"""Includes of a service's configuration: where they stand in a text, and what stands for them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Include:
    """A directive that includes the files of a *mask*: it stands at text[start:end]."""

    start: int
    end: int
    mask: str


Includes = Callable[[str], Iterable[Include]]
"""Yields the includes of a text, in order."""


def matched_by(pattern: str) -> Includes:
    """Return what finds includes by a regular expression, whose group ``mask`` is the argument."""
    compiled = re.compile(pattern)

    def includes(text: str) -> Iterator[Include]:
        return (Include(*match.span(), match["mask"]) for match in compiled.finditer(text))

    return includes


def spelled_out(text: str, includes: Includes, instead: Callable[[str, str], str]) -> str:
    """Return a text with *instead* of each include what is given for its words and its mask."""
    parts, end = list[str](), 0
    for each in includes(text):
        parts += [text[end : each.start], instead(text[each.start : each.end], each.mask)]
        end = each.end
    return "".join((*parts, text[end:]))


PLACE = re.compile(r"^#proxygen-place (/[^\n]*):([0-9]+)\n", re.MULTILINE)
"""A comment that tells in which file, and at which line of it, what follows stands."""


def place_mark(path: Path, line: int) -> str:
    """Return a comment that tells where what follows it stands; it begins and ends a line."""
    return f"\n#proxygen-place {path}:{line}\n" if "\n" not in str(path) else "\n"


def place_in(text: str, at: int) -> str:
    """Return FILE:LINE of a place in a text with such comments, empty if there are none."""
    found = deque(PLACE.finditer(text, 0, at), maxlen=1)
    if not found:
        return ""
    last = found[0]
    return f"{last[1]}:{int(last[2]) + text.count(chr(10), last.end(), at)}"
