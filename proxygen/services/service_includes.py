"""Includes of a service's configuration: where they stand in a text, and what stands for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

ENTERS, LEAVES = "#\x1d>", "#\x1d<"
"""What comments begin with that stand before and behind the text of an included file.

The first goes on with the path of that file. No service makes anything of either.
"""


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
