"""Tables: columns as wide as what is in them; the only place that makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxygen.languages.lines import terminal_text
from proxygen.terminal.colours import OF_WORDS, paint_text

GAP = "  "


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, the headings first; words of a state have their colour.

    The last column is as wide as it is, so that no line ends with blanks.
    """
    lines = [
        [terminal_text(" ".join(cell.split("\n"))) for cell in row] for row in (headings, *rows)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [GAP.join(map(align_cell, line, widths)).rstrip() if any(line) else "" for line in lines]


def align_cell(cell: str, width: int) -> str:
    """Return a cell as wide as its column."""
    return paint_text(cell, OF_WORDS.get(cell)) + " " * (width - len(cell))
