"""Reads master.cf: the options of its services, with the lines on which they stand (master(5))."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from proxygen.services.main_cf import SPACE, logical_lines

FIELDS = 8
"""Name, type, private, unprivileged, chroot, wakeup, limit, program; then its arguments."""
WITH_VALUE = frozenset("imnost")
"""The options of postfix's daemons that have an argument."""


@dataclass(frozen=True, slots=True)
class MasterOption:
    """One ``-o name=value`` of a service, on a *line* (from 1), *written* as it stands there."""

    service: str
    kind: str
    name: str
    value: str
    line: int
    written: str


Word = tuple[int, str]
"""Where a word begins, and the word."""


def options_in(text: str) -> Iterator[MasterOption]:
    """Yield the options that services are given with ``-o``, in whatever form, in order."""
    lines = text.split("\n")
    for numbers in logical_lines(lines):
        starts = list(accumulate((len(lines[number]) for number in numbers), initial=0))
        words = list(words_in("".join(lines[number] for number in numbers)))
        if len(words) <= FIELDS:
            continue
        service, kind = words[0][1], words[1][1]
        for at, written, assigned in assignments_among(words[FIELDS:]):
            name, equals, value = assigned.partition("=")
            if equals:
                line = numbers[bisect_right(starts, at) - 1] + 1
                yield MasterOption(
                    *(service, kind, name.strip(SPACE), value.strip(SPACE), line, written)
                )


def words_in(text: str) -> Iterator[Word]:
    """Yield words with where they begin; whitespace within braces ends none."""
    start, depth = -1, 0
    for index, character in enumerate(f"{text} "):
        if depth == 0 and character in SPACE:
            if start >= 0:
                yield start, text[start:index]
            start = -1
        else:
            start = index if start < 0 else start
            depth = max(depth + (character == "{") - (character == "}"), 0)
    if start >= 0:
        yield start, text[start:]


def assignments_among(words: list[Word]) -> Iterator[tuple[int, str, str]]:
    """Yield the arguments of each ``-o``: where the argument begins, how all is written, and it.

    As getopt(3) takes them: joined to the option, behind other options, or as the next word.
    """
    rest = iter(words)
    for at, word in rest:
        if not word.startswith("-") or word in ("-", "--"):
            return
        index = next((index for index, flag in enumerate(word) if flag in WITH_VALUE), -1)
        if index < 1:
            continue
        place, value = (at, word[index + 1 :]) if word[index + 1 :] else next(rest, (at, ""))
        if word[index] == "o":
            written = word if word[index + 1 :] else f"{word} {value}"
            yield place, written, without_braces(value)


def without_braces(value: str) -> str:
    """Return what stands in braces; what begins with none as it is."""
    return value[1:-1] if value.startswith("{") and value.endswith("}") else value
