"""Lines as people read them: fit for a terminal, in colour where that is wanted."""

from __future__ import annotations

import re
from contextlib import suppress

import click

from proxygen.languages.lines import terminal_text
from proxygen.terminal.colours import paint_text

CHALLENGE_URL = re.compile(r"(https?://[^\s/\"']+)/\.well-known/acme-challenge/[^\s\"',;:)\]]*")
"""What authorities say where they asked; of the URL the host is what matters."""


def readable_text(text: str) -> str:
    """Return a text as people read it: nothing that moves a terminal, no URL of a challenge."""
    return terminal_text(CHALLENGE_URL.sub(r"\1/…", text))


def print_line(text: str, *, err: bool = False, colour: int | None = None, first: str = "") -> None:
    """Print a text; *first* are the words before it that have the *colour*, else all of it has."""
    shown = readable_text(text)
    shown = (
        paint_text(first, colour, err=err) + shown if first else paint_text(shown, colour, err=err)
    )
    click.echo(shown, err=err, color=True)


def print_text(text: str, *, err: bool = False, colour: int | None = None, first: str = "") -> None:
    """Print a text; that nobody listens any more is no reason to stop the work."""
    with suppress(OSError):
        print_line(text, err=err, colour=colour, first=first)
