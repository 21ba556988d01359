"""Bounds: how many of a kind are told; the others are counted."""

from __future__ import annotations

from collections.abc import Iterator

MOST_TOLD = 10


def bounded(told: Iterator[str]) -> Iterator[str]:
    """Yield the first warnings of a kind, and how many more there are."""
    every = list(told)
    yield from every[:MOST_TOLD]
    if len(every) > MOST_TOLD:
        yield f"… and {len(every) - MOST_TOLD} more of this kind"
