"""Bounds: how many warnings of one kind are listed; the others are counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxygen.errors import Coded

MOST_TOLD = 10


def bounded_warnings(told: Iterable[str]) -> Iterator[str]:
    """Yield the first warnings of each kind, and after them how many more there are."""
    kinds: dict[str, list[str]] = {}
    for each in told:
        kinds.setdefault(each.code if isinstance(each, Coded) else "", []).append(each)
    for code, every in kinds.items():
        yield from every[:MOST_TOLD]
        if more := len(every[MOST_TOLD:]):
            words = f"… and {more:,} more of this kind"
            yield Coded(words, code) if code else words
