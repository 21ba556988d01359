"""Colours: where a terminal may show them, and which words have one."""

from __future__ import annotations

import os
import sys
from typing import TextIO

RED, GREEN, YELLOW = 31, 32, 33

OF_WORDS = {
    **dict.fromkeys(("failed", "NOT RUNNING", "nothing yet", "stand-in", "missing"), RED),
    **dict.fromkeys(
        ("waiting for DNS", "waiting for the web server", "moved away", "postponed", "unknown"),
        YELLOW,
    ),
    **dict.fromkeys(("issued", "ready", "own", "there", "leads here", "running"), GREEN),
}
"""The colour of a word that says how something is."""


def obeys_sequences(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that obeys control sequences."""
    return stream is not None and stream.isatty() and (os.environ.get("TERM") or "dumb") != "dumb"


def paint_text(text: str, colour: int | None, *, err: bool = False) -> str:
    """Return a text in a colour where standard output, or *err*, may show it (no-color.org)."""
    stream = sys.stderr if err else sys.stdout
    if not colour or not text or os.environ.get("NO_COLOR") or not obeys_sequences(stream):
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"
