"""How many of what, and the first of many names: as commands say it, in English."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_NAMED = 3
"""Names that are told of many; of the others, how many there are."""


def counted_words(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def some_names(names: Sequence[str], readable: Callable[[str], str] = str) -> str:
    """Return names for a sentence: the first ones, made *readable*, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(readable, names[:MOST_NAMED])) + more
