"""Lines: the words of others made safe for a line of ours: printable, bounded, no secret."""

from __future__ import annotations

from proxygen.credentials import conceal


def terminal_text(text: str) -> str:
    """Return *text* safe for a terminal: without credentials, unprintable characters escaped.

    Lines and tabs stay. Names of files and fields, and other programs' words, are quoted in
    messages; escape sequences and bidirectional marks in them would rewrite what is read.
    """
    text = conceal(text)
    if text.isprintable():
        return text
    return "".join(
        each if each in "\n\t" or each.isprintable() else ascii(each)[1:-1] for each in text
    )


LONGEST_VALUE = 300
LONGEST_SENTENCE = 1000
"""Characters of a sentence about what happened, or what to do."""


def one_line(value: object) -> str:
    """Return a value safe for one line of a message: printable and bounded."""
    text = str(value)
    if len(text) > LONGEST_VALUE or not text.isprintable() or "  " in text:
        text = " ".join(text[: 2 * LONGEST_VALUE].split())
    return shorten_value(terminal_text(text.strip()))


def shorten_value(text: str) -> str:
    """Return a text cut to LONGEST_VALUE."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def as_sentence(text: str, name: str = "") -> str:
    """Return a phrase as a sentence; a *name* or path at its beginning is not capitalized."""
    words = (each[:LONGEST_VALUE] for each in text[: 2 * LONGEST_SENTENCE].split())
    text = terminal_text(" ".join(words))[:LONGEST_SENTENCE]
    first = text.partition(" ")[0].rstrip(",;:")
    named = bool(name) and first == name
    if text and not named and not {*first} & set("./_`"):
        text = text[0].upper() + text[1:]
    return f"{text}." if text and text[-1] not in ".!?…" else text
