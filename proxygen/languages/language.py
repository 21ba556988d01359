"""A language: its phrases, and how dates, durations and lists are written in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from proxygen.languages.lines import one_line


@dataclass(frozen=True, slots=True)
class Language:
    """The *phrases* of one language (*code*: ``en``…) by key, such as ``title.renewal``."""

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
        """Return names for a sentence; of more than *most*, how many follow."""
        shown = ", ".join(map(one_line, names[:most]))
        rest = len(names) - most
        return f"{shown} {self.count('more', rest)}" if rest > 0 else shown
