"""A language: the phrases in which people are told something, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from proxygen.errors import visible

LONGEST_VALUE = 300
LONGEST_SENTENCE = 1000
"""Characters of what happened, and of what to do."""


@dataclass(frozen=True, slots=True)
class Language:
    """The *phrases* of one language (*code*: ``en``…) by key, such as ``renewal.title``."""

    code: str
    phrases: Mapping[str, str]

    def say(self, key: str, **values: object) -> str:
        """Return a phrase with its placeholders filled in, each value on one line and bounded."""
        return self.phrases[key].format(**{name: one_line(each) for name, each in values.items()})

    def count(self, key: str, number: int, **values: object) -> str:
        """Return a phrase about a number: ``KEY.one`` for 1, else ``KEY.other``."""
        return self.say(f"{key}.{'one' if number == 1 else 'other'}", number=number, **values)

    def moment(self, moment: datetime) -> str:
        """Return a date with its time, in UTC."""
        return moment.astimezone(UTC).strftime(self.say("moment"))

    def lasting(self, duration: timedelta) -> str:
        """Return how long something lasts: days from 2 days on, else hours."""
        if duration.days >= 2:
            return self.say("days", number=duration.days)
        hours = int(duration.total_seconds() // 3600)
        return self.count("hours", hours) if hours >= 1 else self.phrases["soon"]

    def listed(self, names: tuple[str, ...], most: int = 20) -> str:
        """Return names for a sentence, the first ones by name."""
        shown = ", ".join(map(one_line, names[:most]))
        rest = len(names) - most
        return f"{shown} {self.count('more', rest)}" if rest > 0 else shown


def one_line(value: object) -> str:
    """Return a value as it may stand in a line of a message: printable and bounded."""
    text = str(value)
    if len(text) > LONGEST_VALUE or not text.isprintable() or "  " in text:
        text = " ".join(text[: 2 * LONGEST_VALUE].split())
    return shortened(visible(text.strip()))


def shortened(text: str) -> str:
    """Return a text as long as a value may be."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def sentence(text: str, name: str = "") -> str:
    """Return what a phrase says as a sentence; a *name* or path that it begins with stays."""
    words = (each[:LONGEST_VALUE] for each in text[: 2 * LONGEST_SENTENCE].split())
    text = visible(" ".join(words))[:LONGEST_SENTENCE]
    first = text.partition(" ")[0].rstrip(",;:")
    named = bool(name) and first == name
    if text and not named and not {*first} & set("./_`"):
        text = text[0].upper() + text[1:]
    return f"{text}." if text and text[-1] not in ".!?…" else text
